"""The cloud's doors through functions-framework's own test client, fed with CloudEvents as Google sends them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from events.errors import Unavailable
from events.messages import Requested, SegmentDone, SegmentRequested, StitchRequested, Topic
from events.wire import WireModel
from tests.functions.world import World

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "events" / "samples"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
FINALIZED = "google.cloud.storage.object.v1.finalized"

#: Posts data to a door; gives the status.
Post = Callable[..., int]


@pytest.fixture
def door(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give a function that opens a door over `world` and gives its test client."""
    path, loaded = list(sys.path), sys.modules.get("main")

    def open_door(target: str) -> Any:
        # create_app writes it, and would read it again for the next door.
        monkeypatch.delenv("FUNCTION_SIGNATURE_TYPE", raising=False)
        app = functions_framework.create_app(target, str(ROOT / "main.py"))
        monkeypatch.setattr(sys.modules["main"], "services", lambda: world.services)
        return app.test_client()

    yield open_door
    monkeypatch.undo()
    os.environ.pop("FUNCTION_SIGNATURE_TYPE", None)
    sys.path[:] = path
    sys.modules.pop("main", None)
    if loaded is not None:
        sys.modules["main"] = loaded


def binary(client: Any, kind: str, data: object) -> int:
    """Post an event in binary mode: what it is in headers, its data as the body."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1234567890",
        "ce-type": kind,
        "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
        "content-type": "application/json",
    }
    status: int = client.post("/", headers=headers, data=json.dumps(data)).status_code
    return status


def structured(client: Any, kind: str, data: object) -> int:
    """Post an event in structured mode: all of it in one JSON."""
    event = {
        "specversion": "1.0",
        "id": "1234567890",
        "type": kind,
        "source": "//pubsub.googleapis.com/projects/p/topics/t",
        "data": data,
    }
    headers = {"content-type": "application/cloudevents+json"}
    status: int = client.post("/", headers=headers, data=json.dumps(event)).status_code
    return status


def published(message: str | WireModel) -> dict[str, Any]:
    """Give the data of a Pub/Sub event."""
    text = message if isinstance(message, str) else message.to_json()
    inner = {"data": base64.b64encode(text.encode()).decode(), "messageId": "1", "attributes": {}}
    return {"message": inner, "subscription": "projects/p/subscriptions/s"}


def stored(world: World, uri: str) -> dict[str, Any]:
    """Give the data of a Cloud Storage event: numbers are strings, and there is more than we read."""
    info = world.objects.stat(uri)
    assert info is not None
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{info.generation}",
        "bucket": bucket,
        "name": name,
        "generation": str(info.generation),
        "metageneration": "1",
        "size": str(info.size_bytes),
        "contentType": "video/mp4",
        "timeCreated": "2026-01-01T12:00:00.000Z",
        "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg==",
    }


@pytest.mark.parametrize("post", [binary, structured])
def test_a_job_goes_through_every_door_to_its_film(world: World, door: Callable[[str], Any], post: Post) -> None:
    job_id = world.create_paid(1)
    doors = {
        Topic.REQUESTED: (door("on_requested"), PUBLISHED),
        Topic.SEGMENT_REQUESTED: (door("on_segment_requested"), PUBLISHED),
        Topic.SEGMENT_DONE: (door("on_segment_done"), PUBLISHED),
        Topic.STITCH_REQUESTED: (door("on_stitch_requested"), PUBLISHED),
        Topic.OBJECT_FINALIZED: (door("on_object_finalized"), FINALIZED),
    }
    world.paid.lands_at_once = True

    while messages := world.waiting():
        delivery = messages[0].delivery
        if delivery.topic is Topic.LOCAL_STITCH:
            world.deliver(messages[0])
            continue
        client, kind = doors[delivery.topic]
        data: Any = published(delivery.body)
        if delivery.topic is Topic.OBJECT_FINALIZED:
            data = stored(world, world.uri(json.loads(delivery.body)["name"]))
        assert post(client, kind, data) == 200
        world.drop(messages[0])

    assert world.job(job_id).state == "completed"


def test_a_clip_with_a_name_in_any_script_ends_its_segment(world: World, door: Callable[[str], Any]) -> None:
    job_id = world.create_paid(1)
    world.run()
    info = world.paid.land(job_id, 0, name="Szene 1 – été 夏 🌊.mp4")

    assert binary(door("on_object_finalized"), FINALIZED, stored(world, info.uri)) == 200
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)
    world.run()

    assert world.segment(job_id, 0).clip.uri == info.uri


@pytest.mark.parametrize(
    "sample", ["requested", "segment_requested", "segment_done", "stitch_requested", "object_finalized"]
)
@pytest.mark.parametrize("kind", ["", "_minimal"])
def test_a_sample_about_a_job_that_is_not_here_is_read_logged_and_acknowledged(
    world: World, door: Callable[[str], Any], caplog: pytest.LogCaptureFixture, sample: str, kind: str
) -> None:
    text = (SAMPLES / f"{sample}{kind}.json").read_text()
    data = json.loads(text) if sample == "object_finalized" else published(text)
    expected = [] if sample == "object_finalized" else ["unknown_job"]

    assert binary(door(f"on_{sample}"), FINALIZED if sample == "object_finalized" else PUBLISHED, data) == 200

    # The sample's object lies in another bucket than this world's, so it is none of its business.
    assert [record.code for record in caplog.records if record.name == "longreel.main"] == expected


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"message": None},
        {"message": {}},
        {"message": {"data": ""}},
        {"message": {"data": "%%% not base64"}},
        {"message": {"data": "ünïcode"}},
        {"message": {"data": 17}},
        {"message": {"data": base64.b64encode(b"\xff\xfe").decode()}},
        published("not JSON"),
        published("{}"),
        published('{"jobId": "../../etc"}'),
        published('{"jobId": "job_abc123", "schemaVersion": 99}'),
    ],
)
@pytest.mark.parametrize("target", ["on_requested", "on_segment_done", "on_object_finalized"])
def test_what_cannot_be_read_is_logged_once_and_acknowledged(
    world: World, door: Callable[[str], Any], caplog: pytest.LogCaptureFixture, target: str, data: Any
) -> None:
    kind = FINALIZED if target == "on_object_finalized" else PUBLISHED

    assert binary(door(target), kind, data) == 200

    (record,) = [record for record in caplog.records if record.name == "longreel.main"]
    assert record.levelname == "ERROR"
    assert (record.action, record.code) == ("refused", "bad_message")


def test_an_error_that_may_pass_is_answered_with_500_so_that_the_event_comes_again(
    world: World, door: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    job_id = world.create_paid(1)
    world.services.jobs.refusals = deque([Unavailable("the store did not answer")])
    client = door("on_requested")

    assert binary(client, PUBLISHED, published(Requested(job_id=job_id))) == 500
    assert world.job(job_id).state == "queued"
    assert [record for record in caplog.records if record.name == "longreel.main"] == []
    assert binary(client, PUBLISHED, published(Requested(job_id=job_id))) == 200

    assert world.job(job_id).state == "generating"


def test_messages_that_come_twice_through_a_door_do_no_harm(world: World, door: Callable[[str], Any]) -> None:
    job_id = world.create_paid(1)
    for _ in range(2):
        binary(door("on_requested"), PUBLISHED, published(Requested(job_id=job_id)))
        binary(door("on_segment_requested"), PUBLISHED, published(SegmentRequested(job_id=job_id, segment_index=0)))
        binary(door("on_segment_done"), PUBLISHED, published(SegmentDone(job_id=job_id, segment_index=0)))
        binary(door("on_stitch_requested"), PUBLISHED, published(StitchRequested(job_id=job_id)))

    assert world.paid.times_bought(job_id, 0) == 1
    assert world.states(job_id) == ["generating"]


def test_the_sweep_has_a_door(world: World, door: Callable[[str], Any]) -> None:
    job_id = world.create_paid(1)
    world.drop(world.waiting(Topic.REQUESTED)[0])
    world.clock.at = world.job(job_id).wake_at

    assert binary(door("on_sweep"), PUBLISHED, published("{}")) == 200

    world.run()
    assert world.job(job_id).state == "generating"


def run_python(code: str, **environment: str) -> str:
    """Run Python in a process of its own, with the repository at hand."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FUNCTION_")} | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_doors_loads_no_google_client_no_codec_and_no_database() -> None:
    modules = set(run_python("import sys, main; print(*sys.modules)").split())

    assert "functions_framework" in modules
    assert not {"av", "numpy", "PIL", "sqlite3"} & modules
    # functions-framework brings one small module of this name itself; every client is called otherwise.
    google = {module for module in modules if module.startswith("google.") and module != "google.cloud"}
    assert all(module.startswith("google.cloud.functions") for module in google)
    assert not {module for module in modules if module.split(".")[0] in ("adapters", "embedded", "functions", "media")}


def test_the_doors_stand_over_the_home_that_the_environment_names(tmp_path: Path) -> None:
    code = """
import base64, json, sys
import functions_framework
from embedded.assembly import open_pipeline
from functions.api import create_job
pipeline = open_pipeline()
job_id = create_job(pipeline.services, {"prompts": ["A lighthouse"]}, "someone").job.job_id
client = functions_framework.create_app("on_requested", "main.py").test_client()
body = base64.b64encode(json.dumps({"jobId": job_id}).encode()).decode()
headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "//s", "ce-type": "t"}
print(client.post("/", headers=headers, json={"message": {"data": body}}).status_code)
print(pipeline.services.jobs.load(job_id).state)
"""
    assert run_python(code, LONGREEL_HOME=str(tmp_path / "home")).split() == ["200", "generating"]
