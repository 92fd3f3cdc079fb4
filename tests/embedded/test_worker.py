"""Workers: real threads, real processes, real kills."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.local_queue import LocalQueue
from adapters.sqlite import SqliteJobStore
from embedded.assembly import Pipeline
from embedded.worker import BATCH, Worker
from events.log_lines import ATTRIBUTE
from events.messages import LocalRender, ObjectFinalized, Requested, SegmentRequested, Topic
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectStore
from pipeline.records import JobState
from tests.contract.rigs import VirtualClock
from tests.embedded.engine import Home, all_completed, done_segments, submit, wait_for


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def pipeline(home: Home) -> Iterator[Pipeline]:
    with home.open() as opened:
        yield opened


class Working:
    """A worker in this process, for the length of a `with`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._worker = Worker(pipeline, threads=1)

    def __enter__(self) -> None:
        self._worker.start()

    def __exit__(self, *_error: object) -> None:
        self._worker.stop()


def waiting(pipeline: Pipeline) -> int:
    return pipeline.adapters.queue.waiting_count()


def test_whole_jobs_complete_with_every_segment_made_once(home: Home) -> None:
    with home.open(worker=True) as pipeline, Working(pipeline):
        jobs = [submit(pipeline, f"project{number}", 20) for number in range(3)]

        wait_for(lambda: all_completed(pipeline), "all jobs were completed")
        wait_for(lambda: waiting(pipeline) == 0, "every message was acknowledged")

        for job in jobs:
            finished = pipeline.services.jobs.load(job.job_id)
            assert (finished.done_count, finished.progress) == (20, 100)
            assert finished.film is not None
        assert home.made() == {(job.job_id, index, 1): 1 for job in jobs for index in range(20)}
        assert pipeline.adapters.queue.dead_letters() == []


def test_a_job_that_was_asked_for_before_the_worker_started_is_done(home: Home, pipeline: Pipeline) -> None:
    submit(pipeline, "project", 3)

    with home.open(worker=True) as working, Working(working):
        wait_for(lambda: all_completed(pipeline), "the job was completed")


def test_what_another_process_publishes_wakes_an_idle_worker(home: Home, pipeline: Pipeline) -> None:
    with home.process():
        submit(pipeline, "project", 3)

        wait_for(lambda: all_completed(pipeline), "the job was completed")


def test_several_processes_share_the_work_and_do_no_segment_twice(home: Home, pipeline: Pipeline) -> None:
    with home.process(hold_ms=1), home.process(hold_ms=1), home.process(hold_ms=1):
        jobs = [submit(pipeline, f"project{number}", 25) for number in range(4)]

        wait_for(lambda: all_completed(pipeline), "all jobs were completed")

    assert home.made() == {(job.job_id, index, 1): 1 for job in jobs for index in range(25)}


def test_when_one_process_is_killed_another_takes_its_messages_without_waiting_for_a_lease(
    home: Home, pipeline: Pipeline
) -> None:
    """A lease lasts 90 s, so that the job ends at all within this test's patience shows that none was waited for."""
    with home.process(hold_ms=5) as doomed:
        job = submit(pipeline, "project", 40)
        wait_for(lambda: len(home.made()) >= 10, "work was under way")
        with home.process(hold_ms=5):
            doomed.kill()
            wait_for(lambda: all_completed(pipeline), "the job was completed")

    assert {(job_id, index) for job_id, index, _ in home.made()} == {(job.job_id, index) for index in range(40)}
    assert waiting(pipeline) == 0


def test_after_a_kill_a_restart_goes_on_and_repeats_no_more_than_was_in_hand(home: Home, pipeline: Pipeline) -> None:
    job = submit(pipeline, "project", 60)
    with home.process(hold_ms=2) as doomed:
        wait_for(lambda: len(home.made()) >= 20, "work was under way")
        doomed.kill()
        doomed.wait()
    done = done_segments(pipeline, job)

    with home.process(hold_ms=2):
        wait_for(lambda: all_completed(pipeline), "the job was completed")

    made = home.made()
    assert set(made) == {(job.job_id, index, 1) for index in range(60)}, "no new attempt was counted"
    assert all(made[job.job_id, index, 1] == 1 for index in done), "finished work was done again"
    assert sum(made.values()) - 60 <= BATCH


def worked_enough(home: Home, pipeline: Pipeline, wanted: int) -> bool:
    return sum(home.made().values()) >= wanted or all_completed(pipeline)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_worker_killed_again_and_again_ends_every_job_right(home: Home, pipeline: Pipeline, seed: int) -> None:
    chance = random.Random(seed)
    jobs = [submit(pipeline, f"project{number}", 25) for number in range(4)]
    for _kill in range(5):
        before, done = home.made(), {(job.job_id, index) for job in jobs for index in done_segments(pipeline, job)}
        with home.process(hold_ms=1) as doomed:
            wanted = min(100, sum(before.values()) + chance.randrange(1, 15))
            wait_for(partial(worked_enough, home, pipeline, wanted), "it worked")
            doomed.kill()
            doomed.wait()
        assert not {(job_id, index) for job_id, index, _ in home.made() - before} & done, "finished work was done again"

    with home.process():
        wait_for(lambda: all_completed(pipeline), "all jobs were completed")

    assert {(job_id, index) for job_id, index, _ in home.made()} == {
        (job.job_id, index) for job in jobs for index in range(25)
    }
    for job in jobs:
        finished = pipeline.services.jobs.load(job.job_id)
        assert (finished.state, finished.done_count, finished.stitch.attempt) == (JobState.COMPLETED, 25, 1)
    assert pipeline.adapters.queue.dead_letters() == []


def test_stopping_gives_slow_work_back_as_if_it_had_never_been_taken(home: Home, pipeline: Pipeline) -> None:
    job = submit(pipeline, "project", 1, generator="storyboard")
    with home.open(worker=True) as working:
        with Working(working):
            wait_for(lambda: bool(list((home.folder / "objects" / ".parts").glob("*.mp4"))), "a card was being drawn")
        owner = working.adapters.owner
        assert owner is not None
        (leased,) = working.adapters.queue.exchange("work", [], 10)

    assert LocalRender.from_json(leased.delivery.body).job_id == job.job_id
    assert leased.delivery.delivery_attempt == 1
    assert not leased.delivery.claimant_died
    assert list((home.folder / "objects" / ".parts").glob("*.mp4")) == []


def test_stopping_an_idle_worker_takes_no_time(home: Home) -> None:
    with home.open(worker=True) as pipeline:
        for _ in range(20):
            with Working(pipeline):
                pass


def test_a_message_that_cannot_be_carried_out_harms_none_that_came_with_it(home: Home) -> None:
    with home.open(worker=True) as pipeline:
        job = submit(pipeline, "project", 10)
        strange = [Requested(job_id="job_missing"), SegmentRequested(job_id=job.job_id, segment_index=99)]
        pipeline.services.bus.publish([Outgoing(message) for message in strange])

        with Working(pipeline):
            wait_for(lambda: all_completed(pipeline), "the job was completed")
            wait_for(lambda: waiting(pipeline) == 0, "every message was settled")

        reasons = [each.reason for each in pipeline.adapters.queue.dead_letters()]
    assert sorted(reason.partition(":")[0] for reason in reasons) == ["unknown_job", "unknown_job"]
    assert "job_missing" in " ".join(reasons)
    assert home.made() == {(job.job_id, index, 1): 1 for index in range(10)}


class FaultyObjects:
    """An object store in which every look is a mistake of ours."""

    def __getattr__(self, name: str) -> Any:
        def mistake(*_args: object, **_named: object) -> Any:
            raise ZeroDivisionError(f"our own mistake in {name}")

        return mistake


def with_virtual_time(pipeline: Pipeline, clock: VirtualClock) -> Pipeline:
    adapters = pipeline.adapters
    queue = LocalQueue(adapters.database, clock, adapters.owner)
    store = SqliteJobStore(adapters.database, queue.outbox)
    services = replace(pipeline.services, bus=queue, jobs=store, clock=clock)
    return replace(pipeline, adapters=replace(adapters, queue=queue, jobs=store), services=services)


def test_a_mistake_of_ours_is_tried_again_logged_with_its_traceback_and_kept_as_a_dead_letter(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    clock, objects = VirtualClock(), FaultyObjects()
    faulty: ObjectStore = objects
    with home.open(worker=True) as opened:
        pipeline = with_virtual_time(opened, clock)
        job = submit(pipeline, "project", 1)
        pipeline = replace(pipeline, services=replace(pipeline.services, objects=faulty))
        landed = ObjectFinalized(
            bucket=pipeline.services.bucket, name=f"jobs/{job.job_id}/segments/0/1/clip.mp4", generation=1, size=1
        )
        queue = pipeline.adapters.queue

        def given_up() -> bool:
            clock.advance(timedelta(seconds=10))
            queue.publish([Outgoing(Requested(job_id=job.job_id))])  # wakes the worker to the new time
            return any(each.topic == Topic.OBJECT_FINALIZED for each in queue.dead_letters())

        with caplog.at_level(logging.ERROR, "longreel.worker"), Working(pipeline):
            queue.publish([Outgoing(landed)])
            wait_for(given_up, "the message was given up")

        (dead,) = (each for each in queue.dead_letters() if each.topic == Topic.OBJECT_FINALIZED)
    assert dead.deliveries == 5
    assert "ZeroDivisionError: our own mistake" in dead.reason
    bugs = [
        record for record in caplog.records if vars(record).get(ATTRIBUTE, {}).get("topic") is Topic.OBJECT_FINALIZED
    ]
    assert len(bugs) == 5
    assert all(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in bugs)
