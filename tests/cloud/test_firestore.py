"""What the Firestore store does beyond the contract: many writers, its memory, lost answers, foreign hands."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.firestore import ATTEMPTS_MAX, FirestoreJobStore
from events.errors import AlreadyRunning, LimitExceeded, PipelineError, Unavailable, UnknownJob
from pipeline.decide import Decision
from pipeline.records import Job, JobState, Segment, SegmentState
from tests.cloud import emulators
from tests.cloud.firestore_meter import Meter, metered_client
from tests.contract.rigs import NOW
from tests.contract.test_job_store import a_job, segments_of, set_job, set_segment

J, S = JobState, SegmentState
ROOT = Path(__file__).parents[2]
#: Longest that a test waits for a state.
PATIENCE_S = 30


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def clients(firestore_emulator: str, project_id: str, meter: Meter) -> Iterator[Callable[[], Any]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(metered_client(project_id, meter)))


@pytest.fixture
def client(clients: Callable[[], Any]) -> Any:
    return clients()


@pytest.fixture
def stores(client: Any) -> Callable[[], FirestoreJobStore]:
    """Give stores of one database, each with a memory of its own, as processes have."""
    return lambda: FirestoreJobStore(lambda: client)


@pytest.fixture
def store(stores: Callable[[], FirestoreJobStore]) -> FirestoreJobStore:
    return stores()


def claim(job: Job, segment: Segment | None) -> Decision:
    assert segment is not None
    if segment.state is not S.PENDING:
        return Decision("claimed already")
    return Decision("claimed", segment=replace(segment, state=S.CLAIMED, attempt=segment.attempt + 1))


def start(operation: str) -> Callable[[Job, Segment | None], Decision]:
    def decide(job: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        if segment.state is not S.CLAIMED or not job.active:
            return Decision(f"it is {segment.state}, in a job that is {job.state}")
        return Decision("started", segment=replace(segment, state=S.GENERATING, operation=operation))

    return decide


def count(job: Job, _segment: Segment | None) -> Decision:
    return Decision("count", job=replace(job, done_count=job.done_count + 1))


def _itself(client: Any) -> Any:
    return client


# Contention


@pytest.mark.parametrize("shared", [True, False], ids=["one client", "a client each"])
def test_twenty_writers_of_one_job_all_succeed(clients: Callable[[], Any], *, shared: bool) -> None:
    made = [clients()] * 20 if shared else [clients() for _ in range(20)]
    stores = [FirestoreJobStore(partial(_itself, each)) for each in made]
    job = a_job()
    stores[0].create(job, segments_of(job))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda each: each.transact(job.job_id, None, count), stores))

    assert stores[0].load(job.job_id).done_count == 20


def test_of_twenty_that_claim_a_segment_one_wins(stores: Callable[[], FirestoreJobStore]) -> None:
    job = a_job()
    stores().create(job, segments_of(job))
    barrier = threading.Barrier(20)

    def claimed(_number: int) -> bool:
        each = stores()
        barrier.wait()
        return each.transact(job.job_id, 1, claim).decision.changes

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(claimed, range(20))) == 1
    assert stores().segments(job.job_id)[1].attempt == 1


def test_a_segment_whose_decision_is_written_over_and_over_by_others_ends_in_unavailable(
    stores: Callable[[], FirestoreJobStore], client: Any
) -> None:
    job = a_job()
    stores().create(job, segments_of(job))
    waits: list[float] = []
    store = FirestoreJobStore(lambda: client, wait=waits.append, chance=lambda: 1.0)

    def always_late(job: Job, segment: Segment | None) -> Decision:
        stores().transact(job.job_id, None, count)
        return count(job, segment)

    with pytest.raises(Unavailable, match="others kept writing first"):
        store.transact(job.job_id, None, always_late)

    assert stores().load(job.job_id).done_count == ATTEMPTS_MAX
    assert waits[0] == 0.02
    assert waits == sorted(waits), "each wait may be longer than the one before"
    assert max(waits) == 0.5


def test_only_what_changes_is_written(store: FirestoreJobStore, client: Any, meter: Meter) -> None:
    job = a_job()
    store.create(job, segments_of(job))
    client.document(f"videoJobs/{job.job_id}").update({"settings": "changed by hand", "ours": 1})

    store.transact(job.job_id, None, lambda _job, _segment: Decision("x", job=replace(_job, progress=7)))
    meter.reset()
    store.transact(job.job_id, None, lambda _job, _segment: Decision("x", job=_job))

    assert (meter.reads, meter.writes) == (1, 0), "a decision that changes nothing writes nothing"
    fields = client.document(f"videoJobs/{job.job_id}").get().to_dict()
    assert (fields["progress"], fields["settings"], fields["ours"]) == (7, "changed by hand", 1)


# Memory


def test_a_claim_that_somebody_else_took_back_is_never_started_from_memory(
    stores: Callable[[], FirestoreJobStore],
) -> None:
    job = a_job()
    ours, theirs = stores(), stores()
    ours.create(job, segments_of(job))
    ours.transact(job.job_id, 0, claim)
    theirs.transact(job.job_id, 0, set_segment(state=S.CANCELLED))

    committed = ours.transact(job.job_id, 0, start("operation"))

    assert not committed.decision.changes
    assert committed.segment is not None
    assert committed.segment.state is S.CANCELLED
    assert theirs.segments(job.job_id)[0].operation is None


def test_two_processes_that_take_turns_always_see_what_the_other_wrote(stores: Callable[[], FirestoreJobStore]) -> None:
    job = a_job()
    ours, theirs = stores(), stores()
    ours.create(job, segments_of(job))
    for attempt in range(1, 6):
        for store in (ours, theirs):
            claimed = store.transact(job.job_id, 0, claim).segment
            assert claimed is not None
            assert (claimed.state, claimed.attempt) == (S.CLAIMED, attempt)
        # Each believes, from its own memory, that it is the one to go on.
        started = [store.transact(job.job_id, 0, start(f"{attempt}")).decision.changes for store in (theirs, ours)]
        assert started.count(True) == 1
        theirs.transact(job.job_id, 0, set_segment(state=S.PENDING))

    assert ours.segments(job.job_id)[0].attempt == 5


def test_what_memory_would_ignore_or_refuse_is_looked_at_again(stores: Callable[[], FirestoreJobStore]) -> None:
    job = a_job()
    ours, theirs = stores(), stores()
    ours.create(job, segments_of(job))
    seen: list[JobState] = []

    def look(job: Job, segment: Segment | None) -> Decision:
        seen.append(job.state)
        return Decision("nothing to do")

    def refuse(job: Job, segment: Segment | None) -> Decision:
        if job.state is J.QUEUED:
            raise PipelineError("not yet")
        return Decision("now it may be")

    for decide in (look, refuse):
        ours.transact(job.job_id, 0, set_segment(state=S.PENDING))
        theirs.transact(job.job_id, None, set_job(state=J.QUEUED))
        ours.transact(job.job_id, 0, claim)
        theirs.transact(job.job_id, None, set_job(state=J.GENERATING))

        assert ours.transact(job.job_id, 0, decide).job.state is J.GENERATING

    assert seen == [J.QUEUED, J.GENERATING]


def test_a_decision_from_memory_that_changes_the_job_is_held_to_the_job(
    stores: Callable[[], FirestoreJobStore],
) -> None:
    job = a_job()
    ours, theirs = stores(), stores()
    ours.create(job, segments_of(job))
    ours.transact(job.job_id, 0, claim)
    theirs.transact(job.job_id, None, count)

    def done(job: Job, segment: Segment | None) -> Decision:
        assert segment is not None
        return Decision("done", replace(job, done_count=job.done_count + 1), replace(segment, state=S.DONE))

    assert ours.transact(job.job_id, 0, done).job.done_count == 2


# Beginnings


def test_to_assemble_a_store_loads_nothing_of_googles() -> None:
    code = (
        "import sys; from adapters.firestore import FirestoreJobStore as S;"
        "from adapters.firestore_failures import FailureLedger as L;"
        "S(lambda: None); L(lambda: None); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"google.api_core", "google.cloud.firestore", "grpc", "requests"} & set(done.stdout.split())


def test_a_job_of_two_hundred_segments_is_three_documents(store: FirestoreJobStore, meter: Meter) -> None:
    job = a_job(segment_count=200)

    store.create(job, segments_of(job, 200))

    assert (meter.reads, meter.writes) == (2, 3)
    assert store.segments(job.job_id) == segments_of(job, 200)


def test_the_longest_prompts_that_a_request_may_have_fit_and_are_read_in_parts(
    store: FirestoreJobStore, meter: Meter
) -> None:
    job = a_job(segment_count=200)
    segments = [replace(each, spec=f"{each.index}" + "\U0001f3ac" * 11_900) for each in segments_of(job, 200)]

    store.create(job, segments)

    assert store.segments(job.job_id) == segments
    meter.reset()
    assert store.transact(job.job_id, 199, claim).segment == replace(segments[199], state=S.CLAIMED, attempt=1)
    assert meter.reads <= 3, "the job, the segment, and at most its own part"
    assert store.segments(job.job_id, below=2) == segments[:2]


def test_scripts_that_went_ahead_of_a_job_that_was_refused_are_taken_back(
    store: FirestoreJobStore, client: Any
) -> None:
    job = a_job()
    long = [replace(each, spec="x" * 690_000) for each in segments_of(job, 12)]
    assert store.create(job, long).fresh

    assert not store.create(a_job(), long).fresh
    with pytest.raises(AlreadyRunning):
        store.create(a_job("job_second"), [replace(each, job_id="job_second") for each in long])

    assert len(list(client.collection(f"videoJobs/{job.job_id}/scripts").stream())) == 12
    assert list(client.collection("videoJobs/job_second/scripts").stream()) == []
    assert store.segments(job.job_id) == long


def test_a_text_that_no_document_can_hold_is_refused_before_anything_is_written(
    store: FirestoreJobStore, meter: Meter
) -> None:
    job = a_job()

    with pytest.raises(LimitExceeded, match="segment 2 takes 700,0"):
        store.create(job, [*segments_of(job, 2), replace(segments_of(job)[2], spec="x" * 700_000)])

    assert (meter.reads, meter.writes) == (0, 0)


def test_segments_that_are_not_as_new_are_kept_as_they_are(store: FirestoreJobStore) -> None:
    job = a_job()
    segments = segments_of(job, 4)
    segments[1] = replace(segments[1], state=S.DONE, attempt=2)
    segments[2] = replace(segments[2], price_micro_usd=400_000)
    segments[3] = replace(segments[3], updated_at=NOW + timedelta(seconds=1), wake_at=NOW)

    store.create(job, segments)

    assert store.segments(job.job_id) == segments
    assert [each.segment_index for each in store.overdue(NOW, 10)] == [3]


# Foreign hands


def test_collections_of_the_users_own_app_are_left_alone(store: FirestoreJobStore, client: Any) -> None:
    job = a_job(wake_at=None)
    store.create(job, segments_of(job))
    store.transact(job.job_id, 2, set_segment(wake_at=NOW - timedelta(seconds=1)))
    for number in range(7):
        early = {"wakeAt": NOW - timedelta(days=1), "index": 0}
        client.document(f"playlists/p{number}/segments/{number}").set(early)
        client.document(f"videoJobs/{job.job_id}/drafts/d/segments/{number}").set(early)
        client.document(f"videoJobs/{job.job_id}/segments/note{number}").set({"wakeAt": NOW - timedelta(days=1)})

    assert [(each.job_id, each.segment_index) for each in store.overdue(NOW, 2)] == [(job.job_id, 2)]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("videoJobs/job_abc123", "state", "resting"),
        ("videoJobs/job_abc123", "doneCount", "3"),
        ("videoJobs/job_abc123", "daisyChain", 1),
        ("videoJobs/job_abc123", "createdAt", "yesterday"),
        ("videoJobs/job_abc123", "warnings", [1]),
        ("videoJobs/job_abc123", "cost", None),
        ("videoJobs/job_abc123", "film", {"uri": "x", "generation": 1, "report": {"sound": "grid"}}),
        ("videoJobs/job_abc123", "stitch.attempt", True),
        ("videoJobs/job_abc123/segments/0", "clip", {"uri": 7}),
        ("videoJobs/job_abc123/segments/0", "error", {"code": "x"}),
    ],
)
def test_a_damaged_document_is_named_with_its_field(
    store: FirestoreJobStore, client: Any, path: str, field: str, value: object
) -> None:
    job = a_job()
    store.create(job, segments_of(job))
    store.transact(job.job_id, 0, set_segment(attempt=1))
    client.document(path).update({field: value})

    with pytest.raises(PipelineError, match=f"{path}, field {field}") as damaged:
        store.transact(job.job_id, 0, set_segment(attempt=2))

    assert damaged.value.code == "damaged_document"
    assert not damaged.value.retryable


def test_a_script_that_lost_an_entry_is_named(store: FirestoreJobStore, client: Any) -> None:
    job = a_job()
    store.create(job, segments_of(job))
    [script] = client.collection(f"videoJobs/{job.job_id}/scripts").stream()
    script.reference.update({"segments": []})

    with pytest.raises(PipelineError, match=r"field segments: it should have 3 entries, and has 0"):
        store.segments(job.job_id)


@pytest.mark.parametrize("job_id", ["", "a/b", "..", "job_x/segments/0", "x" * 2000])
def test_what_can_be_no_id_is_no_job(store: FirestoreJobStore, job_id: str) -> None:
    with pytest.raises(UnknownJob):
        store.load(job_id)
    with pytest.raises(UnknownJob):
        store.transact(job_id, 0, claim)
    assert store.segments(job_id) == []


def test_users_whose_names_look_alike_have_locks_of_their_own(store: FirestoreJobStore) -> None:
    names = [("a", "b"), ("a%2Fb", ""), ("..", "."), ("ü" * 200, "x" * 400), ("ü" * 200, "y" * 400)]
    for number, (user_id, project_id) in enumerate(names):
        assert store.create(a_job(f"job_number{number}", user_id=user_id, project_id=project_id), []).fresh


def test_stores_of_two_collections_do_not_meet(client: Any) -> None:
    one, other = FirestoreJobStore(lambda: client), FirestoreJobStore(lambda: client, "stagingJobs")
    job = a_job(wake_at=NOW)
    one.create(job, segments_of(job))

    assert other.create(job, segments_of(job)).fresh
    assert [each.job_id for each in other.overdue(NOW, 9)] == [job.job_id]
    assert len(other.jobs()) == 1


def test_a_project_whose_job_was_deleted_by_hand_is_free(store: FirestoreJobStore, client: Any) -> None:
    store.create(a_job(), [])
    client.document("videoJobs/job_abc123").delete()

    assert store.create(a_job("job_second"), []).fresh


def test_a_resume_and_a_creation_that_meet_leave_one_active_job(stores: Callable[[], FirestoreJobStore]) -> None:
    for number in range(8):
        project = f"p{number}"
        ended = a_job(f"job_ended{number}", project_id=project)
        stores().create(ended, [])
        stores().transact(ended.job_id, None, set_job(state=J.FAILED))
        barrier = threading.Barrier(2)

        def meet(what: Callable[[], object], barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                what()
            except AlreadyRunning:
                return False
            return True

        def resume(job_id: str = ended.job_id) -> object:
            return stores().transact(
                job_id, None, lambda job, _: Decision("on", job=replace(job, state=J.GENERATING), takes_lock=True)
            )

        def create(number: int = number, project: str = project) -> object:
            return stores().create(a_job(f"job_fresh{number}", project_id=project), [])

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(meet, [resume, create]))

        active = [each for each in stores().jobs(project_id=project) if each.active]
        assert len(active) == 1
        assert outcomes.count(True) == 1


def test_jobs_are_found_by_their_user(store: FirestoreJobStore) -> None:
    for number, user_id in enumerate(["anna", "berta", "anna"]):
        created_at = NOW + timedelta(seconds=number)
        job = a_job(f"job_number{number}", user_id=user_id, project_id=f"p{number}", created_at=created_at)
        store.create(job, [])
    store.transact("job_number0", None, set_job(state=J.FAILED))

    def ids(**wanted: Any) -> list[str]:
        return [each.job_id for each in store.jobs(**wanted)]

    assert ids(user_id="anna") == ["job_number2", "job_number0"]
    assert ids(user_id="anna", states=frozenset({J.QUEUED, J.GENERATING})) == ["job_number2"]
    assert ids(user_id="berta", project_id="p1", states=frozenset({J.QUEUED})) == ["job_number1"]
    assert ids(limit=0) == []
    assert store.overdue(NOW + timedelta(days=1), 0) == []


# Lost answers


class LostAnswer:
    """A connection that loses the answers to the next commits, which were carried out; the client asks again."""

    def __init__(self, client: Any) -> None:
        self._api = client._firestore_api
        self.lose = 0
        client._firestore_api_internal = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    def commit(self, **arguments: Any) -> Any:
        answer = self._api.commit(**arguments)
        if self.lose:
            self.lose -= 1
            return self._api.commit(**arguments)  # what the client's own retry does when it heard nothing
        return answer


def test_a_commit_whose_answer_was_lost_is_known_again_and_a_claim_is_not_given_away(
    store: FirestoreJobStore, client: Any
) -> None:
    job = a_job()
    connection = LostAnswer(client)
    connection.lose = 1
    created = store.create(job, segments_of(job))
    assert created.fresh

    connection.lose = 1
    committed = store.transact(job.job_id, 0, claim)

    assert committed.decision.changes, "it was we who claimed it, so it is we who must submit it"
    assert store.segments(job.job_id)[0].attempt == 1
    connection.lose = 1
    assert store.transact(job.job_id, None, count).job.done_count == 1
    assert store.load(job.job_id).done_count == 1


def test_scripts_that_went_ahead_survive_lost_answers(store: FirestoreJobStore, client: Any) -> None:
    job = a_job()
    long = [replace(each, spec="x" * 690_000) for each in segments_of(job, 12)]
    LostAnswer(client).lose = 13

    assert store.create(job, long).fresh
    assert store.segments(job.job_id) == long


def test_a_firestore_that_goes_away_is_unavailable_and_all_goes_on_when_it_is_back(
    needs_emulators: None, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = emulators.firestore_emulator()
    try:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.host())
        with closing(metered_client(project_id, Meter())) as client:
            # A new emulator takes seconds for its first answer.
            FirestoreJobStore(lambda: client).create(a_job(), segments_of(a_job()))
            store = FirestoreJobStore(lambda: client, patience_s=1.0)
            store.transact("job_abc123", 0, claim)
            emulator.stop()

            with pytest.raises(Unavailable):
                store.transact("job_abc123", 0, start("operation"))
            with pytest.raises(Unavailable):
                store.load("job_abc123")
            with pytest.raises(Unavailable):
                store.overdue(NOW, 10)

            emulator.host()  # again, on the same port, and empty
            assert_soon(lambda: store.create(a_job(), segments_of(a_job())).fresh)
            assert store.transact("job_abc123", 0, claim).decision.changes
    finally:
        emulator.stop()


def assert_soon(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            assert what()
        except Unavailable:
            assert time.monotonic() < deadline
        else:
            return
