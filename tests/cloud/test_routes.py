"""Which engine makes a film, through the whole stack: from the callable to the job's document and the film's frames."""

from __future__ import annotations

import itertools
import re
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest

from events.names import job_id_of_request
from pipeline import limits
from pipeline.records import Job
from tests.cloud.servers.run import How, RunJob
from tests.cloud.servers.transcoder import JobFault
from tests.cloud.stack import BUCKET, LocalCloud
from tests.media.clips import ClipSpec, expected_frames, make_clip, read_frames, read_picture, run_ffmpeg

GPU_JOB, CPU_JOB = "stitch-gpu", "stitch-cpu"
VARIABLES = {"LONGREEL_GPU_JOB": GPU_JOB, "LONGREEL_CPU_JOB": CPU_JOB, "LONGREEL_ACTIVE_JOBS_MAX": "100"}
NO_CARDS = "Quota exceeded for total allowable count of GPUs per project per region."
NO_PROCESSORS = "Quota exceeded for total allowable CPU per project per region."

#: Not what the other clips are in, as from an old telephone, and read by every engine.
BASELINE = ("-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p")
#: A steady 4 Mbit/s, so that clips are large beside their indexes.
LARGE = (
    *("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "1M"),
    *("-x264-params", "nal-hrd=cbr", "-g", "12", "-pix_fmt", "yuv420p"),
)
_DEARER = re.compile(r"(?P<name>\w+): \$(?P<price>[0-9.]+) instead of \$(?P<chosen>[0-9.]+)")


def short(number: int, **fields: Any) -> ClipSpec:
    """Describe a clip that is too short for the Transcoder API."""
    return ClipSpec(number, **{"frames": 24} | fields)


def long(number: int, **fields: Any) -> ClipSpec:
    """Describe a clip of 5 s, the least that the Transcoder API takes."""
    return ClipSpec(number, **{"frames": 120} | fields)


@cache
def content_of(spec: ClipSpec) -> bytes:
    with tempfile.TemporaryDirectory(prefix="longreel-clips-") as folder:
        return make_clip(spec, Path(folder) / f"clip{spec.suffix}").read_bytes()


def micro(dollars: str) -> int:
    whole, _, fraction = dollars.partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))


@dataclass
class Studio:
    """The cloud, with a Cloud Run job with a card and one without."""

    cloud: LocalCloud
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def given(self, contents: Sequence[bytes]) -> list[str]:
        """Put clips into alice's area."""
        uris = [f"gs://{BUCKET}/users/alice/uploads/{next(self._numbers)}/clip.mp4" for _ in contents]
        for uri, content in zip(uris, contents, strict=True):
            self.cloud.storage.put(uri, content, contentType="video/mp4")
        return uris

    def reel(self, clips: Sequence[ClipSpec | bytes], **wishes: Any) -> str:
        """Ask for a reel; give the job's id."""
        contents = [clip if isinstance(clip, bytes) else content_of(clip) for clip in clips]
        return self.asked({"clips": self.given(contents), **wishes})

    def asked(self, request: dict[str, Any]) -> str:
        # A project each, so that no test is in the way of another.
        project = f"p{next(self._numbers)}"
        job_id: str = self.cloud.call("createJob", {"projectId": project, **request})["jobId"]
        return job_id

    def next_job_id(self, request_id: str) -> dict[str, Any]:
        """Give a request's fields by which its job's id is known before: `jobId` is no field, take it out."""
        project = f"p{next(self._numbers)}"
        job_id = job_id_of_request("alice", project, "stitch", request_id)
        return {"projectId": project, "requestId": request_id, "jobId": job_id}

    def made(self, job_id: str) -> Job:
        """Wait for a job that completes."""
        job = self.cloud.finished(job_id)
        assert job.state == "completed", job
        return job

    def failed(self, job_id: str) -> Job:
        job = self.cloud.finished(job_id)
        assert job.state == "failed", job
        return job

    def out_of_room(self, job_id: str, attempt: int = 1) -> Job:
        """Wait until no engine had room, then let the minute pass after which it is tried again."""

        def is_refused(job: Job) -> bool:
            refused = job.stitch_error is not None and not job.stitch.claimed
            return refused and job.stitch.attempt == attempt

        job = self.cloud.wait_for(job_id, is_refused)
        assert job.stitch_error is not None
        assert job.stitch_error.code == "no_room", job
        self.cloud.advance(2 * limits.QUOTA_WAIT.total_seconds())
        self.cloud.sweep()
        return job

    def going(self, job_id: str, engine: str) -> Job:
        """Wait until an engine has the work."""
        return self.cloud.wait_for(job_id, lambda job: (job.stitch.operation or "").startswith(f"{engine}:"))

    def document(self, job_id: str) -> dict[str, Any]:
        """Read the job's document, as a page does."""
        from google.cloud import firestore

        with closing(firestore.Client(project=self.cloud.project)) as client:
            found = client.document(f"videoJobs/{job_id}").get().to_dict()
        assert found is not None
        return dict(found)

    def route(self, job_id: str) -> dict[str, Any]:
        """Give the route as a page sees it; whoever has not made the film stands among the losers, once each."""
        route: dict[str, Any] = self.document(job_id)["route"]
        names = [loser.partition(":")[0] for loser in route["losers"]]
        assert sorted([*names, route["stitcher"]]) == ["cpu", "gpu", "splice", "transcoder"]
        assert route["priceUsd"] == route["priceMicroUsd"] / 1_000_000
        return route

    def film(self, job: Job) -> Path:
        path = self.folder / f"{job.job_id}.mp4"
        path.write_bytes(self.cloud.film(job))
        return path

    def frames(self, job: Job) -> list[tuple[int, int]]:
        return read_frames(self.film(job))

    def sweep(self, after: float) -> None:
        """Let time pass, and Cloud Scheduler come."""
        self.cloud.advance(after)
        self.cloud.sweep()


@pytest.fixture(scope="module")
def open_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with LocalCloud(variables=VARIABLES) as cloud:
        env = {
            "STORAGE_EMULATOR_HOST": cloud.storage.url,
            "LONGREEL_EMULATED": "on",
            "GOOGLE_CLOUD_PROJECT": cloud.project,
        }
        for name in (GPU_JOB, CPU_JOB):
            cloud.run.deploy(RunJob(name, env=env))
        yield Studio(cloud, tmp_path_factory.mktemp("films"))


@pytest.fixture
def studio(needs_emulators: None, request: pytest.FixtureRequest) -> Iterator[Studio]:
    studio: Studio = request.getfixturevalue("open_studio")
    yield studio
    for server in (studio.cloud.storage, studio.cloud.transcoder, studio.cloud.run):
        server.behave()
    studio.cloud.storage.events.behave()
    studio.cloud.vertex.starts_from_images = False
    studio.cloud.transcoder.release()
    studio.cloud.run.release()


def orders(cloud: LocalCloud) -> tuple[int, int]:
    """Count what was ordered from the Transcoder API and from Cloud Run."""
    return cloud.transcoder.log.count("create"), cloud.run.log.count("run")


def offers(route: dict[str, Any]) -> dict[str, int]:
    """Give the price of every engine that could, as the job's document tells it."""
    found = {route["stitcher"]: route["priceMicroUsd"]}
    for loser in route["losers"]:
        if dearer := _DEARER.fullmatch(loser):
            found[dearer["name"]] = micro(dearer["price"])
            assert micro(dearer["chosen"]) == route["priceMicroUsd"]
    return found


# The cheapest.


def test_clips_that_conform_are_spliced_and_no_engine_is_asked_to_encode(studio: Studio) -> None:
    clips = [short(number, frames=48, video=LARGE) for number in (1, 2, 3)]
    before, read_before = orders(studio.cloud), studio.cloud.storage.downloaded_bytes

    job = studio.made(studio.reel(clips))

    read_bytes = studio.cloud.storage.downloaded_bytes - read_before
    route = studio.route(job.job_id)
    assert route["stitcher"] == "splice"
    assert route["reason"] == "every clip conforms, so no frame is encoded and no media byte is moved"
    assert route["priceMicroUsd"] < 1000
    told = offers(route)
    assert set(told) == {"splice", "gpu", "cpu"}
    assert route["priceMicroUsd"] == min(told.values())
    assert "transcoder: clip 1 is 2000 ms long, and the Transcoder API takes none under 5000 ms" in route["losers"]
    assert orders(studio.cloud) == before
    assert read_bytes < sum(len(content_of(clip)) for clip in clips) / 10
    assert studio.frames(job) == expected_frames(clips)
    assert job.cost.spent_micro_usd == route["priceMicroUsd"]
    assert studio.document(job.job_id)["warnings"] == []


@pytest.mark.parametrize(("count", "cheapest"), [(2, "transcoder"), (3, "cpu")])
def test_an_odd_clip_goes_to_the_cheapest_engine_that_can(studio: Studio, count: int, cheapest: str) -> None:
    clips = [long(1), long(2, video=BASELINE), long(3)][:count]
    transcoded, run = orders(studio.cloud)

    job = studio.made(studio.reel(clips))

    route = studio.route(job.job_id)
    told = offers(route)
    assert set(told) == {"transcoder", "gpu", "cpu"}
    assert route["stitcher"] == min(told, key=lambda name: told[name]) == cheapest
    (spliced,) = [loser for loser in route["losers"] if loser.startswith("splice: ")]
    assert spliced.startswith("splice: clip 2: ")
    assert "rofile" in spliced
    assert orders(studio.cloud) == (transcoded + (cheapest == "transcoder"), run + (cheapest == "cpu"))
    assert studio.frames(job) == expected_frames(clips)
    assert job.cost.spent_micro_usd == route["priceMicroUsd"]


def test_odd_clips_that_the_transcoder_api_does_not_take_are_made_by_a_program(studio: Studio) -> None:
    clips = [short(1), short(2, video=BASELINE)]
    transcoded, run = orders(studio.cloud)

    job = studio.made(studio.reel(clips))

    route = studio.route(job.job_id)
    told = offers(route)
    assert set(told) == {"gpu", "cpu"}
    assert route["stitcher"] == min(told, key=lambda name: told[name]) == "cpu"
    assert "transcoder: clip 1 is 1000 ms long, and the Transcoder API takes none under 5000 ms" in route["losers"]
    assert orders(studio.cloud) == (transcoded, run + 1)
    assert studio.frames(job) == expected_frames(clips)


# The one that was asked for.


@pytest.mark.parametrize("engine", ["transcoder", "gpu", "cpu"])
def test_a_forced_engine_makes_one_picture_size_of_clips_of_any(studio: Studio, engine: str) -> None:
    clips = [long(1), long(2, size=(96, 160)), long(3, size=(320, 180))]
    transcoded, run = orders(studio.cloud)

    job = studio.made(studio.reel(clips, engine=engine))

    route = studio.route(job.job_id)
    assert route["stitcher"] == engine
    assert route["reason"].endswith("; the request asks for it")
    others = {"transcoder", "gpu", "cpu"} - {engine}
    assert {f"{name}: the request asks for {engine}" for name in others} < set(route["losers"])
    assert orders(studio.cloud) == (transcoded + (engine == "transcoder"), run + (engine != "transcoder"))
    assert job.film is not None
    with av.open(str(studio.film(job))) as film:
        sizes = [(frame.width, frame.height) for frame in film.decode(video=0)]
    assert set(sizes) == {(job.film.report.width_px, job.film.report.height_px)}
    assert len(sizes) == 3 * 120


def test_a_splice_that_is_asked_for_is_made_where_it_can_be(studio: Studio) -> None:
    clips = [short(1), short(2)]

    job = studio.made(studio.reel(clips, engine="splice"))

    route = studio.route(job.job_id)
    assert route["stitcher"] == "splice"
    assert route["reason"].endswith("; the request asks for it")
    assert studio.frames(job) == expected_frames(clips)


@pytest.mark.parametrize(
    ("engine", "clips", "why"),
    [
        ("splice", [short(1), short(2, video=BASELINE)], "clip 2: "),
        ("transcoder", [long(1), short(2)], "clip 2 is 1000 ms long, and the Transcoder API takes none under 5000 ms"),
    ],
)
def test_an_engine_that_cannot_is_refused_with_the_clip_and_the_reason_and_so_is_a_resume(
    studio: Studio, engine: str, clips: list[ClipSpec], why: str
) -> None:
    before = orders(studio.cloud)
    job_id = studio.reel(clips, engine=engine)

    for resumes in range(2):
        job = studio.failed(job_id)

        error = studio.document(job_id)["stitchError"]
        assert error["code"] == "engine_refused"
        assert error["message"].startswith(f"make the film by {engine}, as the request asks: ")
        assert why in error["message"]
        assert studio.document(job_id)["error"] == error
        # Permanent: one look, no other try.
        assert (job.stitch.tries, job.stitch.attempt, job.resume_count) == (1, 1 + resumes, resumes)
        assert studio.cloud.call("resumeJob", {"jobId": job_id})["jobId"] == job_id
    studio.failed(job_id)
    assert orders(studio.cloud) == before


# The next best.


def test_without_a_card_to_be_had_the_next_engine_makes_it_and_the_job_says_so(studio: Studio) -> None:
    """Encoded whole, large pictures are cheapest by a card; the order is looked at and called off, as it takes long."""
    cloud = studio.cloud
    still = studio.folder / "still.mp4"
    source = ["-f", "lavfi", "-i", "color=c=blue:s=1920x1080:r=24", "-frames:v", "180"]
    run_ffmpeg([*source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(still)])
    (uri,) = studio.given([still.read_bytes()])
    cloud.run.hold()
    cloud.run.refuse(400, NO_CARDS, "FAILED_PRECONDITION")

    job_id = studio.asked({"clips": [uri] * 7, "compression": "small"})
    job = studio.going(job_id, "cpu")

    route = studio.route(job_id)
    told = offers(route)
    assert set(told) == {"cpu", "transcoder"}
    assert route["priceMicroUsd"] == told["cpu"] < told["transcoder"]
    (gpu,) = [loser for loser in route["losers"] if loser.startswith("gpu: ")]
    assert NO_CARDS in gpu
    said = f"The film is made by cpu instead: {gpu}"
    assert route["warnings"] == [said]
    assert studio.document(job_id)["warnings"] == [said]
    # Nobody waits for it: it is stopped there, too.
    cloud.call("cancelJob", {"jobId": job_id})
    execution = cloud.run.executions[-1]
    assert execution.over.wait(30)
    assert execution.resource()["cancelledCount"] == 1
    assert execution.short in (job.stitch.operation or "")
    assert studio.document(job_id)["state"] == "cancelled"


def test_a_card_that_is_not_there_is_told_with_the_film(studio: Studio) -> None:
    clips = [short(1), short(2)]

    job = studio.made(studio.reel(clips, engine="gpu", compression="small"))

    (warning,) = [each for each in studio.document(job.job_id)["warnings"] if "card" in each]
    assert warning.startswith("The film was encoded without its card (h264_nvenc: ")
    assert str(Path.cwd()) not in warning
    assert job.film is not None
    assert job.film.report.encoder == "libx264"
    assert studio.frames(job) == expected_frames(clips)


def test_when_no_engine_has_room_the_job_waits_and_completes(studio: Studio) -> None:
    clips = [short(1), short(2, video=BASELINE)]
    for said in (NO_PROCESSORS, NO_CARDS):
        studio.cloud.run.refuse(429, said, "RESOURCE_EXHAUSTED")
    job_id = studio.reel(clips)
    refused = studio.out_of_room(job_id)
    job = studio.made(job_id)

    assert refused.stitch_error is not None
    assert NO_CARDS in refused.stitch_error.message
    assert NO_PROCESSORS in refused.stitch_error.message
    assert (job.stitch.attempt, job.stitch_error) == (2, None)
    assert studio.frames(job) == expected_frames(clips)


def test_a_forced_engine_without_room_is_not_replaced_by_another(studio: Studio) -> None:
    for _ in range(limits.TRIES_MAX):
        studio.cloud.run.refuse(400, NO_CARDS, "FAILED_PRECONDITION")
    before = len(studio.cloud.run.executions)

    job_id = studio.reel([short(1), short(2)], engine="gpu")
    for attempt in range(1, limits.TRIES_MAX + 1):
        studio.out_of_room(job_id, attempt)
    job = studio.failed(job_id)

    assert job.stitch_error is not None
    assert NO_CARDS in job.stitch_error.message
    assert job.stitch.tries == limits.TRIES_MAX
    assert len(studio.cloud.run.executions) == before
    studio.cloud.call("resumeJob", {"jobId": job.job_id})
    assert studio.made(job.job_id).route is not None


# Work that goes wrong.


def transcoded(studio: Studio, **wishes: Any) -> str:
    return studio.reel([long(1), long(2)], engine="transcoder", **wishes)


def test_a_transcoder_job_that_fails_for_the_moment_is_made_again(studio: Studio) -> None:
    error = {"code": 13, "message": "Internal error. Please try again."}
    studio.cloud.transcoder.misbehave_job(JobFault(error=error))
    errors: list[str] = []

    def is_over(job: Job) -> bool:
        errors.extend([job.stitch_error.message] if job.stitch_error else [])
        return not job.active

    job = studio.cloud.wait_for(transcoded(studio), is_over)

    assert (job.state, job.stitch.attempt, job.stitch_error) == ("completed", 2, None)
    assert "Internal error" in errors[0]
    assert studio.frames(job) == expected_frames([long(1), long(2)])


def test_a_transcoder_job_that_fails_for_good_fails_its_job_with_its_words(studio: Studio) -> None:
    studio.cloud.transcoder.misbehave_job(JobFault(error={"code": 3, "message": "clip-1 has no key frames."}))

    job = studio.failed(transcoded(studio))

    error = studio.document(job.job_id)["stitchError"]
    assert error["code"] == "transcoder_failed"
    assert "clip-1 has no key frames" in error["message"]
    assert error["segment"] == 1
    assert job.stitch.attempt == 1
    # Whatever was wrong there, a resume asks once more.
    studio.cloud.call("resumeJob", {"jobId": job.job_id})
    assert studio.made(job.job_id).stitch.attempt == 2


def test_a_clip_that_the_transcoder_api_blames_is_left_out_where_the_job_allows_it(studio: Studio) -> None:
    studio.cloud.transcoder.misbehave_job(JobFault(error={"code": 3, "message": "clip-1 has no key frames."}))
    clips = [long(1), long(2), long(3)]

    job = studio.made(studio.reel(clips, engine="transcoder", onSegmentFailure="skip"))

    assert (job.done_count, job.skipped_count) == (2, 1)
    (warning,) = job.warnings
    assert warning.startswith("Clip 2 is left out: ")
    assert studio.frames(job) == expected_frames([clips[0], clips[2]])


def reported(studio: Studio, job_id: str) -> Callable[[Job], bool]:
    """Tell whether the report of a job's film has been delivered to its function."""
    (made,) = [job for job in studio.cloud.transcoder.created() if job.labels["longreel_job"] == job_id]

    def is_delivered(_job: Job) -> bool:
        delivered = studio.cloud.controlled()["delivered"]
        return any(each["message"].get("job", {}).get("name") == made.name for each in delivered)

    return is_delivered


def test_the_report_completes_the_job_where_the_finalize_event_is_late(studio: Studio) -> None:
    known = studio.next_job_id("late-event")
    job_id = known.pop("jobId")
    events = studio.cloud.storage.events
    events.misbehave("hold", prefix=f"jobs/{job_id}/output/")

    transcoded(studio, **known)
    job = studio.made(job_id)
    assert [held.name for held in events.held] == [f"jobs/{job_id}/output/1/film.mp4"]
    events.release()
    events.flush()

    film = f"jobs/{job_id}/output/1/film.mp4"
    studio.cloud.wait_for(
        job_id, lambda _: any(each["message"].get("name") == film for each in studio.cloud.controlled()["delivered"])
    )
    assert studio.cloud.job(job_id) == job


def test_reports_after_the_finalize_event_and_two_of_them_change_nothing(studio: Studio) -> None:
    known = studio.next_job_id("two-reports")
    job_id = known.pop("jobId")
    output = f"gs://{BUCKET}/users/alice/reels/two-reports.mp4"
    studio.cloud.transcoder.misbehave_job(JobFault(reports=2))

    transcoded(studio, outputPath=output, **known)
    job = studio.made(job_id)

    studio.cloud.transcoder.wait()
    studio.cloud.wait_for(job_id, reported(studio, job_id))
    assert studio.cloud.job(job_id) == job
    assert job.film is not None
    landed = studio.cloud.storage.find(output)
    assert landed is not None
    # Whoever told of the film, what the document names is what lies there.
    assert (job.film.uri, job.film.generation) == (output, landed.generation)


@pytest.mark.parametrize("lost", ["report", "report and event"])
def test_a_film_that_nobody_tells_of_is_found(studio: Studio, lost: str) -> None:
    known = studio.next_job_id(lost.replace(" ", "-"))
    job_id = known.pop("jobId")
    studio.cloud.transcoder.misbehave_job(JobFault(reports=0))
    if lost == "report and event":
        studio.cloud.storage.events.misbehave("lose", prefix=f"jobs/{job_id}/output/")

    transcoded(studio, **known)
    if lost == "report and event":
        studio.going(job_id, "transcoder")
        studio.cloud.transcoder.wait()
        assert studio.cloud.job(job_id).state == "stitching"
        studio.sweep(limits.STITCH_PATIENCE.total_seconds())

    job = studio.made(job_id)
    assert job.stitch.attempt == 1
    assert studio.frames(job) == expected_frames([long(1), long(2)])


def test_a_transcoder_job_that_says_it_is_done_and_left_no_film_is_made_again_by_the_sweep(studio: Studio) -> None:
    studio.cloud.transcoder.misbehave_job(JobFault(lose_film=True))
    job_id = transcoded(studio)
    studio.going(job_id, "transcoder")
    studio.cloud.transcoder.wait()
    studio.cloud.wait_for(job_id, reported(studio, job_id))
    assert studio.cloud.job(job_id).state == "stitching"

    studio.sweep(limits.STITCH_PATIENCE.total_seconds())

    assert studio.made(job_id).stitch.attempt == 2


def test_an_execution_that_is_killed_is_found_by_the_sweep_and_the_next_completes(studio: Studio) -> None:
    clips = [short(1), short(2, video=BASELINE)]
    studio.cloud.run.next_goes(How(kill_when_it_says="Fetching"))
    job_id = studio.reel(clips)
    studio.going(job_id, "cpu")
    studio.cloud.run.wait()
    assert studio.cloud.job(job_id).state == "stitching"

    studio.sweep(limits.STITCH_PATIENCE.total_seconds())
    waiting = studio.cloud.wait_for(job_id, lambda job: job.stitch_error is not None or not job.active)

    assert waiting.stitch_error is not None, "the sweep tells what it found"
    assert waiting.stitch_error.code == "execution_failed"
    job = studio.made(job_id)
    assert (job.stitch.attempt, job.stitch_error) == (2, None)
    assert studio.frames(job) == expected_frames(clips)


def test_a_cancelled_job_is_called_off_at_the_transcoder_api(studio: Studio) -> None:
    studio.cloud.transcoder.hold()
    job_id = transcoded(studio)
    operation = (studio.going(job_id, "transcoder").stitch.operation or "").removeprefix("transcoder:")
    assert operation in [job.name for job in studio.cloud.transcoder.created()]

    studio.cloud.call("cancelJob", {"jobId": job_id})

    assert operation not in [job.name for job in studio.cloud.transcoder.created()]
    assert studio.document(job_id)["state"] == "cancelled"


# What users bring and get.


def test_clips_that_are_uploaded_by_their_own_names_become_a_reel(studio: Studio) -> None:
    clips = [short(1), short(2)]
    uris = []
    for spec, filename in zip(clips, ["John's day & night!.mp4", "Cafe\u0301 (1).mp4"], strict=True):
        content = content_of(spec)
        wanted = {"filename": filename, "contentType": "video/mp4", "sizeBytes": len(content)}
        made = studio.cloud.call("createUploadUrl", wanted)
        put = urllib.request.Request(made["uploadUrl"], content, made["headers"], method="PUT")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(put, timeout=30) as answer:
            assert answer.status == 200
        uris.append(made["clipPath"])
    assert uris[0].endswith("/John's day & night!.mp4")
    assert uris[1].endswith("/Caf\u00e9 (1).mp4")

    for engine in ("splice", "cpu"):
        assert studio.frames(studio.made(studio.asked({"clips": uris, "engine": engine}))) == expected_frames(clips)


def test_a_reel_lands_where_its_owner_wants_it(studio: Studio) -> None:
    output = f"gs://{BUCKET}/users/alice/reels/holiday.mp4"
    clips = [short(1), short(2)]

    job = studio.made(studio.reel(clips, outputPath=output))

    film = studio.document(job.job_id)["film"]
    landed = studio.cloud.storage.find(output)
    assert landed is not None
    assert (film["uri"], film["generation"], landed.content_type) == (output, landed.generation, "video/mp4")
    assert studio.frames(job) == expected_frames(clips)


def test_a_picture_among_the_clips_is_left_out_where_the_job_allows_it(studio: Studio) -> None:
    picture = studio.folder / "picture.png"
    run_ffmpeg(["-f", "lavfi", "-i", "color=c=red:s=160x96", "-frames:v", "1", str(picture)])
    clips: list[ClipSpec | bytes] = [short(1), picture.read_bytes(), short(3)]

    job = studio.made(studio.reel(clips, onSegmentFailure="skip"))

    (warning,) = studio.document(job.job_id)["warnings"]
    assert warning.startswith("Clip 2 is left out: ")
    assert "PNG" in warning
    assert (job.done_count, job.skipped_count) == (2, 1)
    assert studio.route(job.job_id)["stitcher"] == "splice"
    assert studio.frames(job) == expected_frames([short(1), short(3)])


# Clips that are longer than was asked.


def kept(frames: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Give how many frames are shown of each clip, all of them from its start."""
    found: dict[int, int] = {}
    for clip, frame in frames:
        assert frame == found.get(clip, 0), f"clip {clip} shows frame {frame} after {found.get(clip, 0)} frames"
        found[clip] = frame + 1
    return found


@pytest.mark.parametrize("chain", [False, True], ids=["at once", "chained"])
def test_five_seconds_of_six_are_shown_and_the_next_scene_goes_on_from_there(studio: Studio, chain: bool) -> None:
    bought = len(studio.cloud.vertex.bought)
    request = {"prompts": [f"Scene {number}" for number in range(3)], "generator": "veo", "daisyChain": chain}

    job = studio.made(studio.asked(request))

    # The frames of a chain are looked at; these clips do not begin with the picture that they were given.
    (warning,) = studio.document(job.job_id)["warnings"]
    assert warning == "Every scene: asks veo-3.1-fast-generate-001 for 6 s and keeps the first 5 s"
    orders_given = studio.cloud.vertex.bought[bought:]
    assert [order.seconds for order in orders_given] == [6, 6, 6]
    assert studio.route(job.job_id)["stitcher"] == ("cpu" if chain else "splice")
    frames = studio.frames(job)
    shown = kept(frames)
    # At 24 a second; a clean cut lies at most two frames from where it was asked for.
    assert list(shown) == [0, 1, 2]
    assert all(abs(count - 120) <= 2 for count in shown.values()), shown
    assert job.film is not None
    assert abs(job.film.report.duration_ms - 15_000) <= 3 * 2 * 42
    if chain:
        starts = [order.start_image or "" for order in orders_given]
        stored = [studio.cloud.storage.find(uri) for uri in starts if uri]
        pictures = [read_picture(each.content.read()) for each in stored if each is not None]
        # Each later scene starts from the very frame that is shown before it.
        assert starts[0] == ""
        assert pictures == [(0, shown[0] - 1), (1, shown[1] - 1)]


def test_a_picture_that_a_chained_clip_begins_with_is_shown_once(studio: Studio) -> None:
    studio.cloud.vertex.starts_from_images = True
    scenes = [{"prompt": f"Scene {number}", "durationMs": 4000} for number in range(3)]

    job = studio.made(studio.asked({"prompts": scenes, "generator": "veo", "daisyChain": True}))

    route = studio.route(job.job_id)
    assert route["stitcher"] == "cpu"
    assert "splice: the first frame of each chained clip may be shown twice" in route["losers"]
    assert studio.document(job.job_id)["warnings"] == []
    shown = [(0, frame) for frame in range(96)]
    for number in (1, 2):
        shown += [(number, frame) for frame in range(1, 96)]
    assert studio.frames(job) == shown
    assert job.film is not None
    assert [join.dropped_frames for join in job.film.report.joins] == [1, 1]
    assert job.film.report.duration_ms == round(len(shown) * 1000 / 24)


def test_a_chain_that_a_splice_was_asked_for_is_spliced_and_what_that_means_is_told(studio: Studio) -> None:
    studio.cloud.vertex.starts_from_images = True
    scenes = [{"prompt": f"Scene {number}", "durationMs": 4000} for number in range(2)]

    request = {"prompts": scenes, "generator": "veo", "daisyChain": True, "engine": "splice"}
    job = studio.made(studio.asked(request))

    (warning,) = studio.document(job.job_id)["warnings"]
    assert warning == "The film is made by splice: the first frame of each chained clip may be shown twice."
    assert studio.frames(job)[94:98] == [(0, 94), (0, 95), (0, 95), (1, 1)]
