"""The events: facts, in the past tense, that `decide` answers.

Those that may lead to a retry bring their own `jitter`, because `decide` draws no chance.
"""

from __future__ import annotations

from dataclasses import dataclass

from events.clip import Clip, StitchReport
from pipeline.records import Route


@dataclass(frozen=True, slots=True)
class SegmentEvent:
    """Something happened to one segment."""

    segment_index: int


@dataclass(frozen=True, slots=True)
class SegmentRequested(SegmentEvent):
    """Somebody asked for the segment to start."""

    #: The worker that claimed it is known to be dead, so its lease means nothing.
    claimant_died: bool = False


@dataclass(frozen=True, slots=True)
class GenerationStarted(SegmentEvent):
    """The generator took the order and named its work."""

    attempt: int
    operation: str


@dataclass(frozen=True, slots=True)
class GenerationRunning(SegmentEvent):
    """The generator, asked, said that it is still at it."""

    attempt: int
    #: In [0, 1).
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class GenerationUnknown(SegmentEvent):
    """The lease ran out, nothing landed, and the generator knows of no such work."""

    attempt: int
    #: Giving the same order again is safe and free, so no new attempt is needed.
    resubmittable: bool
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class SegmentDone(SegmentEvent):
    """The segment's clip is there and was probed."""

    attempt: int
    clip: Clip
    #: `gs://bucket/object` of its last frame, where the job chains.
    last_frame: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentFailed(SegmentEvent):
    """An attempt came to nothing."""

    attempt: int
    code: str
    message: str
    retryable: bool
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class QuotaExhausted(SegmentEvent):
    """The provider would not take the order now; nothing was bought."""

    attempt: int
    message: str
    jitter: float = 0.5
    #: When the provider wishes to be asked again; None where it did not say.
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentDeadlinePassed(SegmentEvent):
    """The segment's `wakeAt` has passed."""

    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class SegmentClosed(SegmentEvent):
    """The segment's job is over."""


@dataclass(frozen=True, slots=True)
class SegmentReopened(SegmentEvent):
    """The segment's job was resumed."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something happened to the job as a whole."""


@dataclass(frozen=True, slots=True)
class JobRequested(JobEvent):
    """The job was created, or somebody replays its start."""


@dataclass(frozen=True, slots=True)
class SegmentEnded(JobEvent):
    """A segment of the job ended or changed its end; made by `decide` itself, in the same commit."""

    segment_index: int


@dataclass(frozen=True, slots=True)
class StitchRequested(JobEvent):
    """Somebody asked for the film to be made."""

    claimant_died: bool = False


@dataclass(frozen=True, slots=True)
class StitchStarted(JobEvent):
    """A stitcher took the plan and named its work."""

    attempt: int
    operation: str
    route: Route


@dataclass(frozen=True, slots=True)
class StitchProgressed(JobEvent):
    """The stitcher said how far it is, or that it is still at it."""

    attempt: int
    #: 0–100; None for "still at it".
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class StitchDone(JobEvent):
    """The film is there and was read back."""

    attempt: int
    uri: str
    generation: int
    report: StitchReport


@dataclass(frozen=True, slots=True)
class StitchFailed(JobEvent):
    """A stitch attempt came to nothing."""

    attempt: int
    code: str
    message: str
    retryable: bool
    #: The clip that is to blame, where one is.
    bad_segment_index: int | None = None
    jitter: float = 0.5
    #: How far the attempt came, 0–100; None where nobody knows more than what was told on the way.
    percent: int | None = None
    #: When the other side wishes to be asked again; None where it did not say.
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested(JobEvent):
    """Somebody wants the job stopped."""

    reason: str = "cancelled by the user"
    #: The job that takes its place.
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeRequested(JobEvent):
    """Somebody wants a failed job to go on."""


@dataclass(frozen=True, slots=True)
class JobDeadlinePassed(JobEvent):
    """The job's `wakeAt` has passed."""

    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class SegmentsClosed(JobEvent):
    """Every segment of a job that is over was told so."""


Event = SegmentEvent | JobEvent

SEGMENT_EVENTS: tuple[type[SegmentEvent], ...] = (
    SegmentRequested,
    GenerationStarted,
    GenerationRunning,
    GenerationUnknown,
    SegmentDone,
    SegmentFailed,
    QuotaExhausted,
    SegmentDeadlinePassed,
    SegmentClosed,
    SegmentReopened,
)
JOB_EVENTS: tuple[type[JobEvent], ...] = (
    JobRequested,
    SegmentEnded,
    StitchRequested,
    StitchStarted,
    StitchProgressed,
    StitchDone,
    StitchFailed,
    CancelRequested,
    ResumeRequested,
    JobDeadlinePassed,
    SegmentsClosed,
)
