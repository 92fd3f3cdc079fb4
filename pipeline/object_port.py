"""The port of objects. Whole objects, written atomically, read by ranges, because the splice lives on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of one object."""

    #: `gs://bucket/object`.
    uri: str
    generation: int
    size_bytes: int
    #: CRC-32C of the content, where the store keeps it.
    crc32c: int | None = None


class ObjectStore(Protocol):
    """Objects that are written whole, never changed, and named `gs://bucket/object`."""

    def stat(self, uri: str) -> ObjectInfo | None:
        """Give the present version of an object; None when there is none."""
        ...

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Give every object whose URI starts with `prefix_uri`, by name."""
        ...

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        """Read a range of an object; `length` None reads to the end, a range past the end gives less.

        Raises:
            NotFound: there is no such object, or `generation` is not its present one.
        """
        ...

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        """Write a whole object atomically: readers see the old or the new one; a finalize event follows.

        Args:
            uri: where.
            content: what.
            if_generation: write only over this generation; 0 means only if there is none; None means always.

        Raises:
            PreconditionFailed: the present generation is another.
            LimitExceeded: there is no room for it.
        """
        ...

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        """Write an object that is its sources (1–32, same bucket) one after another; a finalize event follows.

        Raises:
            NotFound: a source is missing.
            PreconditionFailed: the present generation is another.
        """
        ...

    def delete(self, uri: str) -> None:
        """Delete an object; without one, nothing happens."""
        ...
