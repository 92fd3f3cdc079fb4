"""`longreel report`: what the jobs of some days cost, how long they took, what failed; from the embedded store.

Each table has the columns of the BigQuery view of the same name (`infra/views/`), which is made of log lines instead; a
test holds the numbers of both together. Days are UTC's, and all of a job belongs to the day on which it was asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.ports import JobStore
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.view import begun_at

#: More than a home ever has.
_JOBS_MAX = 10**9
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What one user's jobs of one day cost."""

    day: date
    user_id: str
    jobs: int
    spent_usd: float
    wasted_usd: float


@dataclass(frozen=True, slots=True)
class Latency:
    """How long something took: the times that half, nine of ten, and 99 of 100 stayed within."""

    #: `job` (from the request, or the resume, to the film), `generation` (of one clip), `stitch`.
    what: str
    count: int
    p50_ms: int
    p90_ms: int
    p99_ms: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """How many clips and films met an error last, whether or not another try helped."""

    error_code: str
    count: int
    #: When a job that met it was last at work.
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Success:
    """How jobs of one type ended."""

    job_type: str
    completed: int
    failed: int
    cancelled: int
    #: Of those that were not cancelled; None where there are none.
    success_rate: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. Costs are the newest first, troubles the most frequent first."""

    since: datetime
    costs: Sequence[Cost]
    latencies: Sequence[Latency]
    troubles: Sequence[Trouble]
    successes: Sequence[Success]


@dataclass(frozen=True, slots=True)
class _Whole:
    job: Job
    segments: Sequence[Segment]


def make_report(store: JobStore, now: datetime, days: int) -> Report:
    """Look at every job that was asked for in the last `days` days, today included.

    Args:
        store: where the jobs are.
        now: aware, UTC.
        days: at least 1.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=days - 1)
    jobs = [job for job in store.jobs(limit=_JOBS_MAX) if job.created_at >= since]
    wholes = [_Whole(job, store.segments(job.job_id)) for job in jobs]
    return Report(since, _costs(wholes), list(_latencies(wholes)), _troubles(wholes), _successes(jobs))


def _costs(wholes: Iterable[_Whole]) -> list[Cost]:
    found: dict[tuple[date, str], list[_Whole]] = defaultdict(list)
    for each in wholes:
        found[each.job.created_at.date(), each.job.user_id].append(each)
    return [
        Cost(
            day,
            user_id,
            len(theirs),
            sum(each.job.cost.spent_micro_usd for each in theirs) / _MICRO,
            sum(part.wasted_micro_usd for each in theirs for part in each.segments) / _MICRO,
        )
        for (day, user_id), theirs in sorted(found.items(), key=lambda each: (-each[0][0].toordinal(), each[0][1]))
    ]


def _latencies(wholes: Sequence[_Whole]) -> Iterator[Latency]:
    made = [each.job for each in wholes if each.job.state is JobState.COMPLETED]
    done = [part for each in wholes for part in each.segments if part.state is SegmentState.DONE]
    times = {
        "job": [_ms(begun_at(job), job.ended_at) for job in made],
        "generation": [_ms(part.claimed_at, part.updated_at) for part in done],
        "stitch": [_ms(job.stitch.began_at, job.ended_at) for job in made],
    }
    for what, found in times.items():
        known = sorted(each for each in found if each is not None)
        if known:
            yield Latency(what, len(known), *(_percentile(known, percent) for percent in (50, 90, 99)))


def _ms(start: datetime | None, end: datetime | None) -> int | None:
    # A job of an older version lacks some times.
    return None if start is None or end is None else round((end - start) / timedelta(milliseconds=1))


def _percentile(ascending: Sequence[int], percent: int) -> int:
    """Give the smallest that `percent` of all are not above: the nearest rank, as the view has it.

    >>> [_percentile([10, 20, 30, 40], percent) for percent in (1, 50, 51, 100)]
    [10, 20, 30, 40]
    """
    return ascending[-(-len(ascending) * percent // 100) - 1]


def _troubles(wholes: Iterable[_Whole]) -> list[Trouble]:
    counts: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for each in wholes:
        at = max(each.job.updated_at, *(part.updated_at for part in each.segments))
        for code in _codes(each).values():
            counts[code] += 1
            last[code] = max(at, last.get(code, at))
    return [
        Trouble(code, count, last[code]) for code, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    ]


def _codes(whole: _Whole) -> dict[int | None, str]:
    """Give the error that each clip met last; under None what failed the job, where no clip is to blame."""
    # What became of clips on order is not known once somebody has stopped their job.
    told = (part for part in whole.segments if part.error is not None and part.state is not SegmentState.CANCELLED)
    codes: dict[int | None, str] = {part.index: part.error.code for part in told if part.error is not None}
    error = whole.job.error
    if whole.job.state is JobState.FAILED and error is not None:
        codes[error.segment_index] = error.code
    return codes


def _successes(jobs: Iterable[Job]) -> list[Success]:
    ends: dict[str, Counter[JobState]] = defaultdict(Counter)
    for job in jobs:
        if not job.active:
            ends[job.kind.value][job.state] += 1
    return [_success(kind, ends[kind]) for kind in sorted(ends)]


def _success(kind: str, ends: Counter[JobState]) -> Success:
    completed, failed = ends[JobState.COMPLETED], ends[JobState.FAILED]
    rate = completed / (completed + failed) if completed + failed else None
    return Success(kind, completed, failed, ends[JobState.CANCELLED], rate)
