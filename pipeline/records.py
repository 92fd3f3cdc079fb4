"""What is kept of a job and of each of its segments. Frozen: a change makes a new one, in `pipeline/` only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from events.clip import Clip, StitchReport
from events.requests import Kind, OnSegmentFailure


class JobState(StrEnum):
    """Where a job stands."""

    #: Created; its window has not been opened.
    QUEUED = "queued"
    #: Segments are being made.
    GENERATING = "generating"
    #: Every segment has ended; the film is being made.
    STITCHING = "stitching"
    #: The film is there and was read back.
    COMPLETED = "completed"
    #: It cannot be finished; `error` says why. May be resumed.
    FAILED = "failed"
    #: Somebody stopped it.
    CANCELLED = "cancelled"


class SegmentState(StrEnum):
    """Where a segment stands."""

    #: Not started, or waiting for its next try.
    PENDING = "pending"
    #: Somebody is submitting it; the claim is a lease.
    CLAIMED = "claimed"
    #: The generator has it.
    GENERATING = "generating"
    #: Its clip is there and was probed.
    DONE = "done"
    #: It cannot be had.
    FAILED = "failed"
    #: It cannot be had, and the film is made without it.
    SKIPPED = "skipped"
    #: Its job ended first.
    CANCELLED = "cancelled"


ACTIVE_JOB_STATES = frozenset({JobState.QUEUED, JobState.GENERATING, JobState.STITCHING})
OPEN_SEGMENT_STATES = frozenset({SegmentState.PENDING, SegmentState.CLAIMED, SegmentState.GENERATING})
#: States whose entering or leaving the job counts.
COUNTED_SEGMENT_STATES = frozenset({SegmentState.DONE, SegmentState.FAILED, SegmentState.SKIPPED})
REOPENABLE_SEGMENT_STATES = frozenset({SegmentState.FAILED, SegmentState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, for people and programs."""

    #: A short snake_case word.
    code: str
    message: str
    #: 0-based; None when no single segment is to blame.
    segment_index: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Which stitcher makes the film, what it costs, why, and why the others lost."""

    stitcher: str
    reason: str
    price_micro_usd: int = 0
    #: "name: why not" of every other stitcher.
    losers: tuple[str, ...] = ()
    #: What went another way than wished, for people; added to the job's own warnings.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Film:
    """The finished video."""

    #: `gs://bucket/object`.
    uri: str
    generation: int
    report: StitchReport


@dataclass(frozen=True)
class StitchWork:
    """How far the stitch is. `attempt` names objects and only rises; `tries` is counted anew after a resume.

    An attempt that is cut off further on than all before it is the first try of a new row: a film that needs several
    time limits is made as long as each brings something, and one that gets nowhere has TRIES_MAX.
    """

    #: 1-based; 0 before the first.
    attempt: int = 0
    tries: int = 0
    #: Somebody plans, starts or runs the attempt.
    claimed: bool = False
    #: The stitcher's own name for the running work.
    operation: str | None = None
    #: 0–100, never backwards within an attempt.
    percent: int = 0
    not_before: datetime | None = None
    #: An attempt was too large for its machine: from now on a larger one is taken, or less is done at a time.
    larger: bool = False
    #: 0–100: how far the furthest attempt was that was cut off.
    reached: int = 0
    #: Attempts whose worker died before they were known to have begun; these are no tries. Anew after a resume.
    deaths: int = 0
    #: When the job came to its stitch; None before, and in jobs of an earlier version.
    began_at: datetime | None = None


@dataclass(frozen=True)
class Cost:
    """Money, in millionths of a US dollar."""

    #: What all segments together should cost.
    estimated_micro_usd: int = 0
    #: What the finished segments cost.
    spent_micro_usd: int = 0
    #: What was paid for attempts that came to nothing.
    wasted_micro_usd: int = 0


@dataclass(frozen=True)
class Job:
    """One requested output: ordered segments and one finish."""

    job_id: str
    kind: Kind
    project_id: str
    user_id: str
    #: Name of the generator of every segment.
    generator: str
    #: JSON of events.requests.Settings.
    settings: str
    segment_count: int
    #: Segments in flight at most; 1 with daisy_chain.
    width: int
    on_segment_failure: OnSegmentFailure
    #: Segment i + 1 starts from the last frame of segment i.
    daisy_chain: bool
    created_at: datetime
    updated_at: datetime
    #: The job has failed if it is active after this.
    deadline_at: datetime
    #: When the sweep should look; None when the job waits for nothing.
    wake_at: datetime | None
    state: JobState = JobState.QUEUED
    done_count: int = 0
    skipped_count: int = 0
    resume_count: int = 0
    #: 0–100, never backwards.
    progress: int = 0
    error: Failure | None = None
    stitch_error: Failure | None = None
    warnings: tuple[str, ...] = ()
    route: Route | None = None
    film: Film | None = None
    stitch: StitchWork = StitchWork()
    cost: Cost = Cost()
    #: `gs://bucket/object` of the picture that the next chained segment starts from.
    last_frame: str | None = None
    #: Job that took this one's place.
    superseded_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def scope(self) -> str:
        """What holds one active job of a kind: a project belongs to its user, and nobody else can block it."""
        return f"{self.user_id}/{self.project_id}"

    @property
    def active(self) -> bool:
        """Whether the job still has something to do."""
        return self.state in ACTIVE_JOB_STATES

    @property
    def ended_count(self) -> int:
        """Segments that count as over while the job is active: done or skipped."""
        return self.done_count + self.skipped_count

    @property
    def window_end(self) -> int:
        """Segments below this index may be in flight: as many as are over, and `width` more."""
        return min(self.segment_count, self.ended_count + self.width)


@dataclass(frozen=True)
class Segment:
    """One ordered unit of a job's work; ends as one clip."""

    job_id: str
    #: 0-based.
    index: int
    #: JSON of events.requests.SegmentSpec.
    spec: str
    updated_at: datetime
    state: SegmentState = SegmentState.PENDING
    #: 1-based number of the latest attempt, part of its prefix, only rises; 0 before the first.
    attempt: int = 0
    #: Attempts that count against TRIES_MAX; a quota refusal does not, a resume starts anew.
    tries: int = 0
    claimed_at: datetime | None = None
    #: The generator's own name for the running work.
    operation: str | None = None
    #: Not to be started before this.
    not_before: datetime | None = None
    #: Pending because the provider's quota is used up.
    waiting_quota: bool = False
    clip: Clip | None = None
    #: Latest failure, kept after a retry for the operator.
    error: Failure | None = None
    #: What one attempt that succeeds costs, in millionths of a US dollar.
    price_micro_usd: int = 0
    #: What was paid for attempts that came to nothing.
    wasted_micro_usd: int = 0
    #: When the sweep should look; None when the segment waits for nothing.
    wake_at: datetime | None = None


if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(record, **fields):
        """Give a copy of a Job, a Segment or a part of one with some fields changed.

        `dataclasses.replace` sets each of a job's thirty fields anew and was a third of the machine's time; this one
        needs records without slots.
        """
        copy = object.__new__(type(record))
        vars(copy).update(vars(record), **fields)
        return copy
