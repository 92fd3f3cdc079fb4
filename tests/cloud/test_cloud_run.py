"""The Cloud Run engine through Google's own client, with `gpu_job` as a real process behind the API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.cloud_run import CloudRunEngine
from adapters.disk import DiskObjectStore
from adapters.routed_stitcher import RoutedStitcher
from events.clip import StitchReport
from events.errors import LimitExceeded, NotAllowed, PipelineError, Unavailable
from events.plan import Compression, Engine, StitchPlan
from pipeline.work_ports import Gone, Running, Started, Stopped
from tests.cloud.run_bench import BUCKET, CPU_JOB, JOB_ID, MIXED, RunBench, run_bench
from tests.cloud.servers.run import How, RunExecution
from tests.gpu_job.film_reading import video_packets
from tests.media.clips import read_frames

PATIENCE_SECONDS = 30
STITCH_FOLDER = f"gs://{BUCKET}/jobs/{JOB_ID}/stitch/1"
#: google.cloud.run.v2.Condition.CommonReason.
CONTAINER_MISSING = 6
NO_CARDS = "Quota exceeded for total allowable count of GPUs per project per region."


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RunBench]:
    with run_bench(tmp_path) as bench:
        yield bench


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def started(engine: CloudRunEngine, plan: StitchPlan) -> str:
    return engine.start(plan).operation


def only(bench: RunBench) -> RunExecution:
    (execution,) = bench.run.executions
    return execution


def stopped(answer: object) -> Stopped:
    assert isinstance(answer, Stopped), answer
    return answer


def embedded_film(bench: RunBench, plan: StitchPlan) -> Path:
    """Stitch the same clips on this machine alone."""
    store = DiskObjectStore(bench.folder / "embedded")
    clips = [
        clip.model_copy(update={"generation": store.write(clip.uri, bench.objects.read(clip.uri)).generation})
        for clip in plan.clips
    ]
    paper = bench.folder / "plan.json"
    paper.write_text(plan.model_copy(update={"clips": clips}).to_json())
    work = ["--work", str(bench.folder / "work"), "--objects", str(store.root)]
    subprocess.run([sys.executable, "-m", "gpu_job", "--plan", str(paper), *work], check=True, capture_output=True)
    return store.path(plan.output_uri)


def test_the_film_of_the_cloud_is_frame_for_frame_the_embedded_one(bench: RunBench) -> None:
    plan, engine = bench.plan(MIXED), bench.engine()

    operation = started(engine, plan)
    bench.run.wait()

    assert isinstance(engine.poll(operation), Gone), only(bench).output
    film, embedded = bench.fetch(plan.output_uri), embedded_film(bench, plan)
    report = StitchReport.from_json(bench.objects.read(plan.report_uri))
    assert read_frames(film) == read_frames(embedded)
    assert video_packets(film) == video_packets(embedded)
    assert (report.encoded_clips, report.encoder, report.frame_count) == ([1], "libx264", 12 + 12 + 12)
    assert report.size_bytes == film.stat().st_size
    stored = bench.storage.find(plan.output_uri)
    assert stored is not None
    assert stored.resource(bench.storage.url)["contentType"] == "video/mp4"


def test_a_card_that_does_not_work_is_told_with_the_film(bench: RunBench) -> None:
    plan, engine = bench.plan(compression=Compression.SMALL), bench.engine(Engine.GPU)

    started(engine, plan)
    bench.run.wait()

    report = StitchReport.from_json(bench.objects.read(plan.report_uri))
    assert report.encoder == "libx264"
    assert report.warnings[0].startswith("The film was encoded without its card (h264_nvenc: ")


def test_an_attempt_that_is_started_twice_runs_once(bench: RunBench) -> None:
    plan = bench.plan()

    answers = [bench.engine().start(plan) for _ in range(2)]

    assert answers[0] == answers[1]
    assert bench.run.log.count("run") == 1


def test_another_engine_takes_no_attempt_that_runs(bench: RunBench) -> None:
    plan = bench.plan()

    assert bench.engine(Engine.GPU).start(plan) == bench.engine(Engine.CPU).start(plan)


def forget_the_execution(bench: RunBench) -> None:
    """Make the record what a crash between the run and the record leaves."""
    uri = f"{STITCH_FOLDER}/execution.json"
    bench.objects.write(uri, json.dumps({**json.loads(bench.objects.read(uri)), "execution": None}).encode())


def test_an_execution_of_which_no_record_was_made_is_found_again(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    first = engine.start(plan)
    forget_the_execution(bench)
    bench.clock.advance(timedelta(minutes=2))

    assert engine.start(plan) == first
    assert bench.run.log.count("run") == 1
    assert engine.start(plan) == first
    assert bench.run.log.count("list") == 1


def test_a_claim_that_somebody_may_still_be_at_is_left_alone(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    engine.start(plan)
    forget_the_execution(bench)

    with pytest.raises(Unavailable, match="under way"):
        engine.start(plan)


def test_a_claim_whose_owner_died_before_the_run_is_taken_over(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    bench.run.misbehave(kind="run", status=503)
    with pytest.raises(Unavailable):
        engine.start(plan)
    bench.clock.advance(timedelta(minutes=2))

    operation = started(engine, plan)
    bench.run.wait()

    assert isinstance(engine.poll(operation), Gone)
    assert len(bench.run.executions) == 1


def test_an_order_whose_answer_was_lost_is_not_given_again(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    bench.run.misbehave(kind="run", lose_answer=True)
    with pytest.raises(Unavailable):
        engine.start(plan)
    bench.clock.advance(timedelta(minutes=2))

    assert started(engine, plan).startswith(only(bench).path)
    assert bench.run.log.count("run") == 1


@pytest.mark.parametrize(
    ("status", "message", "google_status", "error", "code"),
    [
        (429, "Quota exceeded for quota metric 'Run job requests'", "RESOURCE_EXHAUSTED", LimitExceeded, "quota"),
        (400, NO_CARDS, "FAILED_PRECONDITION", LimitExceeded, "quota"),
        (403, "Permission 'run.jobs.run' denied on resource", "PERMISSION_DENIED", NotAllowed, "permission_denied"),
        (400, "Invalid argument.", "INVALID_ARGUMENT", PipelineError, "job_refused"),
    ],
)
def test_a_refusal_is_named_and_leaves_the_attempt_to_others(
    bench: RunBench, status: int, message: str, google_status: str, error: type[PipelineError], code: str
) -> None:
    plan, engine = bench.plan(), bench.engine()
    bench.run.refuse(status, message, google_status)

    with pytest.raises(error, match=message.split("(")[0]) as caught:
        engine.start(plan)

    assert (type(caught.value), caught.value.code) == (error, code)
    assert "http" not in caught.value.message
    assert isinstance(engine.start(plan), Started)


def test_who_may_not_run_the_job_is_told_the_role(bench: RunBench) -> None:
    bench.run.refuse(403, "Permission 'run.jobs.run' denied", "PERMISSION_DENIED")

    with pytest.raises(NotAllowed, match=r"roles/run\.jobsExecutorWithOverrides"):
        bench.engine().start(bench.plan())


def test_a_job_that_is_not_deployed_is_somebody_elses_turn(bench: RunBench) -> None:
    engine = CloudRunEngine(Engine.GPU, "demo-run", "us-east4", "no-such-job", bench.objects, bench.run.url)

    with pytest.raises(LimitExceeded, match="not deployed") as caught:
        engine.start(bench.plan())

    assert caught.value.code == "job_not_deployed"


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_server_that_fails_may_be_asked_later(bench: RunBench, status: int) -> None:
    bench.run.misbehave(kind="run", status=status)

    with pytest.raises(Unavailable):
        bench.engine().start(bench.plan())

    assert bench.run.log.count("run") == 1


def test_without_quota_for_cards_processors_make_the_film_and_the_job_says_so(bench: RunBench) -> None:
    gpu, cpu = bench.engine(Engine.GPU), bench.engine(Engine.CPU)
    plan = bench.plan()
    stitcher = RoutedStitcher([gpu, cpu], bench.clock)
    bench.run.refuse(400, NO_CARDS, "FAILED_PRECONDITION")
    route = RoutedStitcher([gpu], bench.clock).route(plan)

    answer = stitcher.start(plan, route)

    assert isinstance(answer, Started)
    assert answer.operation.startswith("cpu:projects/demo-run/")
    assert answer.route is not None
    assert [NO_CARDS in warning for warning in answer.route.warnings] == [True]


def test_a_clip_that_was_changed_is_told_with_its_segment(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    bench.objects.write(plan.clips[1].uri, b"something else")

    operation = started(engine, plan)
    bench.run.wait()

    answer = stopped(engine.poll(operation))
    assert (answer.code, answer.retryable, answer.bad_segment_index) == ("precondition_failed", False, 1)
    assert "it was changed after the plan was made" in answer.message
    assert only(bench).exit_codes == [66]
    assert bench.objects.stat(plan.output_uri) is None


def test_a_program_that_was_killed_may_be_tried_again(bench: RunBench) -> None:
    plan, engine = bench.plan(MIXED), bench.engine()
    bench.run.next_goes(How(kill_when_it_says="Fetching"))

    operation = started(engine, plan)
    bench.run.wait()

    answer = stopped(engine.poll(operation))
    assert (answer.code, answer.retryable) == ("execution_failed", True)
    assert "container exited with an error" in answer.message
    assert "its log: https://" in answer.message
    assert only(bench).exit_codes == [137]


def test_a_task_that_cloud_run_tries_again_makes_the_film(bench: RunBench) -> None:
    bench.deploy(max_retries=1)
    plan, engine = bench.plan(MIXED), bench.engine()
    bench.run.next_goes(How(kill_when_it_says="Fetching"))

    operation = started(engine, plan)
    bench.run.wait()

    assert only(bench).exit_codes == [137, 0]
    assert isinstance(engine.poll(operation), Gone)
    assert bench.objects.stat(plan.output_uri) is not None


def test_what_failed_for_good_is_not_done_again_by_another_try_of_the_task(bench: RunBench) -> None:
    bench.deploy(max_retries=2)
    plan, engine = bench.plan(), bench.engine()
    bench.objects.write(plan.clips[0].uri, b"something else")

    operation = started(engine, plan)
    bench.run.wait()

    assert only(bench).exit_codes == [66, 65, 65]
    assert b"an earlier try has failed for good" in only(bench).output
    assert stopped(engine.poll(operation)).code == "precondition_failed"


def test_a_film_that_is_there_is_not_made_again(bench: RunBench) -> None:
    plan, engine = bench.plan(), bench.engine()
    started(engine, plan)
    bench.run.wait()
    film = bench.objects.stat(plan.output_uri)
    bench.objects.delete(f"{STITCH_FOLDER}/execution.json")

    started(engine, plan)
    bench.run.wait()

    assert len(bench.run.executions) == 2
    assert b"The film was there already." in bench.run.executions[1].output
    assert bench.objects.stat(plan.output_uri) == film


def test_two_containers_on_one_plan_leave_a_film_and_its_report(bench: RunBench) -> None:
    plan, engine = bench.plan(MIXED), bench.engine()
    bench.run.next_goes(How(twice=True))

    operation = started(engine, plan)
    bench.run.wait()

    assert isinstance(engine.poll(operation), Gone), only(bench).output
    report = StitchReport.from_json(bench.objects.read(plan.report_uri))
    film = bench.objects.stat(plan.output_uri)
    assert film is not None
    assert film.size_bytes == report.size_bytes


def test_an_execution_that_finds_no_machine_is_given_up_and_the_next_attempt_is_left_to_others(
    bench: RunBench,
) -> None:
    plan, engine = bench.plan(), bench.engine(Engine.GPU)
    bench.run.next_goes(How(never_starts=True))
    operation = started(engine, plan)
    assert engine.poll(operation) == Running()
    bench.clock.present = bench.clock.present.now(tz=bench.clock.present.tzinfo) + timedelta(minutes=11)

    answer = stopped(engine.poll(operation))

    assert (answer.code, answer.retryable) == ("no_machine", True)
    bench.run.wait()
    with pytest.raises(LimitExceeded, match="no container of it started in 10 minutes"):
        engine.start(bench.plan(attempt=2))
    assert isinstance(bench.engine(Engine.CPU).start(bench.plan(attempt=2)), Started)
    assert isinstance(engine.start(bench.plan(attempt=3)), Started)


def test_an_execution_that_fails_for_want_of_quota_leaves_the_next_attempt_to_others(bench: RunBench) -> None:
    engine = bench.engine(Engine.GPU)
    bench.run.next_goes(How(fails_with=NO_CARDS))
    operation = started(engine, bench.plan())
    bench.run.wait()

    assert stopped(engine.poll(operation)).code == "no_machine"
    assert stopped(engine.poll(operation)).code == "no_machine"
    with pytest.raises(LimitExceeded, match="GPUs per project"):
        engine.start(bench.plan(attempt=2))


def test_a_job_whose_image_is_missing_is_not_tried_again(bench: RunBench) -> None:
    engine = bench.engine()
    bench.run.next_goes(How(fails_with="Image 'stitch' not found.", common_reason=CONTAINER_MISSING))
    operation = started(engine, bench.plan())
    bench.run.wait()

    answer = stopped(engine.poll(operation))

    assert (answer.code, answer.retryable) == ("execution_failed", False)
    assert "Image 'stitch' not found." in answer.message


def test_how_far_it_is_can_be_asked_and_who_is_told_to_stop_leaves_nothing(bench: RunBench) -> None:
    plan, engine = bench.plan(MIXED), bench.engine()
    bench.storage.misbehave(
        kind="download", where=lambda request: "clip.mp4" in request.path, delay_seconds=PATIENCE_SECONDS
    )
    operation = started(engine, plan)
    until(lambda: engine.poll(operation) == Running(0))

    engine.cancel(operation)
    bench.run.wait()

    assert only(bench).exit_codes == [143]
    assert only(bench).child_pids() == []
    answer = stopped(engine.poll(operation))
    assert (answer.code, answer.retryable) == ("execution_cancelled", True)
    assert bench.objects.stat(plan.output_uri) is None
    assert bench.objects.stat(plan.report_uri) is None
    engine.cancel(operation)


def test_an_execution_that_nobody_knows_is_gone(bench: RunBench) -> None:
    name = f"projects/demo-run/locations/us-east4/jobs/{CPU_JOB}/executions/none"
    engine = bench.engine()

    assert isinstance(engine.poll(f"{name}@{STITCH_FOLDER}"), Gone)
    engine.cancel(f"{name}@{STITCH_FOLDER}")


def test_papers_that_are_not_ours_are_not_believed(bench: RunBench) -> None:
    plan, engine = bench.plan(MIXED), bench.engine()
    bench.run.hold()
    operation = started(engine, plan)
    for paper in (b"[1]", b"{", b'{"percent": "much"}', b'{"percent": 900}'):
        bench.objects.write(f"{STITCH_FOLDER}/progress.json", paper)
        assert engine.poll(operation) == Running()
    bench.objects.write(f"{STITCH_FOLDER}/error.json", b'{"execution": "another", "code": "x", "retryable": false}')
    engine.cancel(operation)
    bench.run.wait()

    assert stopped(engine.poll(operation)).code == "execution_cancelled"


def test_a_task_is_stopped_after_a_bounded_time(bench: RunBench) -> None:
    bench.run.hold()
    started(bench.engine(), bench.plan())

    assert only(bench).resource()["template"]["timeout"] == "900s"


def test_only_gpu_and_cpu_are_cloud_run_jobs(bench: RunBench) -> None:
    with pytest.raises(ValueError, match="transcoder"):
        CloudRunEngine(Engine.TRANSCODER, "demo-run", "us-east4", "job", bench.objects)


def test_nothing_of_googles_is_imported_before_it_is_needed() -> None:
    heavy = "{'google.cloud.run_v2', 'google.api_core', 'google.auth', 'requests', 'media.target'}"
    code = f"import sys, adapters.cloud_run; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "set()"
