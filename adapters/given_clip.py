"""The `clip` generator: the segment's clip is there already. It is looked at, never re-encoded."""

from __future__ import annotations

from dataclasses import dataclass

from events.clip import Clip
from events.errors import InvalidRequest, NotFound
from events.names import parse_uri
from events.requests import PromptSpec, Settings
from pipeline.object_port import ObjectInfo, ObjectStore
from pipeline.work_ports import ClipReady, Gone, RenderOrder


class _Reader:
    """One version of an object, as `media/` reads it."""

    def __init__(self, objects: ObjectStore, info: ObjectInfo) -> None:
        self._objects, self._info = objects, info
        self.size_bytes = info.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        return self._objects.read(self._info.uri, offset, length, generation=self._info.generation)


@dataclass(frozen=True, slots=True)
class GivenClipGenerator:
    """Probes clips that users brought."""

    objects: ObjectStore

    @property
    def resubmittable(self) -> bool:
        """Give True: looking at a clip twice costs nothing."""
        return True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> None:
        """Refuse prompts."""
        raise InvalidRequest("generator", "'clip' is for given clips; send `clips` instead of `prompts`")

    def submit(self, order: RenderOrder) -> ClipReady:
        """Look at the clip.

        Raises:
            NotFound: it is not there.
            BadMedia: it is no usable clip; the text says what it is instead.
        """
        from media.probe import probe

        given = order.spec.clip
        assert given is not None, "a stitch request makes segments with clips only"
        info = self.objects.stat(given.clip)
        if info is None:
            raise NotFound(f"look at clip {order.segment_index + 1}: there is no {given.clip}")
        name = parse_uri(given.clip).name.rsplit("/", 1)[-1]
        return ClipReady(
            Clip(uri=given.clip, generation=info.generation, facts=probe(_Reader(self.objects, info), name))
        )

    def poll(self, operation: str) -> Gone:
        """Give Gone: nothing is ever started."""
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing: nothing is ever started."""
