"""Many changes in one commit: each all or nothing by itself, what one thread remembers always true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.database import Database
from adapters.local_queue import CONTROL_LANE, LocalQueue
from adapters.owners import Owner
from adapters.schema import MIGRATIONS, SCHEMA_VERSION
from adapters.sqlite import SqliteJobStore
from events.errors import IllegalTransition, LimitExceeded, PipelineError, Unavailable, UnknownJob
from events.requests import Kind, OnSegmentFailure
from pipeline.commands import RenderSegment
from pipeline.decide import Decision
from pipeline.ports import Decide
from pipeline.records import Job, Segment, SegmentState
from tests.contract.rigs import VirtualClock

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB = Job(
    job_id="job_abc123",
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
    wake_at=None,
)
SEGMENTS = [Segment(job_id=JOB.job_id, index=index, spec="a spec", updated_at=NOW) for index in range(3)]


class Engine:
    """A store and a queue in one file."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "longreel.db")
        self.others: list[Database] = []
        self.owner = Owner(folder / "workers")
        self.queue = LocalQueue(self.database, VirtualClock(), self.owner)
        self.store = SqliteJobStore(self.database, self.queue.outbox)

    def another(self) -> SqliteJobStore:
        """Give a store over a connection of its own."""
        self.others.append(Database(self.database.path))
        return SqliteJobStore(self.others[-1], None)

    def done_count(self) -> int:
        return self.another().load(JOB.job_id).done_count

    def close(self) -> None:
        self.owner.close()
        for database in (self.database, *self.others):
            database.close()


def together(engine: Engine, *steps: Callable[[], object]) -> None:
    """Do all of it in one transaction."""
    with engine.database.transaction("a test"):
        for step in steps:
            step()


def fail() -> None:
    raise ZeroDivisionError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    made.store.create(JOB, SEGMENTS)
    yield made
    made.close()


def count(job: Job, segment: Segment | None) -> Decision:
    """Count one more, and give an order."""
    order = RenderSegment(job.job_id, job.done_count)
    ended = replace(segment, state=SegmentState.DONE) if segment else None
    return Decision("one more", job=replace(job, done_count=job.done_count + 1), segment=ended, commands=(order,))


def refuse(_job: Job, _segment: Segment | None) -> Decision:
    raise IllegalTransition("it can never be")


#: What no row can hold.
not_text: Any = SimpleNamespace()


def nonsense(job: Job, segment: Segment | None) -> Decision:
    return replace(count(job, segment), job=replace(job, last_frame=not_text))


def test_changes_made_together_are_committed_together(engine: Engine) -> None:
    with engine.database.transaction("a test"):
        for index in range(3):
            engine.store.transact(JOB.job_id, index, count)
        assert engine.done_count() == 0, "nobody else sees it before the end"

    assert engine.done_count() == 3
    assert {each.state for each in engine.another().segments(JOB.job_id)} == {SegmentState.DONE}
    bodies = [leased.delivery.body for leased in engine.queue.exchange(CONTROL_LANE, [], 10)]
    assert [f'"segmentIndex":{index}' in body for index, body in enumerate(bodies)] == [True] * 3, "in order, once each"


def test_a_change_is_seen_by_every_later_read_of_the_same_transaction(engine: Engine) -> None:
    with engine.database.transaction("a test"):
        engine.store.transact(JOB.job_id, 0, count)

        assert engine.store.load(JOB.job_id).done_count == 1
        assert engine.store.segments(JOB.job_id)[0].state is SegmentState.DONE
        assert [job.done_count for job in engine.store.jobs()] == [1]
        assert engine.queue.waiting_count() == 1
        assert engine.store.transact(JOB.job_id, None, count).job.done_count == 2


@pytest.mark.parametrize(("bad", "job_id"), [(refuse, JOB.job_id), (count, "job_missing")])
def test_a_change_that_is_refused_leaves_those_beside_it_alone(engine: Engine, bad: Decide, job_id: str) -> None:
    with engine.database.transaction("a test"):
        engine.store.transact(JOB.job_id, 0, count)
        with pytest.raises((IllegalTransition, UnknownJob)):
            engine.store.transact(job_id, None, bad)
        engine.store.transact(JOB.job_id, 1, count)

    assert engine.done_count() == 2


def test_a_change_that_cannot_be_written_undoes_those_beside_it_and_the_store_works_on(engine: Engine) -> None:
    with pytest.raises(PipelineError):
        together(
            engine,
            lambda: engine.store.transact(JOB.job_id, 0, count),
            lambda: engine.store.transact(JOB.job_id, 1, nonsense),
        )

    assert engine.done_count() == 0
    assert engine.queue.waiting_count() == 0
    assert engine.store.transact(JOB.job_id, 0, count).job.done_count == 1, "what was undone is not remembered"


def test_a_part_that_fails_after_it_wrote_undoes_the_whole(engine: Engine) -> None:
    def write_and_fail() -> None:
        with engine.database.transaction("a part") as part:
            part.execute("DELETE FROM segments")
            fail()

    def fail_unseen() -> None:
        with pytest.raises(ZeroDivisionError):
            write_and_fail()

    with pytest.raises(Unavailable):
        together(engine, lambda: engine.store.transact(JOB.job_id, 0, count), fail_unseen)

    assert engine.done_count() == 0
    assert len(engine.store.segments(JOB.job_id)) == 3


def test_an_error_in_the_middle_undoes_the_whole(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        together(engine, lambda: engine.store.transact(JOB.job_id, 0, count), fail)

    assert engine.done_count() == 0
    assert engine.store.transact(JOB.job_id, 0, count).job.done_count == 1


def test_what_another_has_written_is_never_overlooked(engine: Engine) -> None:
    other = engine.another()
    for turn in range(5):
        for store in (engine.store, other):
            store.transact(JOB.job_id, turn % 3, count)

    assert engine.done_count() == 10


def test_a_full_disk_is_told_as_such_changes_nothing_and_is_survived(engine: Engine) -> None:
    connection = engine.database.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")

    def grow(job: Job, _segment: Segment | None) -> Decision:
        return Decision("grow", job=replace(job, done_count=1, last_frame="x" * 100_000))

    with pytest.raises(LimitExceeded, match="disk is full"):
        engine.store.transact(JOB.job_id, None, grow)
    with pytest.raises(LimitExceeded):
        together(
            engine,
            lambda: engine.store.transact(JOB.job_id, 0, count),
            lambda: engine.store.transact(JOB.job_id, None, grow),
        )

    assert engine.done_count() == 0
    connection.execute("PRAGMA max_page_count=1000000")
    assert engine.store.transact(JOB.job_id, 0, count).job.done_count == 1


def test_a_file_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    database = Database(tmp_path / "longreel.db")
    database.connection().execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()

    with pytest.raises(PipelineError, match="another version of Longreel"):
        Database(tmp_path / "longreel.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "longreel.db").write_text("this is not a database, but it is long enough to look like one " * 100)

    with pytest.raises(PipelineError, match=r"longreel\.db"):
        Database(tmp_path / "longreel.db")


def test_a_home_of_the_first_version_is_brought_up_to_date_and_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(Database(path)) as database:
        connection = database.connection()
        connection.execute("ALTER TABLE locks RENAME COLUMN scope TO project_id")
        connection.execute("ALTER TABLE segments DROP COLUMN wasted_micro_usd")
        connection.execute("INSERT INTO locks VALUES ('default', 'long_form', 'job_old123')")
        connection.execute("PRAGMA user_version=1")

    with closing(Database(path)) as database:
        connection = database.connection()
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        assert connection.execute("SELECT scope FROM locks").fetchone()[0] == "default"
        assert connection.execute("SELECT wasted_micro_usd FROM segments").fetchall() == []
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))
