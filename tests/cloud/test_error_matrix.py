"""Everything that goes wrong while a film is made, made to happen through the whole stack of the cloud's column.

Each row of the table in docs/operating.md has its tests here: what the job says, what is tried again and how often,
that no clip is bought twice, and that it completes once the reason is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import limits
from pipeline.records import Job
from tests.cloud.ordered import bought, check_made_for_its_price, let_heal, live, once, order, wait_until
from tests.cloud.servers.http import Request
from tests.cloud.servers.run import How, RunJob
from tests.cloud.servers.transcoder import JobFault
from tests.cloud.stack import LocalCloud
from tests.cloud.test_routes import BASELINE, Studio, content_of, long, short
from tests.media.clips import expected_frames

GPU_JOB, CPU_JOB, LARGER = "stitch-gpu", "stitch-cpu", "stitch-cpu-larger"
VARIABLES = {
    "LONGREEL_GPU_JOB": GPU_JOB,
    "LONGREEL_CPU_JOB": CPU_JOB,
    "LONGREEL_LARGER_CPU_JOB": LARGER,
    "LONGREEL_ACTIVE_JOBS_MAX": "100",
}
#: How long handlers repeat a failing call of Cloud Storage here, so that a line that is down reaches the job soon.
STORAGE_PATIENCE_SECONDS = 0.6
SERVICE_ACCOUNT = "films@demo-longreel.iam.gserviceaccount.com"
MIXED = [short(1), short(2, video=BASELINE), short(3)]


@pytest.fixture(scope="module")
def open_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with LocalCloud(variables=VARIABLES, storage_patience_seconds=STORAGE_PATIENCE_SECONDS) as cloud:
        studio = Studio(cloud, tmp_path_factory.mktemp("films"))
        for name in (GPU_JOB, CPU_JOB, LARGER):
            deploy(studio, name)
        yield studio


@pytest.fixture
def studio(needs_emulators: None, request: pytest.FixtureRequest) -> Iterator[Studio]:
    studio: Studio = request.getfixturevalue("open_studio")
    yield studio
    for server in (studio.cloud.storage, studio.cloud.transcoder, studio.cloud.run, studio.cloud.vertex):
        server.behave()


def deploy(studio: Studio, name: str, **more: str) -> None:
    env = {
        "STORAGE_EMULATOR_HOST": studio.cloud.storage.url,
        "LONGREEL_EMULATED": "on",
        "GOOGLE_CLOUD_PROJECT": studio.cloud.project,
    }
    studio.cloud.run.deploy(RunJob(name, env=env | more))


def about(part: str) -> Callable[[Request], bool]:
    """Tell requests that are about objects with this in their names."""
    return lambda request: part in request.path or part in request.query.get("prefix", "")


def seen_failing(studio: Studio, job_id: str, attempt: int = 1) -> Job:
    """Wait until an attempt at the film has failed and another one is waited for."""

    def is_so(job: Job) -> bool:
        return job.stitch_error is not None and not job.stitch.claimed and job.stitch.attempt >= attempt

    return studio.cloud.wait_for(job_id, is_so)


def lived(studio: Studio, job_id: str) -> tuple[Job, list[tuple[str, int]]]:
    """Let time pass whenever nothing runs on Cloud Run, until a job is over; give it, and (code, tries) on the way."""
    seen: list[tuple[str, int]] = []
    until = time.monotonic() + 200
    while time.monotonic() < until:
        job = studio.cloud.job(job_id)
        if not job.active:
            return job, seen
        if job.stitch_error is not None and not job.stitch.claimed:
            said = (job.stitch_error.code, job.stitch.attempt)
            seen += [said] if said not in seen else []
        is_starting = job.stitch.claimed and job.stitch.operation is None
        if not is_starting and all(execution.over.is_set() for execution in studio.cloud.run.executions):
            studio.sweep(limits.STITCH_PATIENCE.total_seconds() + 10)
        wait_a_moment()
    raise AssertionError(f"{job_id} does not end: {studio.cloud.job(job_id)}")


def wait_a_moment() -> None:
    until = time.monotonic() + 0.4
    wait_until("a moment passed", lambda: time.monotonic() >= until)


# The line is down.


def test_a_line_that_is_down_for_a_while_is_tried_again_after_a_pause_and_the_film_completes(studio: Studio) -> None:
    known = studio.next_job_id("line")
    job_id = known.pop("jobId")
    studio.cloud.storage.misbehave(kind="list", where=about(f"jobs/{job_id}/output"), status=503, times=6)

    studio.reel([short(1), short(2)], **known)
    failing = seen_failing(studio, job_id)

    assert failing.stitch_error is not None
    assert failing.stitch_error.code == "unavailable"
    assert failing.stitch.not_before is not None
    job, _ = lived(studio, job_id)
    assert (job.state, job.stitch_error) == ("completed", None)
    assert 2 <= job.stitch.tries <= limits.TRIES_MAX
    assert studio.frames(job) == expected_frames([short(1), short(2)])


# A role is missing.


def may_not(studio: Studio, where: str, job_id: str) -> None:
    cloud = studio.cloud
    match where:
        case "storage":
            text = f"{SERVICE_ACCOUNT} does not have storage.objects.list access to the Google Cloud Storage bucket."
            fault: dict[str, Any] = {"status": 403, "reason": "forbidden", "message": text, "times": 100}
            cloud.storage.misbehave(kind="list", where=about(f"jobs/{job_id}/output"), **fault)
        case "run":
            text = "Permission 'run.jobs.runWithOverrides' denied on resource 'stitch-cpu' (or it may not exist)."
            cloud.run.refuse(403, text, "PERMISSION_DENIED")
        case "transcoder":
            text = "Permission 'transcoder.jobs.create' denied on 'projects/p/locations/l'."
            cloud.transcoder.misbehave(kind="create", status=403, reason="PERMISSION_DENIED", message=text)
        case "transcoder's agent":
            cloud.transcoder.misbehave_job(JobFault(error={"code": 7, "message": "Access to gs://films denied."}))


@pytest.mark.parametrize(
    ("where", "wishes", "said"),
    [
        ("storage", {}, f"grant roles/storage.objectUser on the bucket to {SERVICE_ACCOUNT}"),
        ("run", {"engine": "cpu"}, "roles/run.jobsExecutorWithOverrides"),
        ("transcoder", {"engine": "transcoder"}, "roles/transcoder.admin"),
        ("transcoder's agent", {"engine": "transcoder"}, "gcp-sa-transcoder.iam.gserviceaccount.com"),
    ],
)
def test_a_missing_role_is_said_at_once_and_a_resume_completes_when_it_was_granted(
    studio: Studio, where: str, wishes: dict[str, str], said: str
) -> None:
    known = studio.next_job_id(f"role {where}".replace(" ", "-").replace("'", ""))
    job_id = known.pop("jobId")
    may_not(studio, where, job_id)
    clips = [long(1), long(2)] if "transcoder" in where else [short(1), short(2)]

    studio.reel(clips, **wishes, **known)
    job = studio.failed(job_id)

    assert job.error is not None
    assert job.error.code == "permission_denied"
    assert said in job.error.message
    assert (job.stitch.attempt, job.stitch.tries) == (1, 1), "no try is burnt"
    assert job.done_count == len(clips), "the clips are kept"
    studio.cloud.storage.behave()
    studio.cloud.call("resumeJob", {"jobId": job_id})
    assert studio.frames(studio.made(job_id)) == expected_frames(clips)


def test_a_missing_role_at_vertex_fails_the_job_and_only_what_was_not_bought_is_bought_after_it_was_granted(
    studio: Studio,
) -> None:
    cloud = studio.cloud
    said = "Permission 'aiplatform.endpoints.predict' denied on resource."
    cloud.vertex.rule(refuse=403, prompt="role, scene 1", said=said)

    job = live(cloud, order(cloud, "role", 2, maxParallelSegments=1))

    assert job.error is not None
    assert (job.state, job.error.code, job.error.segment_index) == ("failed", "permission_denied", 1)
    assert "roles/aiplatform.user" in job.error.message
    assert cloud.segments(job.job_id)[1].attempt == 1
    assert bought(cloud, job.job_id) == {0: 1}
    cloud.call("resumeJob", {"jobId": job.job_id}, uid="role")
    check_made_for_its_price(cloud, live(cloud, job.job_id), 2)


# Memory ran out.


def test_a_film_that_ran_out_of_memory_is_made_by_the_larger_job_and_the_job_says_so(studio: Studio) -> None:
    studio.cloud.run.next_goes(How(kill_when_it_says="Fetching", is_out_of_memory=True))
    before = len(studio.cloud.run.executions)

    job, seen = lived(studio, studio.reel(MIXED, engine="cpu"))

    assert (job.state, seen[0][0]) == ("completed", "out_of_memory")
    small, larger = studio.cloud.run.executions[before:]
    assert (small.job.name, small.exit_codes, larger.job.name) == (CPU_JOB, [137], LARGER)
    assert "--processes" not in larger.args
    assert [each for each in studio.document(job.job_id)["warnings"] if each.startswith("Memory ran out")]
    assert (job.stitch.attempt, job.stitch.larger) == (2, True)
    assert studio.frames(job) == expected_frames(MIXED)


def test_where_there_is_no_larger_job_less_is_done_at_a_time(studio: Studio) -> None:
    studio.cloud.run.next_goes(How(kill_when_it_says="Fetching", is_out_of_memory=True))
    before = len(studio.cloud.run.executions)

    job, _ = lived(studio, studio.reel(MIXED, engine="gpu"))

    small, again = studio.cloud.run.executions[before:]
    assert job.state == "completed"
    assert (small.job.name, again.job.name) == (GPU_JOB, GPU_JOB)
    assert "--processes" not in small.args
    assert again.args[again.args.index("--processes") + 1] == "1"


# A clip is broken.


def broken(content: bytes) -> bytes:
    """Overwrite the media of a clip, so that its headers are right and nothing can be decoded."""
    start = content.index(b"mdat") + 4
    size = int.from_bytes(content[start - 8 : start - 4])
    return content[:start] + b"\xff" * (size - 8) + content[start - 8 + size :]


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_a_clip_that_cannot_be_decoded_is_left_out_where_allowed_and_else_named(studio: Studio, policy: str) -> None:
    bad = broken(content_of(short(2, video=BASELINE)))
    assert bad != content_of(short(2, video=BASELINE))

    job, _ = lived(studio, studio.reel([short(1), bad, short(3)], engine="cpu", onSegmentFailure=policy))

    if policy == "skip":
        assert (job.state, job.skipped_count) == ("completed", 1)
        assert [each for each in job.warnings if each.startswith("Clip 2 is left out: ")]
        assert studio.frames(job) == expected_frames([short(1), short(3)])
    else:
        assert job.error is not None
        assert (job.state, job.error.code, job.error.segment_index) == ("failed", "bad_media", 1)
        assert job.stitch.attempt == 1, "a broken clip is broken the next time as well"


# The disk is full. On Cloud Run it is the memory, so a larger machine has a larger one.


def test_a_full_disk_on_cloud_run_leads_to_the_larger_job(studio: Studio) -> None:
    script = studio.folder / "full.sh"
    script.write_text(_FULL)
    script.chmod(0o755)
    deploy(studio, CPU_JOB, LONGREEL_FFMPEG=str(script), REAL_FFMPEG=_ffmpeg())

    try:
        job, seen = lived(studio, studio.reel(MIXED, engine="cpu"))
    finally:
        deploy(studio, CPU_JOB)

    assert (job.state, seen[0][0]) == ("completed", "disk_full")
    assert studio.cloud.run.executions[-1].job.name == LARGER
    assert studio.frames(job) == expected_frames(MIXED)


_FULL = """#!/bin/sh
case "$*" in
*-version*|*-encoders*) exec "$REAL_FFMPEG" "$@" ;;
esac
echo 'av_interleaved_write_frame(): No space left on device' >&2
exit 1
"""


def _ffmpeg() -> str:
    import imageio_ffmpeg

    return str(Path(imageio_ffmpeg.get_ffmpeg_exe()))


# The time limit.


def test_a_film_that_needs_more_limits_than_there_are_tries_completes_and_nothing_is_encoded_twice_in_vain(
    studio: Studio,
) -> None:
    clips = [short(number) for number in range(1, 10)]
    stops = ("making clip-3", "making clip-5", "making clip-7", "making clip-8")
    for text in stops:
        studio.cloud.run.next_goes(How(time_is_up_when_it_says=text))
    before = len(studio.cloud.run.executions)

    job, seen = lived(studio, studio.reel(clips, engine="cpu", compression="small"))

    studio.cloud.run.wait()
    executions = studio.cloud.run.executions[before:]
    assert [code for code, _ in seen] == ["time_limit"] * len(stops)
    assert [each.exit_codes for each in executions] == [[143]] * len(stops) + [[0]]
    assert len(stops) > limits.TRIES_MAX
    assert (job.state, job.stitch.attempt) == ("completed", len(stops) + 1)
    assert job.film is not None
    assert job.film.report.resumed_count == len(stops)
    assert studio.frames(job) == expected_frames(clips)


def test_a_function_that_is_stopped_in_the_middle_of_a_splice_is_followed_by_another_that_completes(
    studio: Studio,
) -> None:
    known = studio.next_job_id("stopped-function")
    job_id = known.pop("jobId")
    studio.cloud.die_at(1, named="before compose", job_id=job_id)

    studio.reel([short(1), short(2)], **known)
    wait_until("it died", lambda: studio.cloud.controlled().get("diedAt") is not None)
    let_heal(studio.cloud)
    job, _ = lived(studio, job_id)

    assert job.state == "completed"
    assert studio.frames(job) == expected_frames([short(1), short(2)])


# The quota.


@pytest.mark.parametrize("after_seconds", [None, 600])
def test_without_room_the_film_is_made_later_and_the_job_says_when(studio: Studio, after_seconds: int | None) -> None:
    headers = {} if after_seconds is None else {"Retry-After": str(after_seconds)}
    studio.cloud.run.misbehave(kind="run", status=429, reason="RESOURCE_EXHAUSTED", headers=headers, times=2)

    job_id = studio.reel(MIXED)
    started = seen_failing(studio, job_id).created_at
    told = studio.document(job_id)

    assert told["stitchError"]["code"] == "no_room"
    wait = told["nextAttemptAt"] - started
    wished = timedelta(seconds=after_seconds or limits.QUOTA_WAIT.total_seconds())
    assert wished <= wait <= wished + timedelta(seconds=60)
    assert told["message"] == f"Waiting to Stitch Again at {told['nextAttemptAt']:%H:%M:%S} UTC..."
    orders = studio.cloud.run.log.count("run")
    studio.sweep(wished.total_seconds() / 2 - 5)
    wait_a_moment()
    assert studio.cloud.run.log.count("run") == orders, "it is not asked before"
    studio.cloud.advance(wished.total_seconds() / 2 + 70)
    job, _ = lived(studio, job_id)
    assert (job.state, studio.document(job_id)["nextAttemptAt"]) == ("completed", None)


@pytest.mark.parametrize("after_seconds", [None, 7])
def test_without_quota_at_vertex_the_segment_says_when_it_is_ordered_again(
    studio: Studio, after_seconds: int | None
) -> None:
    cloud, name = studio.cloud, f"quota-{after_seconds}"
    headers = {} if after_seconds is None else {"Retry-After": str(after_seconds)}
    cloud.vertex.misbehave(kind="veo.submit", status=429, reason="RESOURCE_EXHAUSTED", headers=headers)

    job_id = order(cloud, name, 1)
    started = cloud.job(job_id).created_at
    wait_until("it waits for its quota", lambda: cloud.segments(job_id)[0].waiting_quota)
    waiting = cloud.segments(job_id)[0]

    assert waiting.not_before is not None
    assert waiting.error is not None
    wished = timedelta(seconds=after_seconds or limits.QUOTA_WAIT.total_seconds())
    assert wished <= waiting.not_before - started <= wished + timedelta(seconds=30)
    assert waiting.error.message.endswith(f"; next try at {waiting.not_before:%H:%M:%S} UTC")
    check_made_for_its_price(cloud, live(cloud, job_id), 1)
    assert bought(cloud, job_id) == once(1)
