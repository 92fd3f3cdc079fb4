"""What must hold after every commit, before every purchase and at the end: a checker each, named by its promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from events.messages import SegmentRequested, StitchRequested
from events.plan import StitchPlan
from pipeline import limits
from pipeline.commands import Outgoing
from pipeline.records import Job, JobState, Segment, SegmentState, StitchWork
from pipeline.retry import LOST
from pipeline.work_ports import RenderOrder, Running
from tests.simulation.fakes import PRICE_MICRO_USD, STITCH_MICRO_USD, Fate, Purchase
from tests.simulation.ports import Change, Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

#: From which state a job that is over may go on, by which event, and whereto.
_RISES = {
    (JobState.FAILED, "ResumeRequested", JobState.GENERATING),
    (JobState.FAILED, "ResumeRequested", JobState.STITCHING),
    (JobState.FAILED, "StitchDone", JobState.COMPLETED),
}
_IN_FLIGHT = (SegmentState.CLAIMED, SegmentState.GENERATING)


class Checkers:
    """All of them, over one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._documents = world.documents
        #: Operations that were written down.
        self._recorded: set[str] = set()
        self._completions: Counter[str] = Counter()

    def after_commit(self, change: Change) -> None:
        """Hold one change against every promise.

        Raises:
            Violation: one is broken.
        """
        if change.segment is not None and change.segment.operation is not None:
            self._recorded.add(change.segment.operation)
        if change.job.stitch.operation is not None:
            self._recorded.add(change.job.stitch.operation)
        for checker, fault in self._faults(change):
            raise Violation(checker, fault)

    def before_submit(self, order: RenderOrder) -> None:
        """Hold a purchase against the books.

        Raises:
            Violation: it must not be bought.
        """
        segment = self._documents.segments[order.job_id, order.segment_index]
        same = [each for each in self._world.generator.bought if _is_of(each, segment)]
        if len(same) >= segment.attempt or order.attempt > segment.attempt:
            raise Violation(
                "every purchase is a counted attempt",
                f"purchase {len(same) + 1} of segment {segment.index} by attempt {order.attempt} of {segment.attempt}",
            )
        for earlier in same:
            if not self._world.generator.resubmittable and (why := self._why_not_again(earlier)) is not None:
                text = f"segment {segment.index} is bought by attempt {order.attempt}, but attempt "
                raise Violation("no clip is bought twice", f"{text}{earlier.order.attempt} {why}")

    def before_stitch(self, plan: StitchPlan) -> None:
        """Hold the start of a stitch against those before it.

        Raises:
            Violation: an earlier one is at work.
        """
        for operation, earlier in self._world.stitcher.started.items():
            # One that nobody was told of may be started again beside it: that costs little, and one of them gives way.
            if operation not in self._recorded:
                continue
            is_running = isinstance(earlier.answer, Running) and earlier.plan.job_id == plan.job_id
            waited = self._world.now() - earlier.at
            if is_running and earlier.plan.attempt < plan.attempt and waited < limits.STITCH_PATIENCE:
                text = f"attempt {plan.attempt} of {plan.job_id} begins {waited.total_seconds():.0f} s after"
                raise Violation("one stitch at a time", f"{text} attempt {earlier.plan.attempt}, which is at work")

    def before_publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Hold messages against what is written: an order is given by what a commit says, never before.

        Raises:
            Violation: nothing that is written asks for one.
        """
        for each in outgoing:
            message = each.message
            job = self._documents.jobs.get(getattr(message, "job_id", ""))
            if job is None or not job.active:
                continue
            is_early = isinstance(message, SegmentRequested) and message.segment_index >= job.window_end
            is_early |= isinstance(message, StitchRequested) and job.state is not JobState.STITCHING
            if is_early:
                raise Violation("what is published was committed before", f"{message} of a job that is {job.state}")

    def at_rest(self) -> None:
        """Hold what is left at the end against the books and the store.

        Raises:
            Violation: they differ.
        """
        for job_id, job in self._documents.jobs.items():
            store = self._world.jobs.store
            kept, said = store.load(job_id), job
            if _coarse(kept) != _coarse(said) or list(map(_coarse, store.segments(job_id))) != list(
                map(_coarse, self._documents.of(job_id))
            ):
                raise Violation("what was said is what is kept", f"{job_id} reads otherwise than it was written")
            for segment in self._documents.of(job_id):
                self._check_books(job, segment)

    # Inside.

    def _faults(self, change: Change) -> Iterator[tuple[str, str]]:
        job, before = change.job, change.job_before
        if change.segment is not None and change.segment_before is not None:
            yield from _segment_faults(change, change.segment_before, change.segment)
        if before is not None and before != job:
            yield from _job_faults(change, before, job)
        yield from self._count_faults(job)
        yield from self._lock_faults(job)
        if job.stitch.attempt and job.ended_count < job.segment_count:
            yield "a film is begun when every segment has ended", f"{job.job_id}, {job.ended_count} have"
        if job.active and job.wake_at is None:
            yield "every active state has a deadline", f"{job.job_id} is {job.state} and is never looked at"
        if job.state is JobState.COMPLETED and (before is None or before.state is not JobState.COMPLETED):
            yield from self._film_faults(job)

    def _count_faults(self, job: Job) -> Iterator[tuple[str, str]]:
        states = Counter(each.state for each in self._documents.of(job.job_id))
        counted = (job.done_count, job.skipped_count)
        there = (states[SegmentState.DONE], states[SegmentState.SKIPPED])
        if counted != there:
            yield "the counts are the truth", f"{job.job_id} counts {counted}, there are {there} (done, skipped)"
        # A clip that was paid for and then left out, because the film could not be made with it, was paid for.
        clips = sum(each.clip is not None for each in self._documents.of(job.job_id))
        # A film whose route was never told, because the process died before it could, has no price.
        stitched = STITCH_MICRO_USD if job.film and job.route else 0
        if job.cost.spent_micro_usd != self._price(job) * clips + stitched:
            text = f"{job.cost.spent_micro_usd} for {clips} clips and {'a' if job.film else 'no'} film"
            yield "money spent is money accounted", text

    def _lock_faults(self, job: Job) -> Iterator[tuple[str, str]]:
        key = job.scope, job.kind
        active = [
            each.job_id for each in self._documents.jobs.values() if each.active and (each.scope, each.kind) == key
        ]
        if len(active) > 1:
            yield "one job of a kind is active in a project", ", ".join(active)

    def _film_faults(self, job: Job) -> Iterator[tuple[str, str]]:
        checker = "a completed film holds every clip once, in order"
        self._completions[job.job_id] += 1
        if self._completions[job.job_id] > 1:
            yield "one stitch takes effect", f"{job.job_id} was completed {self._completions[job.job_id]} times"
        plan = self._world.films.get((job.film.uri, job.film.generation)) if job.film else None
        if plan is None:
            yield checker, f"nobody has made {job.film and job.film.uri}"
            return
        segments = self._documents.of(job.job_id)
        held = [(clip.segment_index, clip.uri, clip.generation) for clip in plan.clips]
        done = [(s.index, s.clip.uri, s.clip.generation) for s in segments if s.state is SegmentState.DONE and s.clip]
        if held != done:
            yield checker, f"it holds {held}, done are {done}"
        if any(each.state not in (SegmentState.DONE, SegmentState.SKIPPED) for each in segments):
            yield checker, f"{[str(each.state) for each in segments]}"

    def _price(self, job: Job) -> int:
        return PRICE_MICRO_USD if job.generator == "paid" and not self._world.generator.resubmittable else 0

    def _why_not_again(self, earlier: Purchase) -> str | None:
        """Tell why nothing may be bought in the place of an earlier purchase; None where it may."""
        now = self._world.now()
        if earlier.ended_at is not None and earlier.fate is Fate.LANDS:
            # What lands while an order is on its way to the generator could not be seen by who sent it.
            return None if self._world.began_before(earlier.ended_step) else "has landed"
        if earlier.ended_at is not None:
            return None
        waited = now - earlier.at
        if waited < limits.CLAIM_LEASE:
            return f"was bought {waited.total_seconds():.0f} s ago, and its lease holds"
        is_unknown = earlier.is_forgotten or earlier.operation not in self._recorded
        if is_unknown or waited > limits.GENERATION_LONGEST:
            return None
        return "is known to be running"

    def _check_books(self, job: Job, segment: Segment) -> None:
        bought = [each for each in self._world.generator.bought if _is_of(each, segment)]
        billed = self._price(job) * sum(each.is_billed for each in bought)
        is_paid = segment.clip is not None
        accounted = self._price(job) * is_paid + segment.wasted_micro_usd
        ended = is_paid or segment.state in (SegmentState.FAILED, SegmentState.SKIPPED)
        if ended and billed > accounted:
            fates = [(each.order.attempt, str(each.fate)) for each in bought]
            whose = f"segment {segment.index} ({segment.state}) of {job.job_id}"
            text = f"{whose} cost {billed}, said are {accounted}: {fates}"
            raise Violation("money spent is money accounted", text)


def _coarse(record: Job | Segment | StitchWork) -> dict[str, Any]:
    """Give a record with its times cut to milliseconds, as the store keeps them."""
    return {name: _cut(value) for name, value in vars(record).items()}


def _cut(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return _coarse(value) if isinstance(value, StitchWork) else value


def _is_of(purchase: Purchase, segment: Segment) -> bool:
    return (purchase.order.job_id, purchase.order.segment_index) == (segment.job_id, segment.index)


def _segment_faults(change: Change, before: Segment, after: Segment) -> Iterator[tuple[str, str]]:
    if before.state is SegmentState.DONE:
        is_blamed = after.state is SegmentState.SKIPPED and change.event == "StitchFailed"
        if not is_blamed and (after.state, after.clip) != (before.state, before.clip):
            yield "a done segment stays done", f"segment {after.index} is {after.state} by {change.event}"
    if after.attempt < before.attempt or after.tries > limits.TRIES_MAX:
        yield "tries are limited", f"segment {after.index}: attempt {after.attempt}, try {after.tries}"
    if after.state in _IN_FLIGHT and after.wake_at is None:
        yield "every active state has a deadline", f"segment {after.index} is {after.state} and is never looked at"
    if after.state is SegmentState.DONE and after.clip is None:
        yield "a done segment has a clip", f"segment {after.index}"


def _job_faults(change: Change, before: Job, after: Job) -> Iterator[tuple[str, str]]:
    rises = (before.state, change.event, after.state) in _RISES
    if not before.active and after.state is not before.state and not rises:
        yield "terminal states absorb", f"{after.job_id} went from {before.state} to {after.state} by {change.event}"
    if after.progress < before.progress:
        yield "progress never falls", f"{after.job_id}: {before.progress} to {after.progress} by {change.event}"
    if before.film is not None and after.film != before.film:
        yield "one stitch takes effect", f"{after.job_id} has another film by {change.event}"
    was, work = before.stitch, after.stitch
    if work.attempt < was.attempt or work.tries > limits.TRIES_MAX or work.deaths > limits.DEATHS_MAX:
        yield "tries are limited", f"stitch attempt {work.attempt}, try {work.tries}, {work.deaths} deaths"
    is_over = change.event == "StitchFailed" and before.active and change.segment is None
    is_lost = is_over and after.stitch_error is not None and after.stitch_error.code == LOST
    if is_lost and was.operation is None and (work.tries, work.deaths) != (was.tries - 1, was.deaths + 1):
        yield "a death before the start is no try", f"attempt {was.attempt}: try {was.tries}, then {work.tries}"
