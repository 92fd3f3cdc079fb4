"""The loopback Transcoder API, asked through Google's own client: it refuses and fails as the real one is said to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions as api
from google.cloud import pubsub_v1
from google.cloud.video.transcoder_v1 import TranscoderServiceClient
from google.cloud.video.transcoder_v1.types import (
    CreateJobRequest,
    DeleteJobRequest,
    GetJobRequest,
    Job,
    ListJobsRequest,
)

from adapters.transcoder import make_client
from adapters.transcoder_job import job_of
from events.plan import StitchPlan
from media.probe import probe
from media.reader import BytesReader
from tests.cloud.servers.storage import StorageServer
from tests.cloud.servers.transcoder import JobFault, Limits, TranscoderServer
from tests.cloud.transcoder_plans import BUCKET, clip_of, long_clip, plan_of, planned

PARENT = "projects/demo-longreel/locations/europe-west4"
TOPIC = "projects/demo-longreel/topics/reports"

_State = Job.ProcessingState


class Api:
    """The server, its storage, and Google's client."""

    def __init__(self, storage: StorageServer, server: TranscoderServer, client: TranscoderServiceClient) -> None:
        self.storage, self.server, self.client = storage, server, client

    def create(self, job: dict[str, Any]) -> Job:
        request = CreateJobRequest(parent=PARENT, job=Job.from_json(json.dumps(job)))
        return self.client.create_job(request=request, retry=None)

    def get(self, name: str) -> Job:
        return self.client.get_job(request=GetJobRequest(name=name), retry=None)

    def ended(self, job: dict[str, Any]) -> Job:
        """Create a job, wait for its end, and give it as it is then."""
        created = self.create(job)
        self.server.wait()
        return self.get(created.name)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Iterator[Api]:
    with (
        StorageServer(tmp_path / "storage", [BUCKET]) as storage,
        TranscoderServer(limits) as server,
        make_client(server.url) as client,
    ):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        yield Api(storage, server, client)


def job(plan: StitchPlan, **changes: Any) -> dict[str, Any]:
    return job_of(plan, TOPIC, batch=False) | changes


def spoiled(path: str, value: object) -> dict[str, Any]:
    """Give a good job in which one field is another."""
    made = job(plan_of([clip_of(0), clip_of(1)]))
    place: Any = made
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    for step in way:
        place = place[step]
    place[last] = value
    return made


H264 = "config.elementaryStreams.0.videoStream.h264"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (f"{H264}.frameRate", 0, "frameRate is required"),
        (f"{H264}.bitrateBps", 0, "bitrateBps is required"),
        (f"{H264}.widthPixels", 1279, "must be even: 1279x720"),
        ("config.elementaryStreams.1.audioStream.bitrateBps", 0, "audio bitrateBps is required"),
        ("config.elementaryStreams.1.audioStream.channelCount", 7, "channelCount must be between 1 and 6"),
        ("config.output.uri", "gs://films/", "must be a directory and not a top-level bucket"),
        ("config.output.uri", "gs://films/jobs/film", "must be a directory"),
        ("config.inputs", [], "config.inputs must not be empty"),
        ("config.inputs.0.uri", "https://example.com/a.mp4", "is no Cloud Storage object"),
        ("config.inputs.0.key", "clip-1", "input keys must be unique"),
        ("config.editList.0.inputs", ["clip-9"], "['clip-9'] are not defined"),
        ("config.editList.0.endTimeOffset", "0s", "it ends before it starts"),
        ("config.muxStreams.0.elementaryStreams", ["picture", "words"], "['words'] are not defined"),
        ("config.muxStreams.0.container", "avi", "'avi' is not supported"),
        ("config.pubsubDestination.topic", "reports", "pubsubDestination.topic is malformed"),
        ("ttlAfterCompletionDays", 91, "must be between 1 and 90"),
        ("batchModePriority", 5, "can only be set for batch mode jobs"),
        ("labels", {"Longreel": "x"}, "label Longreel=x is malformed"),
    ],
)
def test_a_job_against_the_rules_is_refused_and_only_the_first_error_is_told(
    cloud: Api, path: str, value: object, said: str
) -> None:
    with pytest.raises(api.BadRequest) as refused:
        cloud.create(spoiled(path, value))

    assert said in refused.value.message
    assert cloud.server.created() == []


def test_only_the_first_of_several_errors_is_told(cloud: Api) -> None:
    made = spoiled("ttlAfterCompletionDays", 91)
    made["config"]["output"]["uri"] = "gs://films/"

    with pytest.raises(api.BadRequest) as refused:
        cloud.create(made)

    assert "between 1 and 90" in refused.value.message
    assert "top-level" not in refused.value.message


def test_a_field_that_the_api_does_not_know_is_refused(cloud: Api) -> None:
    made = job(plan_of([clip_of()])) | {"longreel": 1}
    with requests.Session() as session:
        answer = session.post(f"{cloud.server.url}/v1/{PARENT}/jobs", json=made, timeout=10)

    assert answer.status_code == 400
    assert "longreel" in answer.json()["error"]["message"]


def test_a_job_that_is_created_has_the_project_s_number_in_its_name(cloud: Api) -> None:
    cloud.server.hold()

    created = cloud.create(job(plan_of([clip_of()])))

    assert created.name.startswith("projects/482913375001/locations/europe-west4/jobs/")
    assert created.state == _State.PENDING
    assert cloud.get(created.name) == created
    assert cloud.get(created.name.replace("482913375001", "demo-longreel")) == created


def test_a_list_is_filtered_by_labels_and_comes_in_pages(cloud: Api) -> None:
    cloud.server.hold()
    made = [cloud.create(job(plan_of([clip_of()], attempt=number))) for number in (1, 2, 1, 2, 1)]

    text = 'labels.longreel_job="job_abc123" AND labels.longreel_attempt="1"'
    found = cloud.client.list_jobs(request=ListJobsRequest(parent=PARENT, filter=text, page_size=2), retry=None)

    assert [each.name for each in found] == [made[index].name for index in (0, 2, 4)]
    with pytest.raises(api.BadRequest, match="filter"):
        cloud.client.list_jobs(request=ListJobsRequest(parent=PARENT, filter="state > 7"), retry=None)


def test_a_job_that_was_deleted_is_gone_and_makes_nothing(cloud: Api) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])
    name = cloud.create(job(plan)).name

    cloud.client.delete_job(request=DeleteJobRequest(name=name), retry=None)
    cloud.server.release()
    cloud.server.wait()

    with pytest.raises(api.NotFound):
        cloud.get(name)
    with pytest.raises(api.NotFound):
        cloud.client.delete_job(request=DeleteJobRequest(name=name), retry=None)
    cloud.client.delete_job(request=DeleteJobRequest(name=name, allow_missing=True), retry=None)
    assert cloud.storage.find(plan.output_uri) is None
    assert cloud.server.reports == []


# What only shows while a job runs.


def failure(ended: Job) -> tuple[int, str]:
    assert ended.state == _State.FAILED
    return ended.error.code, ended.error.message


def test_an_input_under_five_seconds_fails_its_job(cloud: Api) -> None:
    plan = planned(cloud.storage, [long_clip(1), long_clip(2, frames=119)])

    assert failure(cloud.ended(job(plan))) == (
        3,
        f"Input file {plan.clips[1].uri} must be at least 5 seconds in duration.",
    )


def test_a_silent_input_fails_a_job_with_sound(cloud: Api) -> None:
    plan = planned(cloud.storage, [long_clip(1, sound=True), long_clip(2)])

    code, said = failure(cloud.ended(job(plan)))

    assert (code, said) == (3, "Atom atom-1 references input clip-1, which has no audio track.")


def test_an_input_that_is_missing_fails_its_job(cloud: Api) -> None:
    code, said = failure(cloud.ended(job(plan_of([clip_of()]))))

    assert (code, said) == (5, "Input file gs://films/given/0.mp4 was not found.")


def test_an_input_that_is_no_video_fails_its_job(cloud: Api) -> None:
    cloud.storage.put("gs://films/given/0.mp4", b"no video")

    code, said = failure(cloud.ended(job(plan_of([clip_of()]))))

    assert (code, said) == (3, "Input file gs://films/given/0.mp4 cannot be read.")


def test_an_atom_that_ends_behind_its_input_fails_its_job(cloud: Api) -> None:
    made = job(planned(cloud.storage, [long_clip(1)]))
    made["config"]["editList"][0]["endTimeOffset"] = "5.001s"

    assert failure(cloud.ended(made))[1] == "Atom atom-0 ends behind the end of input clip-0."


def test_a_rate_that_is_not_insisted_on_only_leaves_frames_out(cloud: Api) -> None:
    made = job(planned(cloud.storage, [long_clip(1)]))
    h264 = made["config"]["elementaryStreams"][0]["videoStream"]["h264"]
    del h264["frameRateConversionStrategy"]
    h264["frameRate"] = 23

    assert cloud.ended(made).state == _State.SUCCEEDED

    film = cloud.storage.find(f"gs://{BUCKET}/jobs/job_abc123/output/1/film.mp4")
    assert film is not None
    assert probe(BytesReader(film.content.read()), "film").frame_rate == "12/1"


# Quotas and faults.


@pytest.mark.parametrize("limits", [Limits(interactive=2, batch_running=1, batch_pending=2)])
def test_an_interactive_job_too_many_is_refused_and_a_batch_job_waits(cloud: Api) -> None:
    cloud.server.hold()
    plan = planned(cloud.storage, [long_clip(1)])
    batch = job(plan, mode="PROCESSING_MODE_BATCH")

    for _ in range(2):
        cloud.create(job(plan))
        cloud.create(batch)

    for made in (job(plan), batch):
        with pytest.raises(api.TooManyRequests):
            cloud.create(made)
    cloud.server.release()
    cloud.server.wait()
    assert [each.state for each in cloud.server.created()] == [_State.SUCCEEDED] * 4


def test_a_job_reports_once_twice_or_never_as_it_is_told(cloud: Api) -> None:
    made = job(planned(cloud.storage, [long_clip(1)]))
    for times in (2, 0):
        cloud.server.misbehave_job(JobFault(reports=times))

    for _ in range(3):
        cloud.ended(made)

    names = [each.name for each in cloud.server.created()]
    assert [each["job"]["name"] for each in cloud.server.reports] == [names[0], names[0], names[2]]


def test_a_job_fails_with_the_error_that_it_is_told(cloud: Api) -> None:
    details = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "GCSPermissionDenied"}
    error = {"code": 7, "message": "Permission denied for Google Cloud Storage.", "details": [details]}
    cloud.server.misbehave_job(JobFault(error=error))

    code, _ = failure(cloud.ended(job(plan_of([clip_of()]))))

    assert code == 7
    (report,) = cloud.server.reports
    assert report["job"]["state"] == "FAILED"
    assert report["job"]["error"] == error


def test_a_job_loses_its_film_where_it_is_told(cloud: Api) -> None:
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.server.misbehave_job(JobFault(lose_film=True))

    assert cloud.ended(job(plan)).state == _State.SUCCEEDED
    assert cloud.storage.find(plan.output_uri) is None


def test_a_slow_job_runs_until_it_has_ended(cloud: Api) -> None:
    plan = planned(cloud.storage, [long_clip(1)])
    cloud.server.misbehave_job(JobFault(slow_seconds=0.2))

    created = cloud.create(job(plan))

    assert cloud.get(created.name).state == _State.RUNNING
    cloud.server.wait()
    assert cloud.get(created.name).state == _State.SUCCEEDED


def test_a_report_goes_out_by_google_s_own_pub_sub(
    cloud: Api, pubsub_emulator: str, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, subscription = f"projects/{project_id}/topics/reports", f"projects/{project_id}/subscriptions/reports"
    with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)
        cloud.ended(job_of(planned(cloud.storage, [long_clip(1)]), topic, batch=False))

        pulled = subscriber.pull(subscription=subscription, max_messages=10, timeout=20)

    (message,) = pulled.received_messages
    assert json.loads(message.message.data) == cloud.server.reports[0]


def test_a_server_that_stops_waits_for_no_job(cloud: Api) -> None:
    cloud.server.misbehave_job(JobFault(slow_seconds=60))
    cloud.create(job(plan_of([clip_of()])))

    before = time.monotonic()
    cloud.server.stop()

    assert time.monotonic() - before < 20
