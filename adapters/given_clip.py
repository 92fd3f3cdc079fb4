"""The `clip` generator: the segment's clip is there already. It is looked at, never re-encoded."""

from __future__ import annotations

from dataclasses import dataclass

from events.clip import Clip
from events.errors import InvalidRequest, NotFound
from events.requests import PromptSpec, Settings
from pipeline.object_port import ObjectStore
from pipeline.object_reader import ObjectReader
from pipeline.titles import clip_name as clip_name
from pipeline.work_ports import ClipReady, Gone, Quote, RenderOrder


@dataclass(frozen=True, slots=True)
class GivenClipGenerator:
    """Probes clips that users brought."""

    objects: ObjectStore

    @property
    def resubmittable(self) -> bool:
        """Give True: looking at a clip twice costs nothing."""
        return True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
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
            raise NotFound(f"look at {clip_name(given.clip)}: it is not there any more ({given.clip})")
        return ClipReady(
            Clip(
                uri=given.clip,
                generation=info.generation,
                facts=probe(ObjectReader(self.objects, info), clip_name(given.clip)),
            )
        )

    def poll(self, operation: str) -> Gone:
        """Give Gone: nothing is ever started."""
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing: nothing is ever started."""
