"""The ports of work: the generator that makes a clip, the stitcher that makes the film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from events.clip import Clip, StitchReport
from events.plan import StitchPlan
from events.requests import PromptSpec, SegmentSpec, Settings
from pipeline.records import Route


@dataclass(frozen=True, slots=True)
class RenderOrder:
    """All that a generator needs to make one segment."""

    job_id: str
    segment_index: int
    segment_count: int
    attempt: int
    spec: SegmentSpec
    settings: Settings
    #: `gs://bucket/jobs/{job}/segments/{index}/{attempt}/`: the clip lands below it, and nothing else does.
    output_prefix: str
    #: `gs://bucket/object` of the picture to start from; None to start from nothing.
    start_image: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What one clip will cost, and what the caller should know before it is bought."""

    #: What the provider bills for one attempt that succeeds.
    price_micro_usd: int = 0
    #: Length of the clip that will be made, which may be more than the film keeps; None where nobody can tell.
    duration_ms: int | None = None
    #: Where the clip will not be made exactly as asked, such as "asks for 6 s and keeps the first 5 s".
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The work goes on elsewhere; its object will tell."""

    #: The other side's name for it, enough to ask about it later.
    operation: str
    #: A stitch only: as in `FilmReady`.
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class ClipReady:
    """The clip was there already, and was probed."""

    clip: Clip


@dataclass(frozen=True, slots=True)
class Running:
    """The other side is still at it."""

    #: 0–100 where it tells.
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The work came to nothing."""

    code: str
    message: str
    retryable: bool
    bad_segment_index: int | None = None
    #: How far it came, 0–100; None where nobody knows.
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The other side knows of no such work, or says that it is finished: look for the object."""


class Generator(Protocol):
    """Makes one segment's clip."""

    @property
    def resubmittable(self) -> bool:
        """Tell whether giving the same order twice makes one clip and costs nothing more."""
        ...

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Tell what the clip costs; refuse what this generator cannot make, before a job exists.

        Raises:
            InvalidRequest: names the field below `field` (such as `prompts[3]`) and what would be right.
        """
        ...

    def submit(self, order: RenderOrder) -> Started | ClipReady:
        """Start one clip.

        Raises:
            LimitExceeded: the quota is used up; nothing was started.
            Unavailable: it may or may not have been started.
            RenderFailed, BadMedia: it cannot be made.
        """
        ...

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask about work; only for what is overdue."""
        ...

    def cancel(self, operation: str) -> None:
        """Tell that nobody waits any more; best effort."""
        ...


@dataclass(frozen=True, slots=True)
class FilmReady:
    """The film was made on the spot."""

    uri: str
    generation: int
    report: StitchReport
    #: The route that was really taken, where the one that was asked for could not be.
    route: Route | None = None


class Stitcher(Protocol):
    """Makes the film from a plan."""

    def route(self, plan: StitchPlan) -> Route:
        """Tell how the plan would be carried out, what it costs and why.

        Raises:
            StitchFailed: it cannot be carried out here; the text says why.
        """
        ...

    def start(self, plan: StitchPlan, route: Route) -> Started | FilmReady:
        """Start making the film; safe to repeat for the same attempt.

        Raises:
            StitchFailed: it cannot be made.
            Unavailable: it may or may not have been started.
        """
        ...

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask about work; only for what is overdue."""
        ...

    def cancel(self, operation: str) -> None:
        """Tell that nobody waits any more; best effort."""
        ...
