"""The loopback Vertex: it makes clips fit for a film, knows what was bought, and refuses what Vertex refuses."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from media.probe import probe
from media.reader import BytesReader
from pipeline.models import model_of
from tests.cloud.paid_orders import CLIPS, OMNI, PREFIX, VEO, eventually, order, paid
from tests.cloud.servers.storage import StorageServer
from tests.cloud.servers.vertex import PNG, Ending, VertexServer
from tests.media.clips import read_frames

_START = f"/v1beta1/projects/p/locations/us-central1/publishers/google/models/{VEO}:predictLongRunning"
_INTERACTIONS = "/v1beta1/projects/p/locations/global/interactions"


@pytest.fixture
def server() -> Iterator[VertexServer]:
    with VertexServer(latency_seconds=None, put=lambda *_object: None, clips=CLIPS) as started:
        yield started


def ask(server: VertexServer, path: str, body: dict[str, Any], token: str = "Bearer local") -> tuple[int, Any]:
    """Ask as plainly as can be: what the SDK never sends must be refused too."""
    headers = {"Content-Type": "application/json", "Authorization": token}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def veo_body(**parameters: Any) -> dict[str, Any]:
    given = {"sampleCount": 1, "storageUri": PREFIX, "durationSeconds": 4, "generateAudio": True} | parameters
    return {"instances": [{"prompt": "A kite"}], "parameters": given}


def omni_body(**wanted: Any) -> dict[str, Any]:
    format_ = {"type": "video", "delivery": "uri", "gcs_uri": PREFIX, "duration": "4s"} | wanted
    config = {"video_config": {"task": "text_to_video"}}
    return {
        "model": OMNI,
        "input": "A kite",
        "background": True,
        "response_format": format_,
        "generation_config": config,
    }


def test_what_a_real_client_asks_for_lands_in_the_bucket_as_a_clip_for_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StorageServer(tmp_path / "objects", ["films"]) as storage, paid("veo") as it:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        with VertexServer(clips=CLIPS) as vertex:
            it.generator._client.endpoint = vertex.url
            it.generator.submit(order())
            eventually(lambda: bool(vertex.bought and vertex.bought[0].done), 60)
            (uri,) = vertex.bought[0].objects

        stored = storage.find(uri)
        assert stored is not None
        content = stored.content.read()
        facts = probe(BytesReader(content), "sample_0.mp4")
        assert uri.startswith(PREFIX)
        assert (facts.duration_ms, facts.width_px, facts.height_px) == (4000, 320, 180)
        assert facts.obstacles == [], "it can be spliced as it is"
        (tmp_path / "clip.mp4").write_bytes(content)
        assert [clip for clip, _ in read_frames(tmp_path / "clip.mp4")] == [4 % 2] * 96, "segment 4, of two pictures"


def test_clips_are_encoded_once_and_differ_in_their_bytes() -> None:
    one, other = (CLIPS.clip(PREFIX, 4, "9:16", mark) for mark in ("a", "b"))

    assert one != other
    assert len(one) == len(other)
    facts = probe(BytesReader(one), "clip")
    assert (facts.width_px, facts.height_px) == (180, 320)
    assert facts == probe(BytesReader(other), "clip")


def test_segments_show_different_pictures(tmp_path: Path) -> None:
    for number in (0, 1):
        clip = CLIPS.clip(f"gs://films/jobs/job_abc123/segments/{number}/1/", 4, "16:9", "x")
        (tmp_path / "clip.mp4").write_bytes(clip)
        assert read_frames(tmp_path / "clip.mp4")[0] == (number, 0)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (_START, veo_body(durationSeconds=5), "Unsupported output video duration 5 seconds, supported durations are"),
        (_START, veo_body(sampleCount=2), "sampleCount"),
        (_START, veo_body(storageUri="films/a"), "should be a gs:// URI"),
        (_START, veo_body(aspectRatio="1:1"), "Unsupported aspect ratio 1:1"),
        (_START, veo_body(resolution="8k"), "Unsupported resolution 8k"),
        (_START, veo_body(seed=-1), "seed"),
        (_START, veo_body(duration=4), 'Unknown name "duration" at parameters'),
        (_START, veo_body() | {"label": {}}, 'Unknown name "label" at the request'),
        (_START, veo_body() | {"labels": {"Job": "a"}}, "invalid label Job=a"),
        (_START, veo_body() | {"instances": []}, "instances"),
        (_START, veo_body() | {"instances": [{"prompt": ""}]}, "prompt"),
        (_START, veo_body() | {"instances": [{"prompt": "a", "image": {"gcsUri": "gs://b/a"}}]}, "mime type None"),
        (_INTERACTIONS, omni_body(duration="20s"), "Unsupported output video duration 20 seconds"),
        (_INTERACTIONS, omni_body(duration=4), "should look like 8s"),
        (_INTERACTIONS, omni_body(delivery="inline"), "delivery"),
        (_INTERACTIONS, omni_body(gcs_uri=None), "should be a gs:// URI"),
        (_INTERACTIONS, omni_body() | {"background": False}, "background"),
        (_INTERACTIONS, omni_body() | {"input": []}, "one text and one image"),
        (_INTERACTIONS, omni_body() | {"surprise": 1}, 'Unknown name "surprise"'),
        (_INTERACTIONS.replace("global", "us-central1"), omni_body(), "the location global only"),
    ],
)
def test_what_vertex_refuses_is_refused_and_not_bought(
    server: VertexServer, path: str, body: dict[str, Any], says: str
) -> None:
    status, answer = ask(server, path, body)

    assert status == 400
    assert answer["error"]["code"] == 400
    assert says in answer["error"]["message"]
    assert server.bought == []


def test_a_model_that_is_gone_is_not_found(server: VertexServer) -> None:
    server.retired.add(VEO)

    status, answer = ask(server, _START, veo_body())

    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")
    assert VEO in answer["error"]["message"]


def test_nobody_comes_in_without_a_token(server: VertexServer) -> None:
    assert ask(server, _START, veo_body(), token="")[0] == 401


def test_an_operation_is_asked_about_under_its_own_model(server: VertexServer) -> None:
    _, started = ask(server, _START, veo_body())
    poll = _START.replace("predictLongRunning", "fetchPredictOperation")

    assert ask(server, poll, {"operationName": started["name"]}) == (200, {"name": started["name"]})
    assert ask(server, poll.replace(VEO, "veo-x"), {"operationName": started["name"]})[0] == 400
    assert ask(server, poll, {"operationName": started["name"] + "0"})[0] == 404


def test_it_knows_what_was_bought_and_what_google_would_bill(server: VertexServer) -> None:
    server.rule(Ending.FILTERED, prompt="kite")
    server.rule(refuse=429, prompt="kite")
    statuses = [ask(server, _START, veo_body())[0] for _ in range(3)]
    server.work()

    model = model_of(VEO)
    assert model is not None
    assert statuses == [200, 429, 200]
    assert (server.times_bought(PREFIX), server.submits[PREFIX]) == (2, 3)
    assert server.billed_micro_usd() == 400_000, "what was filtered is not billed"


def test_a_clip_comes_after_its_own_time_and_a_slow_one_holds_nobody_up() -> None:
    made: list[str] = []
    with VertexServer(latency_seconds=0, put=lambda uri, _content, _type: made.append(uri), clips=CLIPS) as server:
        server.rule(latency_seconds=3600)
        ask(server, _START, veo_body(storageUri="gs://films/slow"))
        ask(server, _START, veo_body(storageUri="gs://films/quick"))

        eventually(lambda: len(made) == 1, 60)
        assert made[0].startswith("gs://films/quick/")
        assert server.pending() == 1


@pytest.mark.parametrize(
    ("ending", "count", "first"), [(Ending.TWICE, 2, None), (Ending.TWO, 2, None), (Ending.PICTURE, 1, PNG)]
)
def test_it_can_be_told_to_write_something_else(ending: Ending, count: int, first: bytes | None) -> None:
    made: list[tuple[str, bytes]] = []
    with VertexServer(put=lambda uri, content, _type: made.append((uri, content)), clips=CLIPS) as server:
        server.rule(ending)
        ask(server, _START, veo_body())
        server.work()

    assert len(made) == count
    assert len({uri for uri, _ in made}) == (2 if ending is Ending.TWO else 1)
    assert first is None or made[0][1] == first
