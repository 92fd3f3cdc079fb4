"""A small world without I/O around `decide`: it keeps the documents, carries orders out, and delivers what happened.

Everything that waits lies in one bag: events, and orders that are being carried out. A test chooses what is taken out
next, what comes twice, and what is lost. Time passes only when nothing can be delivered, as far as the next thing that
waits for its time. What a generator and a stitcher do with each attempt is written down beforehand, so that two worlds
with the same script differ in nothing but order.

After every step the world checks what must always hold; each check names the promise that is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from events.requests import Kind, OnSegmentFailure, Request, read_request
from pipeline import commands as order
from pipeline import facts, limits
from pipeline.create import new_job
from pipeline.decide import Decision, decide, segment_index_of
from pipeline.records import (
    OPEN_SEGMENT_STATES,
    REOPENABLE_SEGMENT_STATES,
    Job,
    JobState,
    Segment,
    SegmentState,
)
from tests.unit.documents import NOW, ROUTE, clip_of, film_of

J, S = JobState, SegmentState


@dataclass(frozen=True)
class Script:
    """What the request is, and what every attempt comes to.

    A segment's outcomes, by attempt, the last for all that follow: `done`; `retry` and `refused` (a failure, passing or
    permanent); `quota`; `silent` (taken, but never heard of again: it runs until somebody asks); `lost` (the order
    never arrived). A stitch's: `done`, `retry`, `refused`, `silent`, `lost`, `bad-1` (segment 1's clip is to blame).
    """

    segments: tuple[tuple[str, ...], ...]
    stitch: tuple[str, ...] = ("done",)
    width: int = 4
    policy: OnSegmentFailure = OnSegmentFailure.FAIL
    kind: Kind = Kind.LONG_FORM
    daisy_chain: bool = False
    resubmittable: bool = True

    def of_segment(self, index: int, attempt: int) -> str:
        outcomes = self.segments[index]
        return outcomes[min(attempt, len(outcomes)) - 1]

    def of_stitch(self, attempt: int) -> str:
        return self.stitch[min(attempt, len(self.stitch)) - 1]

    def request(self) -> Request:
        shared = {"onSegmentFailure": self.policy, "maxParallelSegments": self.width, "kind": self.kind}
        if self.kind is Kind.STITCH:
            clips = [f"gs://bucket/{index}.mp4" for index in range(len(self.segments))]
            return read_request({**shared, "clips": clips})
        prompts = [f"scene {index}" for index in range(len(self.segments))]
        return read_request({**shared, "prompts": prompts, "daisyChain": self.daisy_chain})


@dataclass(frozen=True)
class Waiting:
    """Something in the bag: an event to deliver or an order to carry out, not before its time."""

    what: facts.Event | order.Command
    not_before: datetime | None = None


@dataclass
class World:
    """One job, everything around it, and everything that was ever seen of it."""

    script: Script
    now: datetime = NOW
    bag: list[Waiting] = field(default_factory=list)
    #: Attempts that really reached the generator or the stitcher.
    submitted: set[tuple[int, int]] = field(default_factory=set)
    stitched: set[int] = field(default_factory=set)
    #: Attempts whose end the machine was told.
    ended: set[tuple[int, int]] = field(default_factory=set)
    stitch_ended: set[int] = field(default_factory=set)
    #: How often each attempt was ordered.
    stitch_orders: dict[int, int] = field(default_factory=dict)
    #: Nothing was lost and nothing waited for a sweep, so every promise holds in its strict form.
    strict: bool = True
    job: Job = field(init=False)
    segments: list[Segment] = field(init=False)

    def __post_init__(self) -> None:
        request = self.script.request()
        self.job, self.segments = new_job(request, job_id="job_abc123", user_id="someone", now=self.now)
        self.tell(facts.JobRequested())

    # --- what a test does

    def tell(self, event: facts.Event) -> None:
        self.bag.append(Waiting(event))

    def ready(self) -> list[Waiting]:
        return [each for each in self.bag if each.not_before is None or each.not_before <= self.now]

    def take(self, each: Waiting, *, again: bool = False, lost: bool = False) -> None:
        """Deliver one thing; `again` leaves a copy of it in the bag, `lost` throws it away instead."""
        if not again:
            self.bag.remove(each)
        if lost:
            self.strict = False
            return
        if isinstance(each.what, order.Command):
            self._carry_out(each.what)
        else:
            self.happen(each.what)

    def happen(self, event: facts.Event) -> Decision:
        """Let the machine answer one event, and put what it orders into the bag."""
        index = segment_index_of(event)
        part = self.segments[index] if index is not None else None
        decision = decide(self.job, part, event, self.now)
        if isinstance(event, facts.SegmentFailed | facts.SegmentDone | facts.QuotaExhausted | facts.GenerationUnknown):
            self.ended.add((event.segment_index, event.attempt))
        if isinstance(event, facts.StitchFailed | facts.StitchDone):
            self.stitch_ended.add(event.attempt)
        self._write(decision)
        for command in decision.commands:
            self._put(command)
        return decision

    def let_time_pass(self) -> bool:
        """Go to the next thing in the bag that waits for its time; False when there is none."""
        times = [each.not_before for each in self.bag if each.not_before is not None and each.not_before > self.now]
        self.now = min(times, default=self.now)
        return bool(times)

    def sweep(self) -> bool:
        """Go to the next deadline and tell everything whose deadline passed; False when nothing has one."""
        deadlines = [at for at in (self.job.wake_at, *(each.wake_at for each in self.segments)) if at is not None]
        if not deadlines:
            return False
        self.strict = False
        self.now = max(self.now, min(deadlines))
        due = [each for each in self.segments if each.wake_at is not None and each.wake_at <= self.now]
        if self.job.wake_at is not None and self.job.wake_at <= self.now:
            self.tell(facts.JobDeadlinePassed())
        for segment in due:
            self.tell(facts.SegmentDeadlinePassed(segment.index))
        return True

    def run(self, choose: Callable[[World], None] | None = None) -> None:
        """Deliver everything, with `choose` taking from the bag (by default the oldest), until nothing waits."""
        for _ in range(5000):
            if self.ready():
                if choose is None:
                    self.take(self.ready()[0])
                else:
                    choose(self)
            elif not self.let_time_pass():
                return
        raise AssertionError(f"5000 steps did not bring the job to rest; it is {self.job.state}")

    # --- the outside

    def _put(self, command: order.Command) -> None:
        match command:
            case order.RequestJob():
                self.tell(facts.JobRequested())
            case order.RenderSegment(_, index, not_before):
                self.bag.append(Waiting(facts.SegmentRequested(index), not_before))
            case order.RequestStitch(_, not_before):
                self.bag.append(Waiting(facts.StitchRequested(), not_before))
            case _:
                if isinstance(command, order.SubmitSegment):
                    self._check_order(command)
                if isinstance(command, order.StitchClips):
                    self._check_stitch(command)
                self.bag.append(Waiting(command))

    def _carry_out(self, command: order.Command) -> None:
        match command:
            case order.OpenWindow(_, end):
                for segment in [each for each in self.segments if each.state in REOPENABLE_SEGMENT_STATES]:
                    self.happen(facts.SegmentReopened(segment.index))
                for segment in [each for each in self.segments[:end] if each.state is S.PENDING]:
                    self.bag.append(Waiting(facts.SegmentRequested(segment.index), segment.not_before))
            case order.CloseSegments():
                for segment in [each for each in self.segments if each.state in OPEN_SEGMENT_STATES]:
                    self.happen(facts.SegmentClosed(segment.index))
                self.tell(facts.SegmentsClosed())
            case order.SubmitSegment(_, index, attempt):
                self._submit(index, attempt)
            case order.InspectSegment(_, index, attempt):
                self._inspect_segment(index, attempt)
            case order.StitchClips(_, attempt):
                self._stitch(attempt)
            case order.InspectStitch(_, attempt, _):
                self._inspect_stitch(attempt)
            case _:
                # To cancel is a wish: what was started ends as it would have.
                assert isinstance(command, order.CancelGeneration | order.CancelStitch | order.ForgetCheckpoints)

    def _submit(self, index: int, attempt: int) -> None:
        outcome = self.script.of_segment(index, attempt)
        if outcome == "quota":
            self.tell(facts.QuotaExhausted(index, attempt, "10 a minute"))
            return
        if outcome == "lost":
            return
        first_time = (index, attempt) not in self.submitted
        self.submitted.add((index, attempt))
        self.tell(facts.GenerationStarted(index, attempt, f"op-{index}-{attempt}"))
        if first_time and outcome != "silent":
            self.tell(self._segment_end(index, attempt))

    def _segment_end(self, index: int, attempt: int) -> facts.SegmentEvent:
        outcome = self.script.of_segment(index, attempt)
        if outcome == "done":
            frame = f"gs://bucket/{index}.png" if self.job.daisy_chain else None
            return facts.SegmentDone(index, attempt, clip_of(index, attempt), frame)
        return facts.SegmentFailed(
            index, attempt, f"render_{outcome}", f"attempt {attempt} of {index}", outcome == "retry"
        )

    def _inspect_segment(self, index: int, attempt: int) -> None:
        if (index, attempt) not in self.submitted:
            self.tell(facts.GenerationUnknown(index, attempt, self.script.resubmittable))
        elif self.script.of_segment(index, attempt) == "silent":
            self.tell(facts.GenerationRunning(index, attempt))
        else:
            self.tell(self._segment_end(index, attempt))

    def _stitch(self, attempt: int) -> None:
        outcome = self.script.of_stitch(attempt)
        if outcome == "lost" or attempt in self.stitched:
            return
        self.stitched.add(attempt)
        self.tell(facts.StitchStarted(attempt, f"st-{attempt}", ROUTE))
        if outcome != "silent":
            self.tell(facts.StitchProgressed(attempt, 50))
            self.tell(self._stitch_end(attempt))

    def _stitch_end(self, attempt: int) -> facts.JobEvent:
        outcome = self.script.of_stitch(attempt)
        if outcome == "done":
            return film_of(attempt)
        bad = int(outcome.removeprefix("bad-")) if outcome.startswith("bad-") else None
        return facts.StitchFailed(attempt, "stitch_failed", f"stitch {attempt}: {outcome}", outcome == "retry", bad)

    def _inspect_stitch(self, attempt: int) -> None:
        if attempt not in self.stitched:
            self.tell(facts.StitchFailed(attempt, "stitch_lost", "without a word", retryable=True))
        elif self.script.of_stitch(attempt) == "silent":
            self.tell(facts.StitchProgressed(attempt))
        else:
            self.tell(self._stitch_end(attempt))

    # --- what must always hold

    def _write(self, decision: Decision) -> None:
        before = (self.job, self.segments[:])
        if decision.job is not None:
            self.job = decision.job
        if decision.segment is not None:
            self.segments[decision.segment.index] = decision.segment
        self._check(*before)

    def _check(self, job: Job, segments: list[Segment]) -> None:
        done = sum(each.state is S.DONE for each in self.segments)
        skipped = sum(each.state is S.SKIPPED for each in self.segments)
        assert (self.job.done_count, self.job.skipped_count) == (done, skipped), "the job's counts are not the truth"
        assert done + skipped <= self.job.segment_count
        assert self.job.progress >= job.progress, "progress went backwards"
        assert self.job.resume_count <= limits.RESUMES_MAX
        if job.state in (J.COMPLETED, J.CANCELLED):
            assert self.job.state is job.state, f"a job that was {job.state} became {self.job.state}"
        if self.job.state is J.COMPLETED:
            assert done + skipped == self.job.segment_count, "a film with segments missing"
            assert self.job.film is not None
            assert done
        if self.job.active:
            assert self.job.wake_at is not None, "an active job without a deadline"
            flying = sum(each.state in (S.CLAIMED, S.GENERATING) for each in self.segments)
            assert flying <= self.job.width, f"{flying} segments in flight, {self.job.width} allowed"
        for was, is_now in zip(segments, self.segments, strict=True):
            self._check_segment(was, is_now)

    def _check_segment(self, was: Segment, is_now: Segment) -> None:
        if was is is_now:
            return
        assert is_now.attempt >= was.attempt, "an attempt's number was given twice"
        assert 0 <= is_now.tries <= limits.TRIES_MAX, "more tries than there are"
        if was.state is S.DONE:
            assert is_now.clip == was.clip, "a finished clip was lost"
            assert is_now.attempt == was.attempt, "a finished clip was bought again"
        if is_now.state in (S.CLAIMED, S.GENERATING):
            assert is_now.wake_at is not None, "an active segment without a deadline"

    def _check_order(self, command: order.SubmitSegment) -> None:
        index, attempt = command.segment_index, command.attempt
        assert self.segments[index].state is not S.DONE, "a finished segment was ordered again"
        if self.strict:
            earlier = {(index, number) for number in range(1, attempt)}
            assert earlier <= self.ended, "a new attempt was bought while an earlier one may still land"
        if self.job.daisy_chain and index:
            behind = [each.index for each in self.segments[:index] if each.state is S.DONE]
            expected = f"gs://bucket/{behind[-1]}.png" if behind else None
            assert self.job.last_frame == expected, "the chain broke"

    def _check_stitch(self, command: order.StitchClips) -> None:
        count = self.stitch_orders[command.attempt] = self.stitch_orders.get(command.attempt, 0) + 1
        assert count == 1, f"stitch attempt {command.attempt} was ordered {count} times"
        if self.strict:
            earlier = set(range(1, command.attempt))
            assert earlier <= self.stitch_ended, "a new film was begun while an earlier one may still land"
        assert all(each.state in (S.DONE, S.SKIPPED) for each in self.segments), "stitched with segments missing"

    def documents(self, *, progress: bool = True) -> dict[str, object]:
        """Give what is kept of the job, without the times, which tell when things were delivered."""
        job = self.job
        return {
            "job": (job.state, job.done_count, job.skipped_count, job.resume_count, job.warnings, job.error),
            "stitch": (job.stitch_error, job.stitch.attempt, job.stitch.tries, job.stitch.claimed),
            "film": (job.film, job.route if job.film else None, job.cost, job.last_frame),
            "progress": job.progress if progress else None,
            "segments": [
                (each.index, each.state, each.attempt, each.tries, each.clip, each.error, each.waiting_quota)
                for each in self.segments
            ],
        }
