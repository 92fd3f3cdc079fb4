"""Several tasks on one film, each a real process: what one of them loses, freezes at or breaks on."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from adapters import cloud_run_estimate as model
from adapters.cloud_run import CloudRunEngine
from events.clip import StitchReport
from events.names import parse_uri
from events.plan import Engine, StitchPlan
from pipeline.routing import Offer
from pipeline.work_ports import Gone, Running, Stopped
from tests.cloud.run_bench import BUCKET, CPU_JOB, JOB_ID, MIXED, RunBench, run_bench
from tests.cloud.servers.http_messages import Request
from tests.cloud.servers.run import How, RunExecution
from tests.cloud.test_cloud_run import STITCH_FOLDER, embedded_film, stopped, until
from tests.media.clips import ClipSpec, read_frames

CHECKPOINTS = f"gs://{BUCKET}/checkpoints/{JOB_ID}/"
#: One at a time, so that what a kill costs can be counted.
PROGRAM = (sys.executable, "-m", "gpu_job", "--processes", "1")
#: Its leases are soon known to be a dead one's; on a busy machine a living one's must not be.
SOON_DEAD = (*PROGRAM, "--lease-seconds", "6")
#: Two that conform and, shorter than they together, four of another frame rate.
CLIPS = (
    *(ClipSpec(number, frames=36) for number in (1, 2)),
    *(ClipSpec(number, frames=15, fps="30") for number in (3, 4, 5, 6)),
)
FRAMES = 2 * 36 + 4 * 12


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunBench]:
    # Else nothing that a test can wait for is worth a second task.
    monkeypatch.setattr(model, "SHARE_SECONDS", 0.001)
    with run_bench(tmp_path) as bench:
        bench.deploy(entrypoint=PROGRAM, max_retries=1, stop_patience_seconds=0.3)
        yield bench


def engine_of(bench: RunBench, tasks_max: int = 3) -> CloudRunEngine:
    job = ("demo-run", "us-east4", CPU_JOB)
    return CloudRunEngine(Engine.CPU, *job, bench.objects, bench.run.url, clock=bench.clock, tasks_max=tasks_max)


def started(bench: RunBench, engine: CloudRunEngine, plan: StitchPlan) -> tuple[str, RunExecution]:
    operation = engine.start(plan).operation
    return operation, bench.run.executions[-1]


def made(*executions: RunExecution) -> Counter[str]:
    """Count how often each piece was begun."""
    return Counter(name for each in executions for name in re.findall(r'"making (\S+) of', each.output.decode()))


def report(bench: RunBench, plan: StitchPlan) -> StitchReport:
    return StitchReport.from_json(bench.objects.read(plan.report_uri))


def is_joining(bench: RunBench) -> bool:
    return any(info.uri.endswith("join.lease") for info in bench.objects.list(CHECKPOINTS))


def kill_while_it_joins(bench: RunBench, execution: RunExecution) -> None:
    """Kill by -9 whichever task joins the film; its clips that are kept come slowly."""
    until(lambda: is_joining(bench))
    until(lambda: len(execution.child_pids()) == 1)
    for task in execution.tasks:
        task.send(signal.SIGKILL)


def slow_down_the_join(bench: RunBench) -> None:
    # Only whoever joins needs the clips that are kept.
    kept = "/segments/0/1/clip.mp4"
    bench.storage.misbehave(kind="download", where=lambda each: kept in unquote(each.path), delay_seconds=60)


def test_a_film_of_three_tasks_loses_nothing_when_one_is_killed_and_started_again(bench: RunBench) -> None:
    plan, engine = bench.plan(CLIPS), engine_of(bench)
    offer = engine.offer(plan)
    assert isinstance(offer, Offer)
    assert " in 3 tasks in about " in offer.reason
    # The last piece of its share: the first ones are kept by then.
    bench.run.next_goes(How(kill_when_it_says="making clip-5-chunk"))

    operation, execution = started(bench, engine, plan)
    bench.run.wait()

    assert isinstance(engine.poll(operation), Gone), execution.output.decode()
    assert [task.exit_codes for task in execution.tasks] == [[137, 0], [0], [0]]
    assert execution.resource()["taskCount"] == 3
    pieces = made(execution)
    assert len(pieces) == 8
    assert {name: count for name, count in pieces.items() if count > 1} == {"clip-5-chunk-00000": 2}
    said = report(bench, plan)
    assert (said.resumed_count, said.resumed_from) == (1, 12)
    assert (said.encoded_frame_count, said.frame_count) == (48, FRAMES)
    assert bench.objects.list(CHECKPOINTS) == []
    assert read_frames(bench.fetch(plan.output_uri)) == read_frames(embedded_film(bench, plan))
    for name in ("progress.json", "progress-1.json", "progress-2.json"):
        assert json.loads(bench.objects.read(f"{STITCH_FOLDER}/{name}"))["ended"] is True


def test_when_the_task_that_joins_is_killed_its_next_try_joins(bench: RunBench) -> None:
    plan, engine = bench.plan(CLIPS), engine_of(bench)
    slow_down_the_join(bench)
    operation, execution = started(bench, engine, plan)

    kill_while_it_joins(bench, execution)
    bench.run.wait()

    assert isinstance(engine.poll(operation), Gone), execution.output.decode()
    assert sorted(task.exit_codes for task in execution.tasks) == [[0], [0], [137, 0]]
    assert set(made(execution).values()) == {1}
    assert report(bench, plan).frame_count == FRAMES


def test_where_a_task_fails_as_often_as_it_may_another_attempt_finds_all_that_was_done(bench: RunBench) -> None:
    bench.deploy(entrypoint=SOON_DEAD)
    plan, engine = bench.plan(CLIPS), engine_of(bench)
    slow_down_the_join(bench)
    operation, execution = started(bench, engine, plan)
    kill_while_it_joins(bench, execution)
    bench.run.wait()
    answer = stopped(engine.poll(operation))
    assert (answer.code, answer.retryable) == ("execution_failed", True)
    assert bench.objects.stat(plan.output_uri) is None, execution.output.decode()

    again, second = started(bench, engine, bench.plan(CLIPS, attempt=2))
    bench.run.wait()

    assert isinstance(engine.poll(again), Gone), second.output.decode()
    assert set(made(execution, second).values()) == {1}, "the lease of the dead one was taken over, its work kept"
    assert bench.objects.list(CHECKPOINTS) == []


def test_what_one_task_fails_by_for_good_ends_the_others_too(bench: RunBench) -> None:
    plan, engine = bench.plan(CLIPS), engine_of(bench)
    bench.objects.write(plan.clips[3].uri, b"something else")
    bench.run.next_goes(How(freeze_when_it_says="making clip-2-chunk"))

    def is_too_early(request: Request) -> bool:
        """Whoever begins after the failure ends at once, and there would be nobody to be ended."""
        return parse_uri(plan.clips[3].uri).name in unquote(request.path) and not is_frozen()

    def is_frozen() -> bool:
        return b"making clip-2-chunk" in bench.run.executions[-1].tasks[0].output

    bench.storage.misbehave(status=503, where=is_too_early, times=10_000)
    operation, execution = started(bench, engine, plan)
    until(is_frozen)
    until(lambda: isinstance(engine.poll(operation), Stopped))
    bench.run.wait()

    answer = stopped(engine.poll(operation))
    assert (answer.code, answer.retryable) == ("precondition_failed", False)
    assert plan.clips[3].uri in answer.message
    assert execution.tasks[0].exit_codes == [137], execution.output.decode()
    assert bench.objects.stat(plan.output_uri) is None


def test_a_task_that_hangs_is_stopped_and_the_next_attempt_goes_on(bench: RunBench) -> None:
    bench.deploy(entrypoint=SOON_DEAD, stop_patience_seconds=0.3)
    plan, engine = bench.plan(CLIPS), engine_of(bench, tasks_max=2)
    bench.run.next_goes(How(freeze_when_it_says="making clip-4-sound", task=1))
    operation, execution = started(bench, engine, plan)
    until(lambda: execution.tasks[0].exit_codes == [0])
    until(lambda: b"making clip-4-sound" in execution.tasks[1].output)
    for minutes in (0, 2, 2):
        bench.clock.advance(timedelta(minutes=minutes))
        assert isinstance(engine.poll(operation), Running)

    bench.clock.advance(timedelta(minutes=2))
    answer = stopped(engine.poll(operation))

    assert (answer.code, answer.retryable) == ("execution_hangs", True)
    assert "the task of progress-1.json left no word for 5 minutes" in answer.message
    bench.run.wait()
    assert execution.tasks[1].exit_codes == [137]
    again, second = started(bench, engine, bench.plan(CLIPS, attempt=2))
    bench.run.wait()
    assert isinstance(engine.poll(again), Gone), second.output.decode()
    twice = {name: count for name, count in made(execution, second).items() if count > 1}
    assert twice == {"clip-4-sound-12": 2}, "nothing but what hung"


def test_a_program_that_hangs_before_its_first_word_is_stopped(bench: RunBench) -> None:
    engine = engine_of(bench)
    bench.run.next_goes(How(command=(sys.executable, "-c", "import signal; signal.pause()")))
    operation, execution = started(bench, engine, bench.plan(MIXED))
    until(lambda: bool(execution.child_pids()))
    assert engine.poll(operation) == Running()
    bench.clock.advance(timedelta(minutes=5))

    answer = stopped(engine.poll(operation))

    assert answer.code == "execution_hangs"
    assert "its program left no word" in answer.message


def test_who_leaves_word_now_and_then_is_left_alone(bench: RunBench) -> None:
    """The program is frozen, so that nobody but this test leaves word for it."""
    engine = engine_of(bench)
    bench.run.next_goes(How(freeze_when_it_says="making"))
    operation, execution = started(bench, engine, bench.plan(MIXED))
    until(lambda: b"making" in execution.output)
    for percent in (10, 10, 11, 11):
        bench.objects.write(f"{STITCH_FOLDER}/progress.json", json.dumps({"percent": percent}).encode())
        bench.clock.advance(timedelta(minutes=4))
        assert engine.poll(operation) == Running(percent)

    engine.cancel(operation)
    bench.run.wait()


def test_the_bar_tells_of_the_slowest_task_until_one_joins_the_film(bench: RunBench) -> None:
    engine = engine_of(bench)
    bench.run.next_goes(How(never_starts=True))
    operation, _ = started(bench, engine, bench.plan(CLIPS))
    for name, percent, told in (("progress.json", 85, 85), ("progress-1.json", 40, 40), ("progress-2.json", 96, 96)):
        bench.objects.write(f"{STITCH_FOLDER}/{name}", json.dumps({"percent": percent}).encode())
        assert engine.poll(operation) == Running(told)

    engine.cancel(operation)
    bench.run.wait()
