"""The Transcoder engine, through Google's own client, over servers that really store objects and make films."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.transcoder import TranscoderEngine, make_client
from events.clip import ClipFacts
from events.errors import LimitExceeded, NotAllowed, PipelineError, StitchFailed, Unavailable
from events.names import stitch_name
from events.plan import Compression, Engine, Fit, Orientation, StitchPlan
from functions.film_report import report_from_plan
from media.probe import probe
from media.reader import BytesReader
from pipeline.routing import Offer, Refusal
from pipeline.work_ports import Gone, Running, Stopped
from tests.cloud.servers.http import Request
from tests.cloud.servers.storage import StorageServer
from tests.cloud.servers.transcoder import JobFault, Limits, TranscoderServer
from tests.cloud.transcoder_plans import BUCKET, JOB_ID, clip_of, long_clip, plan_of, planned
from tests.media.clips import ClipSpec, decode_sound, expected_frames, read_frames, rms

PROJECT = "demo-longreel"


@dataclass
class Cloud:
    """The engine and the two servers behind it."""

    storage: StorageServer
    server: TranscoderServer
    objects: CloudObjectStore
    engine: TranscoderEngine
    folder: Path

    def film(self, plan: StitchPlan) -> tuple[Path, ClipFacts]:
        """Give a finished film as a file, and what its headers say."""
        content = self.objects.read(plan.output_uri)
        path = self.folder / f"film{plan.attempt}.mp4"
        path.write_bytes(content)
        return path, probe(BytesReader(content), plan.output_uri)

    def make(self, plan: StitchPlan) -> tuple[Path, ClipFacts]:
        """Make a film."""
        operation = self.engine.start(plan).operation
        self.server.wait()
        assert self.engine.poll(operation) == Gone(), self.engine.poll(operation)
        return self.film(plan)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Iterator[Cloud]:
    with StorageServer(tmp_path / "storage", [BUCKET]) as storage, TranscoderServer(limits) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        with closing(storage_client(PROJECT)) as files, make_client(server.url) as client:
            objects = CloudObjectStore(lambda: files)
            engine = TranscoderEngine(PROJECT, "us-central1", "transcoder_reports", objects, client=lambda: client)
            yield Cloud(storage, server, objects, engine, tmp_path)


# Films.


def test_a_film_shows_every_frame_of_its_clips_in_order(cloud: Cloud) -> None:
    specs = [long_clip(number) for number in (1, 2, 3)]
    plan = planned(cloud.storage, specs)

    path, facts = cloud.make(plan)

    assert read_frames(path) == expected_frames(specs)
    assert (facts.width_px, facts.height_px, facts.frame_rate, facts.audio_codec) == (160, 96, "24/1", None)
    assert [join.at_ms for join in report_from_plan(plan, facts).joins] == [5_000, 10_000]


def test_a_film_of_clips_with_sound_has_theirs(cloud: Cloud) -> None:
    plan = planned(cloud.storage, [long_clip(number, sound=True) for number in (1, 2)])

    path, facts = cloud.make(plan)

    assert (facts.audio_codec, facts.sample_rate_hz, facts.channel_count) == ("aac", 48_000, 2)
    sound = decode_sound(path)
    assert all(rms(sound, at * 48_000, (at + 1) * 48_000) > 0.05 for at in range(10))
    assert report_from_plan(plan, facts).sound == "encoded"


def test_a_clip_is_shown_only_as_long_as_is_kept_of_it(cloud: Cloud) -> None:
    specs = [long_clip(1), long_clip(2)]
    plan = planned(cloud.storage, specs)
    plan = plan.model_copy(update={"clips": [plan.clips[0].model_copy(update={"keep_ms": 2_000}), plan.clips[1]]})

    path, facts = cloud.make(plan)

    assert read_frames(path) == expected_frames([ClipSpec(1, frames=48), specs[1]])
    assert facts.duration_ms == 7_000
    assert report_from_plan(plan, facts).joins[0].at_ms == 2_000


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.CROP])
def test_a_clip_of_another_shape_is_fitted(cloud: Cloud, fit: Fit) -> None:
    tall = long_clip(2, size=(96, 160))
    plan = planned(cloud.storage, [long_clip(1), tall], fit=fit, orientation=Orientation.LANDSCAPE)

    path, facts = cloud.make(plan)

    assert (facts.width_px, facts.height_px, facts.frame_count) == (160, 96, 240)
    assert darkness_of_the_edges(path) == (fit is Fit.PAD)


def darkness_of_the_edges(path: Path) -> bool:
    """Tell whether the left edge of the last frame is a black bar."""
    import av

    with av.open(str(path)) as opened:
        frame = list(opened.decode(video=0))[-1]
    plane = frame.planes[0]
    line = bytes(plane)[plane.line_size * (frame.height // 2) :][: frame.width]
    return max(line[:20]) < 0x1C


def test_a_small_film_is_smaller(cloud: Cloud) -> None:
    plans = [
        planned(cloud.storage, [long_clip(1)], compression=wish, attempt=attempt)
        for attempt, wish in enumerate((Compression.OPTIMIZED, Compression.SMALL), start=1)
    ]

    sizes = [cloud.make(plan)[1].size_bytes for plan in plans]

    assert sizes[1] < sizes[0]


# Offers.


def test_an_offer_has_the_price_of_the_film_s_length_and_size(cloud: Cloud) -> None:
    answer = cloud.engine.offer(plan_of([clip_of(index) for index in range(15)]))

    assert answer == Offer(60_000, 180_000, "the Transcoder API encodes 15 clips as 1280x720 with sound")


def test_an_offer_counts_only_what_is_kept(cloud: Cloud) -> None:
    whole = cloud.engine.offer(plan_of([clip_of(0, width_px=640, height_px=360)]))
    half = cloud.engine.offer(plan_of([clip_of(0, width_px=640, height_px=360, keep_ms=4_000)]))

    assert isinstance(whole, Offer)
    assert isinstance(half, Offer)
    assert (whole.price_micro_usd, half.price_micro_usd) == (2_000, 1_000)


def test_a_plan_against_the_rules_is_refused_without_a_call(cloud: Cloud) -> None:
    plan = plan_of([clip_of(0, duration_ms=4_000)])

    answer = cloud.engine.offer(plan)

    assert isinstance(answer, Refusal)
    assert "clip 1 is 4000 ms long" in answer.reason
    with pytest.raises(StitchFailed, match="clip 1 is 4000 ms long"):
        cloud.engine.start(plan)
    assert cloud.server.log.count() == cloud.storage.log.count() == 0


# Starting.


def test_the_same_attempt_is_started_once_however_often_it_is_asked_for(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])

    answers = {cloud.engine.start(plan).operation for _ in range(3)}

    assert len(answers) == 1
    assert len(cloud.server.created()) == 1


def test_the_first_start_looks_for_no_job_and_writes_its_plan(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])

    cloud.engine.start(plan)

    assert (cloud.server.log.count("create"), cloud.server.log.count("list")) == (1, 0)
    written = StitchPlan.from_json(cloud.objects.read(plan_uri(plan)))
    assert written == plan.model_copy(update={"engine": Engine.TRANSCODER})


def plan_uri(plan: StitchPlan) -> str:
    return f"gs://{BUCKET}/{stitch_name(JOB_ID, plan.attempt, 'plan.json')}"


def test_a_plan_that_another_engine_left_is_written_anew(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.objects.write(plan_uri(plan), plan.to_json().encode())

    cloud.engine.start(plan)

    assert StitchPlan.from_json(cloud.objects.read(plan_uri(plan))).engine is Engine.TRANSCODER
    assert len(cloud.server.created()) == 1


def test_a_start_whose_answer_was_lost_is_found_by_its_labels(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.server.misbehave(kind="create", lose_answer=True)

    with pytest.raises(Unavailable):
        cloud.engine.start(plan)
    operation = cloud.engine.start(plan).operation

    assert [job.name for job in cloud.server.created()] == [operation]


def test_another_attempt_is_another_job(cloud: Cloud) -> None:
    cloud.server.hold()
    plans = [planned(cloud.storage, [long_clip(1)], attempt=attempt) for attempt in (1, 2)]

    operations = [cloud.engine.start(plan).operation for plan in plans]

    assert len(set(operations)) == 2
    assert [cloud.engine.owner_of(each) for each in operations] == [(JOB_ID, 1), (JOB_ID, 2)]


@pytest.mark.parametrize("limits", [Limits(interactive=1, batch_pending=1)])
def test_where_no_more_may_run_at_once_a_film_waits_in_the_queue_and_then_another_engine_may_have_it(
    cloud: Cloud,
) -> None:
    cloud.server.hold()
    plans = [planned(cloud.storage, [long_clip(1)], attempt=attempt) for attempt in (1, 2, 3)]

    for plan in plans[:2]:
        cloud.engine.start(plan)
    with pytest.raises(LimitExceeded, match="no more jobs may run or wait now"):
        cloud.engine.start(plans[2])

    assert [job.mode.name for job in cloud.server.created()] == [
        "PROCESSING_MODE_INTERACTIVE",
        "PROCESSING_MODE_BATCH",
    ]
    cloud.server.release()
    cloud.server.wait()
    assert all(cloud.objects.stat(plan.output_uri) for plan in plans[:2])


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (400, StitchFailed, "this server was told to refuse it"),
        (403, NotAllowed, "service-PROJECT_NUMBER@gcp-sa-transcoder.iam.gserviceaccount.com"),
        (404, PipelineError, "it is not there"),
        (500, Unavailable, "create the Transcoder job of attempt 1 of job_abc123"),
        (503, Unavailable, "create the Transcoder job of attempt 1 of job_abc123"),
    ],
)
def test_what_the_api_answers_to_a_start_is_told(
    cloud: Cloud, status: int, error: type[PipelineError], said: str
) -> None:
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.server.misbehave(kind="create", status=status)

    with pytest.raises(error) as failed:
        cloud.engine.start(plan)

    assert said in failed.value.message
    assert failed.value.retryable == (status >= 500)
    assert cloud.server.log.count("create") == 1


def test_a_second_refusal_for_quota_is_a_limit_and_no_failure(cloud: Cloud) -> None:
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.server.misbehave(kind="create", status=429, times=2)

    with pytest.raises(LimitExceeded):
        cloud.engine.start(plan)

    assert cloud.server.log.count("create") == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda cloud, uri: cloud.storage.put(uri, b"another"), "segments/1/1/clip.mp4 was changed"),
        (lambda cloud, uri: cloud.objects.delete(uri), "segments/1/1/clip.mp4 is gone"),
    ],
)
def test_a_clip_that_is_not_what_was_looked_at_is_not_used(cloud: Cloud, spoil: Any, said: str) -> None:
    plan = planned(cloud.storage, [long_clip(1), long_clip(2)])
    spoil(cloud, plan.clips[1].uri)

    with pytest.raises(StitchFailed, match=said) as failed:
        cloud.engine.start(plan)

    assert (failed.value.code, failed.value.segment_index) == ("clip_changed", 1)
    assert cloud.server.created() == []


# Asking and calling off.


def test_a_job_runs_until_it_has_ended_and_is_then_nobody_s(cloud: Cloud) -> None:
    cloud.server.hold()
    operation = cloud.engine.start(planned(cloud.storage, [long_clip(1)])).operation

    assert cloud.engine.poll(operation) == Running()
    cloud.server.release()
    cloud.server.wait()
    assert cloud.engine.poll(operation) == Gone()


def test_a_job_that_says_it_is_done_without_a_film_is_as_good_as_gone(cloud: Cloud) -> None:
    cloud.server.misbehave_job(JobFault(lose_film=True))
    plan = planned(cloud.storage, [long_clip(1)])
    operation = cloud.engine.start(plan).operation
    cloud.server.wait()

    assert cloud.engine.poll(operation) == Gone()
    assert cloud.objects.stat(plan.output_uri) is None


def test_a_job_that_failed_says_why_and_which_clip_is_to_blame(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1), long_clip(2)])
    operation = cloud.engine.start(plan).operation
    cloud.objects.delete(plan.clips[1].uri)
    cloud.server.release()
    cloud.server.wait()

    said = f"the Transcoder job failed: Input file {plan.clips[1].uri} was not found (InvalidInput)"
    assert cloud.engine.poll(operation) == Stopped("transcoder_failed", said.replace("found (", "found. ("), False, 1)


def test_a_job_that_may_not_read_says_who_must_be_allowed(cloud: Cloud) -> None:
    details = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "GCSPermissionDenied"}
    error = {"code": 7, "message": "Permission denied for Google Cloud Storage.", "details": [details]}
    cloud.server.misbehave_job(JobFault(error=error))
    operation = cloud.engine.start(planned(cloud.storage, [long_clip(1)])).operation
    cloud.server.wait()

    answer = cloud.engine.poll(operation)

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == ("permission_denied", False)
    assert "GCSPermissionDenied" in answer.message
    assert "gcp-sa-transcoder" in answer.message


def test_a_job_that_was_called_off_is_gone_and_may_be_called_off_again(cloud: Cloud) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])
    operation = cloud.engine.start(plan).operation

    cloud.engine.cancel(operation)
    cloud.engine.cancel(operation)
    cloud.server.release()
    cloud.server.wait()

    assert cloud.engine.poll(operation) == Gone()
    assert cloud.engine.owner_of(operation) is None
    assert cloud.objects.stat(plan.output_uri) is None


def test_a_job_of_somebody_else_has_no_owner_here(cloud: Cloud) -> None:
    cloud.server.hold()
    operation = cloud.engine.start(planned(cloud.storage, [long_clip(1)])).operation
    for labels in ({}, {"longreel_job": JOB_ID}, {"longreel_job": JOB_ID, "longreel_attempt": "x"}):
        cloud.server.relabel(operation, labels)
        assert cloud.engine.owner_of(operation) is None


def test_a_question_that_is_not_answered_is_asked_again_by_whoever_asked(cloud: Cloud) -> None:
    cloud.server.hold()
    operation = cloud.engine.start(planned(cloud.storage, [long_clip(1)])).operation

    for ask in (cloud.engine.poll, cloud.engine.owner_of, cloud.engine.cancel):
        cloud.server.misbehave(status=503)
        with pytest.raises(Unavailable, match=operation):
            ask(operation)


def test_a_filter_that_lets_too_much_through_finds_no_job_of_another(cloud: Cloud) -> None:
    cloud.server.hold()
    first, second = (planned(cloud.storage, [long_clip(1)], attempt=attempt) for attempt in (1, 2))
    cloud.engine.start(first)
    cloud.objects.write(plan_uri(second), second.to_json().encode())
    cloud.server.misbehave(kind="list", where=_forget_the_filter)

    cloud.engine.start(second)

    assert len(cloud.server.created()) == 2


def _forget_the_filter(request: Request) -> bool:
    request.query.pop("filter", None)
    return True


def test_the_engine_makes_a_client_of_its_own_for_an_endpoint(cloud: Cloud) -> None:
    with make_client(cloud.server.url) as client:
        assert client.transport.kind == "rest"
    engine = TranscoderEngine(PROJECT, "us-central1", "reports", cloud.objects, endpoint=cloud.server.url)
    assert engine.poll("projects/p/locations/l/jobs/none") == Gone()
    engine._client.transport.close()
