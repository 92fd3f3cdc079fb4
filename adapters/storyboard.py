"""The `storyboard` generator: an animated card a scene, drawn on this machine. A free preview of the film's pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from adapters.disk import DiskObjectStore
from adapters.local_queue import LocalQueue
from events.errors import InvalidRequest, PreconditionFailed, RenderFailed
from events.messages import LocalRender, Topic
from events.names import SegmentObject, parse_object_name, parse_uri
from events.requests import AspectRatio, PromptSpec, Resolution, Settings
from pipeline.commands import Outgoing
from pipeline.work_ports import Gone, Quote, RenderOrder, Running, Started, Stopped

#: Frames a second of every card. Source: Veo and Omni make 24, so the preview moves like the film will.
FRAME_RATE = Fraction(24)

_SHORT_SIDE_PX = {Resolution.HD: 720, Resolution.FULL_HD: 1080, Resolution.UHD: 2160}
_SHAPE = {AspectRatio.LANDSCAPE: (16, 9), AspectRatio.PORTRAIT: (9, 16), AspectRatio.SQUARE: (1, 1)}


class NobodyWaits(RenderFailed):
    """The job ended while a card was drawn; the drawing was stopped."""

    code = "nobody_waits"


def frame_size(settings: Settings) -> tuple[int, int]:
    """Give width and height in pixels.

    >>> frame_size(Settings())
    (1280, 720)
    """
    short = _SHORT_SIDE_PX[settings.resolution]
    wide, high = _SHAPE[settings.aspect_ratio]
    return short * wide // min(wide, high), short * high // min(wide, high)


@dataclass(frozen=True, slots=True)
class StoryboardGenerator:
    """Orders cards through the queue, so that a card survives the process that ordered it."""

    queue: LocalQueue
    objects: DiskObjectStore

    @property
    def resubmittable(self) -> bool:
        """Give True: a card costs nothing and is drawn the same again."""
        return True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Refuse what no card can show; a card is free."""
        if settings.model is not None:
            raise InvalidRequest("model", "the storyboard generator has no models; leave it out")
        if scene.start_image is not None:
            raise InvalidRequest(f"{field}.startImage", "the storyboard generator starts from no picture; leave it out")
        return Quote()

    def submit(self, order: RenderOrder) -> Started:
        """Queue one card; giving the same order twice draws one card."""
        if not self.queue.holds(Topic.LOCAL_RENDER, order.job_id, order.attempt, order.segment_index):
            self.queue.publish([Outgoing(_message(order))])
        return Started(f"storyboard/{parse_uri(order.output_prefix + 'clip.mp4').name}")

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask whether a card is still queued or being drawn."""
        place = parse_object_name(operation.removeprefix("storyboard/"))
        assert isinstance(place, SegmentObject), f"{operation} was not named by this generator"
        if self.queue.holds(Topic.LOCAL_RENDER, place.job_id, place.attempt, place.segment_index):
            return Running()
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing: whoever draws the card asks from time to time whether somebody waits for it."""

    def draw(self, message: LocalRender, still_wanted: Callable[[], bool]) -> None:
        """Draw one card and store it; called by a worker thread.

        Raises:
            RenderFailed: the card cannot be drawn.
            LimitExceeded: the disk is full.
        """
        if self.objects.announce(message.output_uri):
            return

        def on_progress(_done: int, _total: int) -> None:
            if not still_wanted():
                raise NobodyWaits(f"draw segment {message.segment_index} of {message.job_id}: its job is over")

        on_progress(0, 1)
        from media.cards.card import Card, render_card

        card = Card(
            scene_number=message.segment_index + 1,
            scene_count=message.scene_count,
            prompt=message.prompt,
            title=message.title,
            seed=message.seed,
        )
        with self.objects.part(message.output_uri) as part:
            render_card(
                card,
                part,
                width_px=message.width_px,
                height_px=message.height_px,
                frame_rate=FRAME_RATE,
                duration_ms=message.duration_ms,
                on_progress=on_progress,
            )
            try:
                self.objects.finish(part, message.output_uri, if_generation=0)
            except PreconditionFailed:
                self.objects.announce(message.output_uri)


def _message(order: RenderOrder) -> LocalRender:
    scene = order.spec.scene
    assert scene is not None, "api.check lets only prompts through to this generator"
    width_px, height_px = frame_size(order.settings)
    return LocalRender(
        job_id=order.job_id,
        segment_index=order.segment_index,
        attempt=order.attempt,
        prompt=scene.prompt,
        title=order.settings.title,
        scene_count=order.segment_count,
        width_px=width_px,
        height_px=height_px,
        duration_ms=scene.duration_ms,
        seed=scene.seed if scene.seed is not None else order.segment_index,
        output_uri=f"{order.output_prefix}clip.mp4",
    )
