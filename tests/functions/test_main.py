"""The cloud's doors through functions-framework's own test client, fed with CloudEvents as Google sends them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from adapters.config import CloudConfig
from adapters.pubsub import too_early
from doors.outside import Outside
from doors.receive import Receiver
from events.errors import Unavailable
from events.messages import Requested, SegmentDone, SegmentRequested, StitchRequested, Topic
from events.wire import WireModel
from tests.functions.world import World

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "events" / "samples"
PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
FINALIZED = "google.cloud.storage.object.v1.finalized"

#: Failed deliveries after which a message becomes a dead letter.
ATTEMPTS_MAX = 3
#: Posts data to a door; gives the status.
Post = Callable[..., int]


@dataclass
class Ledger:
    """Dead letters and failed deliveries, kept where a test can look."""

    letters: list[tuple[str, str, str, int]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    #: What the next count and the next burial raise.
    errors: deque[Exception] = field(default_factory=deque)

    def bury(
        self,
        topic: str,
        body: str,
        reason: str,
        attempts: int,
        message_id: str,
        at: datetime,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        if self.errors:
            raise self.errors.popleft()
        self.letters.append((topic, body, reason, attempts))

    def count(self, message_id: str, topic: str, reason: str, now: datetime) -> int:
        if self.errors:
            raise self.errors.popleft()
        self.failed[message_id] += 1
        return self.failed[message_id]

    def forget(self, message_id: str) -> None:
        del self.failed[message_id]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def door(world: World, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give a function that opens a door over `world` and gives its test client."""
    path, loaded = list(sys.path), sys.modules.get("main")
    receiver = Receiver(world.services, ledger, ledger, ATTEMPTS_MAX, too_early)
    outside = Outside(CloudConfig("demo-doors", world.services.bucket), world.services, receiver, None)

    def open_door(target: str) -> Any:
        # create_app writes it, and would read it again for the next door.
        monkeypatch.delenv("FUNCTION_SIGNATURE_TYPE", raising=False)
        app = functions_framework.create_app(target, str(ROOT / "main.py"))
        monkeypatch.setattr(sys.modules["main"], "outside", lambda: outside)
        return app.test_client()

    yield open_door
    monkeypatch.undo()
    os.environ.pop("FUNCTION_SIGNATURE_TYPE", None)
    sys.path[:] = path
    sys.modules.pop("main", None)
    if loaded is not None:
        sys.modules["main"] = loaded


def binary(client: Any, kind: str, data: object, at: str | None = None) -> int:
    """Post an event in binary mode: what it is in headers, its data as the body."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1234567890",
        "ce-type": kind,
        "ce-source": "//pubsub.googleapis.com/projects/p/topics/t",
        "content-type": "application/json",
    } | ({"ce-time": at} if at else {})
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


def published(message: str | WireModel, *, at: str | None = None, **attributes: str) -> dict[str, Any]:
    """Give the data of a Pub/Sub event."""
    text = message if isinstance(message, str) else message.to_json()
    inner = {"data": base64.b64encode(text.encode()).decode(), "messageId": "1", "attributes": attributes}
    if at is not None:
        inner["publishTime"] = at
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
def test_a_sample_about_a_job_that_is_not_here_is_acknowledged_and_kept_as_a_dead_letter(
    world: World, door: Callable[[str], Any], ledger: Ledger, sample: str, kind: str
) -> None:
    text = (SAMPLES / f"{sample}{kind}.json").read_text()
    data = json.loads(text) if sample == "object_finalized" else published(text)
    # The sample's object lies in another bucket than this world's, so it is none of its business.
    expected = [] if sample == "object_finalized" else [(sample, text, "unknown_job")]

    assert binary(door(f"on_{sample}"), FINALIZED if sample == "object_finalized" else PUBLISHED, data) == 200

    assert [(topic, body, reason.partition(":")[0]) for topic, body, reason, _ in ledger.letters] == expected


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
def test_what_cannot_be_read_is_acknowledged_and_becomes_a_dead_letter_with_its_reason(
    world: World, door: Callable[[str], Any], ledger: Ledger, target: str, data: Any
) -> None:
    kind = FINALIZED if target == "on_object_finalized" else PUBLISHED

    assert binary(door(target), kind, data) == 200

    ((topic, _, reason, attempts),) = ledger.letters
    assert topic == target.removeprefix("on_")
    assert reason.startswith("bad_message: ")
    assert attempts == 1


def test_a_letter_keeps_what_was_published_byte_for_byte(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    binary(door("on_requested"), PUBLISHED, published('{"jobId": "été 夏 🌊"}'))

    assert ledger.letters[0][1] == '{"jobId": "été 夏 🌊"}'


def test_an_error_that_may_pass_is_answered_with_503_so_that_the_event_comes_again(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    world.services.jobs.refusals = deque([Unavailable("the store did not answer")])
    client = door("on_requested")

    assert binary(client, PUBLISHED, published(Requested(job_id=job_id))) == 503
    assert world.job(job_id).state == "queued"
    assert ledger.letters == []
    assert binary(client, PUBLISHED, published(Requested(job_id=job_id))) == 200

    assert world.job(job_id).state == "generating"


def test_what_fails_again_and_again_becomes_a_dead_letter_with_the_last_reason(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    world.services.jobs.refusals = deque(Unavailable(f"no answer, {number}") for number in range(ATTEMPTS_MAX))
    client, event = door("on_requested"), published(Requested(job_id=job_id))

    answers = [binary(client, PUBLISHED, event) for _ in range(ATTEMPTS_MAX)]

    assert answers == [503] * (ATTEMPTS_MAX - 1) + [200]
    assert ledger.letters == [
        ("requested", Requested(job_id=job_id).to_json(), f"unavailable: no answer, {ATTEMPTS_MAX - 1}", ATTEMPTS_MAX)
    ]
    assert not ledger.failed, "a message that is over is not counted any longer"


def test_an_event_is_let_go_only_when_its_letter_is_kept(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    ledger.errors.append(Unavailable("Pub/Sub did not answer"))
    client = door("on_requested")

    assert binary(client, PUBLISHED, published("not JSON")) == 503
    assert binary(client, PUBLISHED, published("not JSON")) == 200
    assert len(ledger.letters) == 1


def test_a_failure_that_cannot_even_be_counted_is_delivered_again(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    world.services.jobs.refusals = deque([Unavailable("the store did not answer")])
    ledger.errors.append(Unavailable("the store did not answer"))

    assert binary(door("on_requested"), PUBLISHED, published(Requested(job_id=job_id))) == 503
    assert ledger.letters == []


def test_a_message_that_comes_too_early_comes_again_and_is_no_failure(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    event = published(Requested(job_id=job_id), notBefore="2026-01-01T12:00:30.000Z")
    client = door("on_requested")

    assert binary(client, PUBLISHED, event) == 503
    assert (world.job(job_id).state, ledger.letters, ledger.failed) == ("queued", [], {})
    world.clock.at += timedelta(seconds=30)
    assert binary(client, PUBLISHED, event) == 200
    assert world.job(job_id).state == "generating"


def test_an_event_older_than_its_topics_limit_is_not_handled_but_recorded(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    event = published(Requested(job_id=job_id), at="2026-01-01T10:59:59.123456789Z")

    assert binary(door("on_requested"), PUBLISHED, event) == 200

    assert world.job(job_id).state == "queued"
    ((topic, _, reason, _),) = ledger.letters
    assert (topic, reason.partition(":")[0]) == ("requested", "expired")


def test_a_clip_may_be_told_of_days_later_because_it_was_paid_for(
    world: World, door: Callable[[str], Any], ledger: Ledger
) -> None:
    job_id = world.create_paid(1)
    world.run()
    info = world.paid.land(job_id, 0)

    at = "2025-12-28T12:00:00Z"
    assert binary(door("on_object_finalized"), FINALIZED, stored(world, info.uri), at) == 200

    assert world.waiting(Topic.SEGMENT_DONE)
    assert ledger.letters == []


def test_a_sweep_of_long_ago_leaves_no_letter(world: World, door: Callable[[str], Any], ledger: Ledger) -> None:
    assert binary(door("on_sweep"), PUBLISHED, published("{}", at="2026-01-01T11:00:00Z")) == 200
    assert ledger.letters == []


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


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"LONGREEL_BUCKET": "films"}, "GOOGLE_CLOUD_PROJECT: must be given"),
        ({"GOOGLE_CLOUD_PROJECT": "p"}, "LONGREEL_BUCKET: must be given"),
        ({"GOOGLE_CLOUD_PROJECT": "p", "LONGREEL_BUCKET": "gs://films"}, "LONGREEL_BUCKET: should be the bare name"),
        (
            {"GOOGLE_CLOUD_PROJECT": "p", "LONGREEL_BUCKET": "films", "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9"},
            "FIREBASE_AUTH_EMULATOR_HOST: is only for emulators",
        ),
        (
            {"GOOGLE_CLOUD_PROJECT": "p", "LONGREEL_BUCKET": "films", "LONGREEL_ACTIVE_JOBS_MAX": "0"},
            "LONGREEL_ACTIVE_JOBS_MAX: should be a number from 1 to 1000, not '0'",
        ),
        (
            {"GOOGLE_CLOUD_PROJECT": "p", "LONGREEL_BUCKET": "films", "LONGREEL_DAILY_LIMIT_USD": "$50"},
            "LONGREEL_DAILY_LIMIT_USD: should be dollars such as 50 or 49.99, not '$50'",
        ),
    ],
)
def test_a_wrong_or_missing_variable_is_named_before_anything_is_asked(
    environment: dict[str, str], complaint: str
) -> None:
    code = "import main\ntry:\n    main.outside()\nexcept Exception as exc:\n    print(type(exc).__name__, exc)"

    assert run_python(code, **environment).startswith(f"InvalidRequest {complaint}")
