"""The Firebase callables over the protocol that the SDK speaks: who may, what is refused, and by which code."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.stack import BUCKET, REGION, CallRefused, LocalCloud

AREA = f"gs://{BUCKET}/users/alice"
CLIPS = [f"{AREA}/uploads/a/one.mp4", f"{AREA}/uploads/b/two.mp4"]
PROMPTS = ["A lighthouse at dawn"]


@pytest.fixture(scope="module")
def cloud(needs_emulators: None) -> Iterator[LocalCloud]:
    # Nothing is ever made here: clips are held back, and what is created is cancelled.
    variables = {"LONGREEL_ACTIVE_JOBS_MAX": "2", "LONGREEL_DAILY_LIMIT_USD": "200"}
    with LocalCloud(latency_seconds=None, variables=variables) as cloud:
        yield cloud


@pytest.fixture
def alice(cloud: LocalCloud) -> Iterator[LocalCloud]:
    """Give the cloud to a user without jobs, and clean up behind her."""
    yield cloud
    for job in cloud.adapters.jobs.jobs(user_id="alice"):
        if job.active:
            cloud.call("cancelJob", {"jobId": job.job_id})


def refusal(cloud: LocalCloud, name: str, data: object, **options: Any) -> CallRefused:
    with pytest.raises(CallRefused) as refused:
        cloud.call(name, data, **options)
    return refused.value


def test_a_created_job_tells_its_id_where_to_listen_and_what_it_should_cost(alice: LocalCloud) -> None:
    made = alice.call("createJob", {"prompts": ["one", "two"], "generator": "veo"})

    assert made["listen"] == f"videoJobs/{made['jobId']}"
    assert made["estimatedUsd"] == 1.2
    assert made["fresh"] is True
    # The default of 5 s is none of Veo's lengths.
    assert made["warnings"] == ["Every scene: asks veo-3.1-fast-generate-001 for 6 s and keeps the first 5 s"]
    document = alice.job(made["jobId"])
    assert (document.user_id, document.segment_count) == ("alice", 2)


def test_the_same_request_again_gives_the_same_job(alice: LocalCloud) -> None:
    request = {"prompts": PROMPTS, "generator": "veo", "requestId": "click-1"}

    first, again = (alice.call("createJob", request) for _ in range(2))

    assert first["jobId"] == again["jobId"]
    assert (first["fresh"], again["fresh"]) == (True, False)


def test_two_users_with_the_same_request_and_project_get_a_job_each(alice: LocalCloud) -> None:
    request = {"prompts": PROMPTS, "generator": "veo", "requestId": "click-2"}

    hers, his = alice.call("createJob", request), alice.call("createJob", request, uid="bob")

    assert hers["jobId"] != his["jobId"]
    alice.call("cancelJob", {"jobId": his["jobId"]}, uid="bob")


def test_a_second_job_of_a_project_is_refused_with_the_running_ones_id(alice: LocalCloud) -> None:
    running = alice.call("createJob", {"prompts": PROMPTS, "generator": "veo"})

    refused = refusal(alice, "createJob", {"prompts": ["another"], "generator": "veo"})

    assert (refused.http_status, refused.status) == (409, "ALREADY_EXISTS")
    assert refused.details["jobId"] == running["jobId"]


def test_a_forced_restart_takes_the_running_ones_place(alice: LocalCloud) -> None:
    first = alice.call("createJob", {"prompts": PROMPTS, "generator": "veo"})

    second = alice.call("createJob", {"prompts": ["anew"], "generator": "veo", "forceRestart": True})

    assert alice.job(first["jobId"]).superseded_by == second["jobId"]


def test_a_user_may_have_only_so_many_active_jobs(alice: LocalCloud) -> None:
    for project in ("one", "two"):
        alice.call("createJob", {"prompts": PROMPTS, "generator": "veo", "projectId": project})

    refused = refusal(alice, "createJob", {"prompts": PROMPTS, "generator": "veo", "projectId": "three"})

    assert (refused.http_status, refused.status) == (429, "RESOURCE_EXHAUSTED")
    assert "2 may be active at once" in refused.message


def test_a_film_that_would_pass_the_days_limit_is_refused_with_when_it_opens(alice: LocalCloud) -> None:
    # All else that is asked for here comes to less than the rest of the limit.
    request = {"prompts": ["a scene"] * 200, "generator": "veo"}
    assert alice.call("createJob", request)["estimatedUsd"] == 120

    refused = refusal(alice, "createJob", request | {"projectId": "another"}, uid="bob")

    assert (refused.http_status, refused.status) == (429, "RESOURCE_EXHAUSTED")
    details = refused.details
    assert (details["code"], details["limitUsd"], details["estimatedUsd"]) == ("daily_limit", 200, 120)
    assert 120 <= details["promisedUsd"] < 200
    assert details["opensAt"].endswith("T00:00:00+00:00")
    assert "it opens at" in refused.message
    assert "a scene" not in refused.message


@pytest.mark.parametrize("name", ["createJob", "cancelJob", "resumeJob", "createUploadUrl"])
def test_nobody_may_call_without_signing_in(alice: LocalCloud, name: str) -> None:
    refused = refusal(alice, name, {"prompts": PROMPTS}, uid=None)

    assert (refused.http_status, refused.status) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_token_that_is_none_is_refused(alice: LocalCloud, token: str) -> None:
    refused = refusal(alice, "createJob", {"prompts": PROMPTS}, uid=None, Authorization=f"Bearer {token}")

    assert refused.http_status == 401


def test_a_token_of_another_project_is_refused(alice: LocalCloud) -> None:
    other = alice.token("alice").split(".")
    claims = alice.project
    alice.project = "demo-another"
    try:
        foreign = alice.token("alice")
    finally:
        alice.project = claims
    assert foreign.split(".")[1] != other[1]

    refused = refusal(alice, "createJob", {"prompts": PROMPTS}, uid=None, Authorization=f"Bearer {foreign}")

    assert refused.http_status == 401


@pytest.mark.parametrize("name", ["cancelJob", "resumeJob"])
def test_a_stranger_may_not_touch_a_job(alice: LocalCloud, name: str) -> None:
    made = alice.call("createJob", {"prompts": PROMPTS, "generator": "veo"})

    refused = refusal(alice, name, {"jobId": made["jobId"]}, uid="mallory")

    assert (refused.http_status, refused.status) == (403, "PERMISSION_DENIED")
    assert alice.job(made["jobId"]).active


def test_a_cancelled_job_cannot_be_resumed(alice: LocalCloud) -> None:
    made = alice.call("createJob", {"prompts": PROMPTS, "generator": "veo"})
    cancelled = alice.call("cancelJob", {"jobId": made["jobId"]})
    assert (cancelled["success"], cancelled["state"]) == (True, "cancelled")
    assert alice.call("cancelJob", {"jobId": made["jobId"]})["success"] is False

    refused = refusal(alice, "resumeJob", {"jobId": made["jobId"]})

    assert (refused.http_status, refused.status) == (400, "FAILED_PRECONDITION")


def test_a_job_that_is_not_there_is_not_found(alice: LocalCloud) -> None:
    refused = refusal(alice, "cancelJob", {"jobId": "job_nobody"})

    assert (refused.http_status, refused.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("data", [None, {}, {"jobId": 7}, [], "job_abc123"])
def test_a_call_without_a_job_id_is_refused_by_the_field(alice: LocalCloud, data: object) -> None:
    refused = refusal(alice, "cancelJob", data)

    assert (refused.http_status, refused.status) == (400, "INVALID_ARGUMENT")
    assert refused.details["field"] == "jobId"


@pytest.mark.parametrize("clips", [[], CLIPS[:1]])
def test_fewer_than_two_clips_make_no_reel(alice: LocalCloud, clips: list[str]) -> None:
    refused = refusal(alice, "createJob", {"clips": clips})

    assert (refused.http_status, refused.status) == (400, "FAILED_PRECONDITION")
    assert refused.details == {"code": "too_few_clips", "field": "clips"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": [{"prompt": "x", "durationMs": 4000, "mood": 1}]}, "prompts[0].mood"),
        ({"prompts": PROMPTS, "generator": "sora"}, "generator"),
        ({"prompts": PROMPTS, "generator": "storyboard"}, "generator"),
        ({"prompts": PROMPTS, "generator": "veo", "aspectRatio": "1:1"}, "aspectRatio"),
        ({"prompts": [{"prompt": "x", "durationMs": 9000}], "generator": "veo"}, "prompts[0].durationMs"),
        ({"prompts": PROMPTS, "generator": "veo", "model": "gemini-omni-1.2-flash"}, "model"),
        ({"prompts": PROMPTS, "generator": "veo", "engine": "gpu"}, "engine"),
        ({"prompts": [{"prompt": "x", "durationMs": 4000}], "generator": "veo", "engine": "transcoder"}, "engine"),
    ],
)
def test_a_request_that_cannot_work_is_refused_by_its_field_before_anything_is_bought(
    alice: LocalCloud, request_: dict[str, Any], field: str
) -> None:
    bought = len(alice.vertex.bought)

    refused = refusal(alice, "createJob", request_)

    assert (refused.http_status, refused.status) == (400, "INVALID_ARGUMENT")
    assert refused.details["field"] == field
    assert len(alice.vertex.bought) == bought


@pytest.mark.parametrize(
    ("clip", "status"),
    [
        (f"gs://{BUCKET}/users/bob/uploads/a/one.mp4", "PERMISSION_DENIED"),
        (f"gs://{BUCKET}/users/alicette/uploads/a/one.mp4", "PERMISSION_DENIED"),
        (f"gs://{BUCKET}/jobs/job_abc123/output/1/film.mp4", "PERMISSION_DENIED"),
        (f"gs://{BUCKET}/users/alice/../bob/one.mp4", "INVALID_ARGUMENT"),
        ("gs://somebody-elses/users/alice/uploads/a/one.mp4", "INVALID_ARGUMENT"),
        ("https://example.com/one.mp4", "INVALID_ARGUMENT"),
        ("file:///etc/passwd", "INVALID_ARGUMENT"),
        (f"gs://{BUCKET}/users/alice//one.mp4", "INVALID_ARGUMENT"),
        (f"gs://{BUCKET}/users/alice/one\n.mp4", "INVALID_ARGUMENT"),
    ],
)
def test_only_clips_of_the_callers_own_area_are_taken(alice: LocalCloud, clip: str, status: str) -> None:
    assert refusal(alice, "createJob", {"clips": [CLIPS[0], clip]}).status == status
    # A reel may not go where Longreel keeps its own things, whoever asks.
    output = "INVALID_ARGUMENT" if "/jobs/" in clip else status
    assert refusal(alice, "createJob", {"clips": CLIPS, "outputPath": clip}).status == output
    start = {"prompts": [{"prompt": "x", "startImage": clip}], "generator": "veo"}
    assert refusal(alice, "createJob", start).status == status


def put(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, body, headers, method="PUT")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return int(exc.code)


def test_an_upload_goes_by_its_url_into_the_callers_own_area_and_only_once(alice: LocalCloud) -> None:
    wanted = {"filename": "beach day.mp4", "contentType": "video/mp4", "sizeBytes": 11}

    made = alice.call("createUploadUrl", wanted)

    assert made["clipPath"].startswith(f"{AREA}/uploads/")
    assert made["clipPath"].endswith("/beach day.mp4")
    assert put(made["uploadUrl"], b"hello world", made["headers"]) == 200
    assert put(made["uploadUrl"], b"hello again", made["headers"]) == 412
    found = alice.storage.find(made["clipPath"])
    assert found is not None
    assert found.content.read() == b"hello world"


def test_an_upload_of_another_length_is_refused(alice: LocalCloud) -> None:
    made = alice.call("createUploadUrl", {"filename": "a.mp4", "contentType": "video/mp4", "sizeBytes": 5})

    assert put(made["uploadUrl"], b"more than five", made["headers"]) in {400, 403}
    assert alice.storage.find(made["clipPath"]) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"filename": "../../bob/a.mp4"}, "filename"),
        ({"filename": "a/b.mp4"}, "filename"),
        ({"filename": ".."}, "filename"),
        ({"filename": ""}, "filename"),
        ({"contentType": "text/html"}, "contentType"),
        ({"sizeBytes": 0}, "sizeBytes"),
        ({"sizeBytes": 10**12}, "sizeBytes"),
        ({"bucket": "other"}, "bucket"),
    ],
)
def test_an_upload_that_is_no_clip_is_refused_by_its_field(
    alice: LocalCloud, change: dict[str, Any], field: str
) -> None:
    wanted = {"filename": "a.mp4", "contentType": "video/mp4", "sizeBytes": 5} | change

    refused = refusal(alice, "createUploadUrl", wanted)

    assert refused.status == "INVALID_ARGUMENT"
    assert refused.details["field"] == field


def test_what_is_no_call_is_a_bad_request(alice: LocalCloud) -> None:
    url = f"http://127.0.0.1:{alice.port}/{alice.project}/{REGION}/createJob"
    for body in (b"", b"[]", b"{}", json.dumps({"data": {}, "extra": 1}).encode()):
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30)
        with refused.value as answer:
            assert answer.code == 400
