"""An object store in memory, under the same contract as the disk and Cloud Storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import google_crc32c

from events.errors import LimitExceeded, NotFound, PipelineError, PreconditionFailed
from events.names import parse_uri
from pipeline.object_port import ObjectInfo

#: Longest name. Source: Cloud Storage's own limit.
NAME_BYTES_MAX = 1024


@dataclass
class MemoryObjects:
    """Objects in a dictionary; a generation is the number of writes so far."""

    on_finalize: Callable[[ObjectInfo], None] = lambda _info: None
    #: Called before every read or write; may raise.
    gate: Callable[[str], None] = lambda _doing: None
    #: The largest object that there is room for.
    room_bytes: int = 1 << 30
    _kept: dict[str, tuple[ObjectInfo, bytes]] = field(default_factory=dict)
    _writes: int = 0

    def stat(self, uri: str) -> ObjectInfo | None:
        """Give the present version of an object."""
        parse_uri(uri)
        self.gate(f"look at {uri}")
        found = self._kept.get(uri)
        return found[0] if found else None

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Give every object whose URI starts with `prefix_uri`, by name."""
        parse_uri(f"{prefix_uri}x")
        self.gate(f"list {prefix_uri}")
        return [info for uri, (info, _) in sorted(self._kept.items()) if uri.startswith(prefix_uri)]

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        """Read a range of an object."""
        parse_uri(uri)
        self.gate(f"read {uri}")
        found = self._kept.get(uri)
        if found is None or (generation is not None and found[0].generation != generation):
            raise NotFound(f"read {uri}: there is no such object, or it was changed")
        return found[1][offset : None if length is None else offset + length]

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        """Write a whole object."""
        parse_uri(uri)
        self.gate(f"write {uri}")
        present = self._kept.get(uri)
        generation = present[0].generation if present else 0
        if if_generation is not None and if_generation != generation:
            raise PreconditionFailed(f"write {uri}: its generation is {generation}, not {if_generation}")
        if len(content) > self.room_bytes:
            raise LimitExceeded(f"write {uri}: there is no room for it")
        if len(parse_uri(uri).name.encode()) > NAME_BYTES_MAX:
            raise PipelineError(f"write {uri}: its name is too long")
        self._writes += 1
        info = ObjectInfo(uri, self._writes, len(content), google_crc32c.value(content))
        self._kept[uri] = info, content
        self.on_finalize(info)
        return info

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        """Write an object that is its sources one after another."""
        if not 1 <= len(source_uris) <= 32:
            raise PipelineError(f"compose {uri}: {len(source_uris)} sources; one call takes 1 to 32")
        if {parse_uri(source).bucket for source in source_uris} != {parse_uri(uri).bucket}:
            raise PipelineError(f"compose {uri}: a source lies in another bucket")
        return self.write(uri, b"".join(map(self.read, source_uris)), if_generation)

    def delete(self, uri: str) -> None:
        """Delete an object."""
        parse_uri(uri)
        self.gate(f"delete {uri}")
        self._kept.pop(uri, None)
