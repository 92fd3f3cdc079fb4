"""The heart of the core: whatever the order, the copies and the losses, a job ends as it should, and nothing is lost.

Chance is a list of numbers from Hypothesis: which of the things that wait comes next, and whether it comes twice. A
failing example therefore shrinks to the shortest list, and an empty list is the plain order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.requests import Kind, OnSegmentFailure
from pipeline import facts, limits
from pipeline.records import ACTIVE_JOB_STATES, JobState, SegmentState
from tests.unit.documents import clip_of
from tests.unit.world import Script, World

J, S = JobState, SegmentState
FAIL, SKIP = OnSegmentFailure.FAIL, OnSegmentFailure.SKIP

chances = st.lists(st.integers(0, 999), max_size=60)

#: What an operator may publish at any time, for any job, any number of times.
replays = st.lists(
    st.builds(facts.JobRequested)
    | st.builds(facts.StitchRequested)
    | st.builds(facts.SegmentRequested, st.integers(0, 4)),
    max_size=6,
)
#: What an attempt may come to before the one that decides.
_before = st.lists(st.sampled_from(["retry", "quota"]), max_size=2)
_good = _before.map(lambda outcomes: (*outcomes, "done"))
_doomed = st.one_of(_before.map(lambda outcomes: (*outcomes, "refused")), st.just(("retry",)))
_stitch_end = st.lists(st.sampled_from(["retry", "bad-0", "bad-1"]), max_size=2)


def scripts(
    segment: st.SearchStrategy[tuple[str, ...]],
    policies: st.SearchStrategy[OnSegmentFailure],
    stitch_ends: tuple[str, ...] = ("done",),
) -> st.SearchStrategy[Script]:
    chained = st.sampled_from([False, False, True])
    made = st.builds(
        Script,
        segments=st.lists(segment, min_size=1, max_size=5).map(tuple),
        stitch=st.tuples(_stitch_end, st.sampled_from(stitch_ends)).map(lambda pair: (*pair[0], pair[1])),
        width=st.integers(1, 4),
        policy=policies,
        daisy_chain=chained,
        resubmittable=st.booleans(),
    )
    return made.map(_with_its_kind)


def _with_its_kind(script: Script) -> Script:
    """Make a reel of every script that can be one."""
    is_reel = len(script.segments) % 2 == 0 and not script.daisy_chain
    last = len(script.segments) - 1
    stitch = tuple("bad-0" if outcome == "bad-1" and last < 1 else outcome for outcome in script.stitch)
    return replace(script, kind=Kind.STITCH if is_reel else Kind.LONG_FORM, stitch=stitch)


def by(numbers: list[int], *, losses: bool = False, strikes_max: int = 60) -> Callable[[World], None]:
    """Choose by chance: a number says which comes next; from 700 on it comes again later, from 900 on never.

    The numbers are used round and round, so that a short list reaches the last event too; copies and losses are
    bounded, so that there is a last event.
    """
    left, mischief = cycle(numbers or [0]), iter(range(strikes_max))

    def choose(world: World) -> None:
        number, waiting = next(left), world.ready()
        strikes = number >= 700 and next(mischief, None) is not None
        lost = strikes and losses and number >= 900
        world.take(waiting[number % len(waiting)], again=strikes and not lost, lost=lost)

    return choose


def sweep_until_rest(world: World, choose: Callable[[World], None] | None = None) -> None:
    """Let the sweep mend what is left until nothing has a deadline any more."""
    world.run(choose)
    for _ in range(2000):
        if not world.sweep():
            return
        world.run(choose)
    raise AssertionError(f"something waits for ever; the job is {world.job.state}")


# --- order


@given(scripts(_good | _doomed, st.just(SKIP)) | scripts(_good, st.sampled_from(OnSegmentFailure)), chances, replays)
@example(Script(segments=(("done",), ("retry", "done")), width=2), [0, 0, 0, 0, 0, 0, 998], [])
def test_every_order_of_a_jobs_events_ends_in_the_same_documents(
    script: Script, numbers: list[int], replayed: list[facts.Event]
) -> None:
    """With copies, and with whatever an operator may publish by hand meanwhile.

    Claimed for every job that no segment fails: all clips come, or the policy leaves out what does not.

    Of a job that a segment fails, it depends on the order which of the others had been started by then, because the
    window moves with each end; for those, see the two tests that follow.
    """
    plain, shuffled = World(script), World(script)

    for event in replayed:
        if not isinstance(event, facts.SegmentEvent) or event.segment_index < len(script.segments):
            shuffled.tell(event)

    plain.run()
    shuffled.run(by(numbers))

    assert plain.job.state in (J.COMPLETED, J.FAILED)
    completed = plain.job.state is J.COMPLETED
    assert shuffled.documents(progress=completed) == plain.documents(progress=completed)
    assert shuffled.job.progress == 100 or not completed


@given(
    st.lists(st.sampled_from([("done",), ("refused",), ("retry", "done"), ("quota", "done")]), min_size=2, max_size=5),
    chances,
)
def test_every_order_ends_a_failing_job_in_the_same_documents_when_all_its_segments_are_in_flight(
    segments: list[tuple[str, ...]], numbers: list[int]
) -> None:
    """Everything is started before anything ends, so the order of the ends is all that differs.

    The retries that are waiting when the job fails are cancelled; that they wait is why time must not pass before.
    """
    script = Script(segments=(*segments, ("refused",)), width=50)
    plain, shuffled = World(script), World(script)
    for world in (plain, shuffled):
        _start_all(world)

    plain.run()
    shuffled.run(by(numbers))

    assert plain.job.state is J.FAILED
    assert shuffled.documents(progress=False) == plain.documents(progress=False)


def _start_all(world: World) -> None:
    while any(each.state is S.PENDING for each in world.segments):
        ends = facts.SegmentDone | facts.SegmentFailed | facts.QuotaExhausted
        world.take(next(each for each in world.ready() if not isinstance(each.what, ends)))


@given(scripts(_good | _doomed, st.just(FAIL)), chances)
def test_every_order_fails_a_job_with_a_doomed_segment_and_blames_one_that_is_doomed(
    script: Script, numbers: list[int]
) -> None:
    doomed = {index for index, outcomes in enumerate(script.segments) if outcomes[-1] != "done"}
    world = World(script)

    world.run(by(numbers))

    if doomed:
        assert world.job.state is J.FAILED
        assert world.job.error is not None
        assert world.job.error.segment_index in doomed
        assert {each.index for each in world.segments if each.state is S.FAILED} <= doomed
    for segment in world.segments:
        came = segment.state is S.DONE
        assert not (came and segment.index in doomed)


@given(scripts(_good | _doomed, st.sampled_from(OnSegmentFailure), ("done", "refused", "retry")), chances)
def test_whatever_the_order_a_job_comes_to_rest_with_nothing_left_to_wake(script: Script, numbers: list[int]) -> None:
    world = World(script)

    sweep_until_rest(world, by(numbers))

    assert not world.job.active
    assert not [each.index for each in world.segments if each.state in (S.CLAIMED, S.GENERATING)]


# --- loss


@given(
    scripts(
        st.one_of(_good, _doomed, st.sampled_from([("silent", "done"), ("lost", "done"), ("lost", "lost", "done")])),
        st.sampled_from(OnSegmentFailure),
        ("done", "refused", "lost", "silent"),
    ),
    chances,
)
@example(Script(segments=(("silent",),), width=1), [])
@example(Script(segments=(("lost",),), width=1, resubmittable=False), [])
@example(Script(segments=(("done",),), stitch=("silent",)), [])
def test_whatever_is_lost_the_sweep_ends_every_job(script: Script, numbers: list[int]) -> None:
    """Any event and any order may be lost for good: every state that waits knows until when, and asks again."""
    world = World(script)

    sweep_until_rest(world, by(numbers, losses=True))

    assert not world.job.active
    assert world.now <= world.job.created_at + limits.JOB_LONGEST * 2
    if all(outcomes[-1] == "done" for outcomes in script.segments) and set(script.stitch) == {"done"}:
        assert world.job.state is J.COMPLETED or any(each.tries == limits.TRIES_MAX for each in world.segments)


@given(scripts(st.just(("done",)), st.just(FAIL)), chances)
def test_when_nothing_fails_and_orders_are_free_no_loss_keeps_a_job_from_its_film(
    script: Script, numbers: list[int]
) -> None:
    """An order that can be given again costs no try, so a loss costs time and nothing else.

    Eight losses at most, because an order that is lost for an hour on end is given up as one that never arrives.
    """
    world = World(replace(script, resubmittable=True, stitch=("done",)))

    sweep_until_rest(world, by(numbers, losses=True, strikes_max=8))

    # A stitch that was lost is a try; three of them are too many even here.
    assert world.job.state is J.COMPLETED or world.job.stitch_error is not None
    assert [each.attempt for each in world.segments] == [1] * len(world.segments)


# --- cancel and resume


@given(scripts(_good | _doomed, st.sampled_from(OnSegmentFailure)), st.integers(0, 60), chances)
def test_a_cancel_at_any_moment_is_answered(script: Script, moment: int, numbers: list[int]) -> None:
    """It ends the job as cancelled, or finds that the job had ended; a job that had ended stays as it was.

    Which of the two is decided by which came first, so nothing is claimed here about equal documents.
    """
    world, choose = World(script), by(numbers)
    for _ in range(moment):
        if world.ready():
            choose(world)
    before = world.job.state

    decision = world.happen(facts.CancelRequested())
    sweep_until_rest(world, choose)

    assert decision.reason
    assert world.job.state is (J.CANCELLED if before in ACTIVE_JOB_STATES else before)
    assert not [each.index for each in world.segments if each.wake_at is not None]
    if world.job.state is J.CANCELLED:
        assert {each.state for each in world.segments} <= {S.DONE, S.SKIPPED, S.FAILED, S.CANCELLED}


@given(scripts(_good | _doomed, st.just(FAIL), ("done", "refused")), st.integers(0, 30), chances)
@example(Script(segments=(("refused", "done"), ("done",)), width=2), 0, [])
def test_a_resume_keeps_every_finished_clip_and_buys_nothing_twice(
    script: Script, wait: int, numbers: list[int]
) -> None:
    """The world itself checks that no clip changes, none is ordered again, and none is ordered that may still land."""
    second_time_lucky = replace(script, segments=tuple((*outcomes, "done") for outcomes in script.segments))
    world, choose = World(second_time_lucky), by(numbers)
    while world.job.state is not J.FAILED and (world.ready() or world.let_time_pass()):
        if world.ready():
            choose(world)
    for _ in range(wait):
        if world.ready():
            choose(world)
    failed = world.job.state is J.FAILED
    clips = {each.index: each.clip for each in world.segments if each.state is S.DONE}
    assert world.strict

    decision = world.happen(facts.ResumeRequested())
    world.run(choose)

    assert decision.takes_lock is failed
    assert clips.items() <= {each.index: each.clip for each in world.segments}.items()
    if failed:
        assert world.job.resume_count == 1


@pytest.mark.parametrize("lost", [False, True], ids=["", "and the order to reopen is lost"])
@pytest.mark.parametrize("policy", OnSegmentFailure)
def test_a_failed_job_that_is_resumed_with_better_luck_is_completed(policy: OnSegmentFailure, lost: bool) -> None:
    script = Script(segments=(("done",), ("refused", "done"), ("done",), ("done",)), width=1, policy=FAIL)
    world = World(script)
    world.run()
    assert (world.job.state, world.job.done_count) == (J.FAILED, 1)

    world.happen(facts.ResumeRequested())
    if lost:
        world.take(world.ready()[0], lost=True)
    sweep_until_rest(world)

    assert world.job.state is J.COMPLETED
    assert [each.attempt for each in world.segments] == [1, 2, 1, 1]


# --- late clips


@given(st.integers(1, 4), st.booleans(), chances)
def test_a_clip_that_was_given_up_is_taken_in_when_it_lands_after_all(
    width: int, chained: bool, numbers: list[int]
) -> None:
    """Segment 1 is left out, then its clip lands. Before the stitch it is taken in, later the film is without it.

    So the documents differ by when it landed, and by nothing else: the counts are the truth in both.
    """
    script = Script(
        segments=(("done",), ("refused",), ("done",), ("done",)), width=width, policy=SKIP, daisy_chain=chained
    )
    world, choose = World(script), by(numbers)
    while not world.job.skipped_count:
        choose(world)
    frame = "gs://bucket/1.png" if chained else None
    world.tell(facts.SegmentDone(1, 1, clip_of(1, 1), frame))

    world.run(choose)

    taken_in = bool(world.segments[1].clip)
    assert world.job.state is J.COMPLETED
    assert (world.segments[1].state is S.DONE) is taken_in
    assert bool(world.job.warnings) is not taken_in


@given(scripts(_good, st.sampled_from(OnSegmentFailure)), chances)
def test_the_chain_hands_every_last_frame_on(script: Script, numbers: list[int]) -> None:
    """The world checks it at every order: segment i starts from the last frame of the last clip before it."""
    world = World(replace(script, daisy_chain=True, kind=Kind.LONG_FORM))
    assert world.job.width == 1

    world.run(by(numbers))

    assert world.job.last_frame == f"gs://bucket/{len(world.segments) - 1}.png"
