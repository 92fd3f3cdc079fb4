"""What every job store promises: all or nothing, one active job a project and kind, no lost update."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given

from events.errors import AlreadyRunning, IllegalTransition, PipelineError, UnknownJob
from events.messages import SegmentRequested
from events.requests import Kind, OnSegmentFailure
from pipeline.commands import RenderSegment, SubmitSegment
from pipeline.decide import Decision
from pipeline.records import Failure, Job, JobState, Segment, SegmentState
from tests.contract import documents
from tests.contract.registry import JOB_STORES, Adapter
from tests.contract.rigs import NOW, JobStoreRig

J, S = JobState, SegmentState
Change = Callable[[Job, Segment | None], Decision]


def a_job(job_id: str = "job_abc123", **changes: Any) -> Job:
    job = Job(
        job_id=job_id,
        kind=Kind.LONG_FORM,
        project_id="default",
        user_id="someone",
        generator="storyboard",
        settings="{}",
        segment_count=3,
        width=2,
        on_segment_failure=OnSegmentFailure.FAIL,
        daisy_chain=False,
        created_at=NOW,
        updated_at=NOW,
        deadline_at=NOW + timedelta(hours=24),
        wake_at=NOW + timedelta(minutes=1),
    )
    return replace(job, **changes)


def segments_of(job: Job, count: int = 3) -> list[Segment]:
    return [Segment(job_id=job.job_id, index=index, spec=f"spec {index}", updated_at=NOW) for index in range(count)]


def put(job_store: JobStoreRig, job: Job, count: int = 3) -> Job:
    job_store.store.create(job, segments_of(job, count))
    return job


def set_job(**changes: Any) -> Change:
    return lambda job, _segment: Decision("a test", job=replace(job, **changes))


def set_segment(**changes: Any) -> Change:
    def change(_job: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        return Decision("a test", segment=replace(segment, **changes))

    return change


def end(job_store: JobStoreRig, job_id: str, state: JobState = J.COMPLETED) -> None:
    job_store.store.transact(job_id, None, set_job(state=state, wake_at=None))


def test_a_created_job_and_its_segments_are_read_back(job_store: JobStoreRig) -> None:
    job = a_job()

    created = job_store.store.create(job, segments_of(job))

    assert created.fresh
    assert created.superseded is None
    assert created.job == job == job_store.store.load(job.job_id)
    assert job_store.store.segments(job.job_id) == segments_of(job)


def test_creating_the_same_job_again_gives_the_first_and_writes_nothing(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())
    job_store.store.transact(job.job_id, 0, set_segment(state=S.DONE))
    job_store.store.transact(job.job_id, None, set_job(state=J.GENERATING))

    again = job_store.store.create(a_job(user_id="another"), segments_of(job, 5))

    assert not again.fresh
    assert again.job.user_id == "someone"
    assert again.job.state is J.GENERATING
    assert [each.state for each in job_store.store.segments(job.job_id)] == [S.DONE, S.PENDING, S.PENDING]


def test_a_second_job_of_a_project_is_refused_with_the_running_ones_id(job_store: JobStoreRig) -> None:
    running = put(job_store, a_job())

    with pytest.raises(AlreadyRunning) as refused:
        put(job_store, a_job("job_second"))

    assert refused.value.job_id == running.job_id
    with pytest.raises(UnknownJob):
        job_store.store.load("job_second")
    assert job_store.store.segments("job_second") == []


@pytest.mark.parametrize("other", [{"project_id": "another"}, {"kind": Kind.STITCH}])
def test_another_project_or_kind_has_a_lock_of_its_own(job_store: JobStoreRig, other: dict[str, Any]) -> None:
    put(job_store, a_job())

    assert job_store.store.create(a_job("job_second", **other), []).fresh


@pytest.mark.parametrize("state", [J.COMPLETED, J.FAILED, J.CANCELLED])
def test_a_job_that_is_over_does_not_hold_the_lock(job_store: JobStoreRig, state: JobState) -> None:
    first = put(job_store, a_job())
    end(job_store, first.job_id, state)

    assert job_store.store.create(a_job("job_second"), []).fresh


def test_superseding_ends_the_running_job_and_creates_the_new_one_at_once(job_store: JobStoreRig) -> None:
    running = put(job_store, a_job())

    created = job_store.store.create(
        a_job("job_second"), [], lambda job: Decision("superseded", job=replace(job, state=J.CANCELLED))
    )

    assert created.fresh
    assert created.superseded is not None
    assert created.superseded.job.job_id == running.job_id
    assert job_store.store.load(running.job_id).state is J.CANCELLED
    assert job_store.store.load("job_second").active
    with pytest.raises(AlreadyRunning) as refused:
        put(job_store, a_job("job_third"))
    assert refused.value.job_id == "job_second"


def test_a_supersede_that_raises_changes_nothing(job_store: JobStoreRig) -> None:
    running = put(job_store, a_job())

    def refuse(_job: Job) -> Decision:
        raise IllegalTransition("not now")

    with pytest.raises(IllegalTransition):
        job_store.store.create(a_job("job_second"), segments_of(a_job("job_second")), refuse)

    assert job_store.store.load(running.job_id) == running
    with pytest.raises(UnknownJob):
        job_store.store.load("job_second")


def test_supersede_is_not_asked_where_no_job_is_active(job_store: JobStoreRig) -> None:
    def never(_job: Job) -> Decision:
        pytest.fail("nothing was running")

    assert job_store.store.create(a_job(), [], never).superseded is None


def test_of_many_that_create_at_once_one_wins(job_store: JobStoreRig) -> None:
    outcomes: list[str] = []

    def create(number: int) -> None:
        job = a_job(f"job_number{number}")
        with job_store.another() as store:
            try:
                store.create(job, segments_of(job))
            except AlreadyRunning as exc:
                outcomes.append(exc.job_id)
            else:
                outcomes.append(job.job_id)

    at_once(create, 8)

    assert len(outcomes) == 8
    assert len(set(outcomes)) == 1
    assert len(job_store.store.jobs()) == 1


def test_a_resumed_job_takes_the_lock(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())
    end(job_store, job.job_id, J.FAILED)

    job_store.store.transact(
        job.job_id, None, lambda job, _: Decision("resumed", job=replace(job, state=J.GENERATING), takes_lock=True)
    )

    with pytest.raises(AlreadyRunning) as refused:
        put(job_store, a_job("job_second"))
    assert refused.value.job_id == job.job_id


def test_a_resume_is_refused_while_another_job_has_the_lock_and_changes_nothing(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())
    end(job_store, job.job_id, J.FAILED)
    put(job_store, a_job("job_second"))
    before = job_store.store.load(job.job_id)

    with pytest.raises(AlreadyRunning) as refused:
        job_store.store.transact(
            job.job_id, None, lambda job, _: Decision("resumed", job=replace(job, state=J.GENERATING), takes_lock=True)
        )

    assert refused.value.job_id == "job_second"
    assert job_store.store.load(job.job_id) == before


def test_a_job_that_has_the_lock_may_take_it_again(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    job_store.store.transact(job.job_id, None, lambda job, _: Decision("again", job=job, takes_lock=True))

    assert job_store.store.load(job.job_id) == job


@pytest.mark.parametrize("adapter", JOB_STORES, ids=str)
@given(job=documents.JOB, segment=documents.SEGMENT)
def test_every_field_of_every_job_and_segment_comes_back(adapter: Adapter, job: Job, segment: Segment) -> None:
    with TemporaryDirectory() as folder:
        for rig in adapter.reach(Path(folder)):
            created = Segment(job_id=job.job_id, index=0, spec=segment.spec, updated_at=NOW)
            rig.store.create(replace(a_job(), **{name: getattr(job, name) for name in _FIXED}), [created])

            rig.store.transact(job.job_id, 0, lambda _job, _segment: Decision("a test", job=job, segment=segment))

            assert rig.store.load(job.job_id) == job
            assert rig.store.segments(job.job_id) == [segment]
            with rig.another() as store:
                seen = store.transact(job.job_id, 0, lambda _job, _segment: Decision("nothing"))
            assert (seen.job, seen.segment) == (job, segment)


#: What never changes after a job is made.
_FIXED = (
    "job_id",
    "kind",
    "project_id",
    "user_id",
    "generator",
    "settings",
    "segment_count",
    "width",
    "on_segment_failure",
    "daisy_chain",
    "created_at",
)


def test_no_field_is_left_out_of_the_property_above() -> None:
    assert documents.JOB_FIELDS.keys() == {field.name for field in fields(Job)}
    assert documents.SEGMENT_FIELDS.keys() == {field.name for field in fields(Segment)}


def test_a_decision_may_change_job_and_segment_together(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    def change(before: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        return Decision("both", job=replace(before, done_count=1), segment=replace(segment, state=S.DONE))

    committed = job_store.store.transact(job.job_id, 1, change)

    assert committed.job.done_count == 1
    assert committed.segment is not None
    assert committed.segment.state is S.DONE
    assert job_store.store.load(job.job_id) == committed.job
    assert job_store.store.segments(job.job_id)[1] == committed.segment


def test_what_a_decision_does_not_change_is_given_as_it_is(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    committed = job_store.store.transact(job.job_id, 2, lambda _job, _segment: Decision("nothing"))

    assert committed.decision.reason == "nothing"
    assert committed.job == job
    assert committed.segment == segments_of(job)[2]


def test_decide_sees_what_was_written_last(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())
    seen = []

    def count(before: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        seen.append((before.done_count, segment.attempt))
        return Decision(
            "count",
            job=replace(before, done_count=before.done_count + 1),
            segment=replace(segment, attempt=segment.attempt + 1),
        )

    job_store.store.transact(job.job_id, 0, count)
    with job_store.another() as store:
        store.transact(job.job_id, 0, count)
    job_store.store.transact(job.job_id, 0, count)

    assert seen[-1] == (2, 2)


def test_a_decide_that_raises_changes_nothing(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    def refuse(_job: Job, _segment: Segment | None) -> Decision:
        raise IllegalTransition("it can never be")

    with pytest.raises(IllegalTransition):
        job_store.store.transact(job.job_id, 0, refuse)

    assert job_store.store.load(job.job_id) == job
    assert job_store.store.segments(job.job_id) == segments_of(job)
    job_store.store.transact(job.job_id, None, set_job(done_count=1))
    assert job_store.store.load(job.job_id).done_count == 1, "the store still works"


def test_what_cannot_be_written_changes_nothing(job_store: JobStoreRig) -> None:
    """A document that holds what no store can keep fails late, after other rows were written."""
    job = put(job_store, a_job())

    def nonsense(before: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        return Decision(
            "nonsense",
            job=replace(before, done_count=7),
            segment=replace(segment, operation=SimpleNamespace()),  # type: ignore[arg-type] # on purpose
        )

    with pytest.raises((PipelineError, TypeError)):
        job_store.store.transact(job.job_id, 0, nonsense)

    assert job_store.store.load(job.job_id) == job
    assert job_store.store.transact(job.job_id, 0, lambda _job, _segment: Decision("look")).job == job


def test_no_job_and_no_segment_are_told_apart_from_a_broken_store(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    with pytest.raises(UnknownJob, match="job_missing"):
        job_store.store.load("job_missing")
    with pytest.raises(UnknownJob, match="job_missing"):
        job_store.store.transact("job_missing", None, set_job(done_count=1))
    with pytest.raises(UnknownJob, match="3"):
        job_store.store.transact(job.job_id, 3, set_segment(attempt=1))
    assert job_store.store.segments("job_missing") == []


def at_once(what: Callable[[int], None], count: int) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            what(number)
        except BaseException as exc:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_twenty_writers_of_one_job_all_succeed_and_no_update_is_lost(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    def count(_number: int) -> None:
        with job_store.another() as store:
            for _ in range(5):
                store.transact(
                    job.job_id, None, lambda job, _: Decision("count", job=replace(job, done_count=job.done_count + 1))
                )

    at_once(count, 20)

    assert job_store.store.load(job.job_id).done_count == 100


def test_writers_of_different_segments_do_not_undo_each_other(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job(), count=20)

    def finish(number: int) -> None:
        def done(before: Job, segment: Segment | None) -> Decision:
            assert segment is not None
            counted = replace(before, done_count=before.done_count + 1)
            return Decision("done", job=counted, segment=replace(segment, state=S.DONE))

        with job_store.another() as store:
            store.transact(job.job_id, number, done)

    at_once(finish, 20)

    assert job_store.store.load(job.job_id).done_count == 20
    assert {each.state for each in job_store.store.segments(job.job_id)} == {S.DONE}


def ordering(commands: int) -> Change:
    def change(job: Job, segment: Segment | None) -> Decision:
        orders = tuple(RenderSegment(job.job_id, index) for index in range(commands))
        return Decision("ordered", job=job, commands=(SubmitSegment(job.job_id, 0, 1), *orders))

    return change


def test_a_decisions_messages_are_published_once_by_the_store_or_left_to_the_caller(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())

    committed = job_store.store.transact(job.job_id, None, ordering(2))

    wanted = [SegmentRequested(job_id=job.job_id, segment_index=index) for index in range(2)]
    assert job_store.published() == (wanted if committed.published else [])
    assert committed.decision.commands[1:] == (RenderSegment(job.job_id, 0), RenderSegment(job.job_id, 1))


def test_a_transaction_that_fails_publishes_nothing(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job())
    end(job_store, job.job_id, J.FAILED)
    put(job_store, a_job("job_second"))

    def resume(before: Job, segment: Segment | None) -> Decision:
        return replace(ordering(3)(before, segment), takes_lock=True)

    with pytest.raises(AlreadyRunning):
        job_store.store.transact(job.job_id, None, resume)

    assert job_store.published() == []


def test_a_superseded_jobs_messages_are_published_with_the_new_job(job_store: JobStoreRig) -> None:
    put(job_store, a_job())

    created = job_store.store.create(a_job("job_second"), [], lambda job: ordering(1)(job, None))

    assert created.superseded is not None
    assert len(job_store.published()) == (1 if created.superseded.published else 0)


def test_what_is_overdue_comes_longest_overdue_first(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job(wake_at=NOW - timedelta(seconds=5)))
    for index, seconds in ((0, -9), (1, -1), (2, 1)):
        job_store.store.transact(job.job_id, index, set_segment(wake_at=NOW + timedelta(seconds=seconds)))

    overdue = job_store.store.overdue(NOW, 10)

    assert [(each.job_id, each.segment_index) for each in overdue] == [
        (job.job_id, 0),
        (job.job_id, None),
        (job.job_id, 1),
    ]


def test_what_is_due_now_is_overdue_and_what_waits_for_nothing_is_not(job_store: JobStoreRig) -> None:
    put(job_store, a_job(wake_at=NOW))
    put(job_store, a_job("job_second", project_id="another", wake_at=None))

    assert [each.job_id for each in job_store.store.overdue(NOW, 10)] == ["job_abc123"]
    assert job_store.store.overdue(NOW - timedelta(milliseconds=1), 10) == []


def test_no_more_than_the_limit_is_overdue(job_store: JobStoreRig) -> None:
    for number in range(5):
        put(job_store, a_job(f"job_number{number}", project_id=f"p{number}", wake_at=NOW - timedelta(seconds=number)))

    assert [each.job_id for each in job_store.store.overdue(NOW, 2)] == ["job_number4", "job_number3"]


def test_jobs_come_newest_first_and_no_more_than_asked_for(job_store: JobStoreRig) -> None:
    for number in range(4):
        created_at = NOW + timedelta(seconds=number)
        put(job_store, a_job(f"job_number{number}", project_id=f"p{number}", created_at=created_at), count=0)

    assert [each.job_id for each in job_store.store.jobs()] == [f"job_number{number}" for number in (3, 2, 1, 0)]
    assert [each.job_id for each in job_store.store.jobs(limit=2)] == ["job_number3", "job_number2"]


def test_jobs_are_found_by_project_and_by_state(job_store: JobStoreRig) -> None:
    first = put(job_store, a_job(), count=0)
    end(job_store, first.job_id, J.FAILED)
    put(job_store, a_job("job_second"), count=0)
    put(job_store, a_job("job_third", project_id="another"), count=0)

    def ids(**wanted: Any) -> set[str]:
        return {each.job_id for each in job_store.store.jobs(**wanted)}

    assert ids(project_id="default") == {"job_abc123", "job_second"}
    assert ids(states=frozenset({J.FAILED})) == {"job_abc123"}
    assert ids(project_id="default", states=frozenset({J.QUEUED})) == {"job_second"}
    assert ids(states=frozenset()) == set()
    assert ids(project_id="nobody") == set()


def test_segments_are_found_by_state_and_below_an_index(job_store: JobStoreRig) -> None:
    job = put(job_store, a_job(), count=12)
    for index in (1, 5, 11):
        job_store.store.transact(job.job_id, index, set_segment(state=S.FAILED, error=Failure("x", "y", index)))

    def indexes(**wanted: Any) -> list[int]:
        return [each.index for each in job_store.store.segments(job.job_id, **wanted)]

    assert indexes() == list(range(12)), "in the order of the film: 10 after 9, not after 1"
    assert indexes(states=frozenset({S.FAILED})) == [1, 5, 11]
    assert indexes(states=frozenset({S.FAILED}), below=6) == [1, 5]
    assert indexes(below=2) == [0, 1]
    assert indexes(states=frozenset()) == []
    assert indexes(below=0) == []
