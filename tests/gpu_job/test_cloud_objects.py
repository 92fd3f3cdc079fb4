"""The stitch program on Cloud Storage: its objects, its papers, and what it hears from Cloud Run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.errors import BadMedia, BadMessage, InvalidRequest, NotFound, PreconditionFailed, Unavailable
from gpu_job.cloud_objects import CloudObjects
from gpu_job.cloud_task import CloudReporter, CloudTask, open_cloud, read_task
from tests.cloud.servers.storage import StorageServer
from tests.gpu_job.bench import REPOSITORY

CLIP, PLAN = "gs://films-a/clip.mp4", "gs://films-a/jobs/job_abc123/stitch/1/plan.json"
CLOUD = {"GOOGLE_CLOUD_PROJECT": "demo-p"}


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageServer]:
    with StorageServer(tmp_path / "storage", ["films-a"]) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def objects(storage: StorageServer) -> CloudObjects:
    return CloudObjects(CloudObjectStore(partial(storage_client, "demo-p"), deadline_seconds=0.2))


def test_a_clip_is_fetched_once_however_often_it_is_in_the_film(
    storage: StorageServer, objects: CloudObjects, tmp_path: Path
) -> None:
    generation = storage.put(CLIP, b"clip").generation

    paths = {objects.fetch(CLIP, generation, tmp_path) for _ in range(2)}

    assert [path.read_bytes() for path in paths] == [b"clip"]
    assert storage.log.count("download") == 1


def test_a_clip_that_was_changed_is_not_one_that_is_gone(
    storage: StorageServer, objects: CloudObjects, tmp_path: Path
) -> None:
    generation = storage.put(CLIP, b"clip").generation
    storage.put(CLIP, b"another")

    with pytest.raises(PreconditionFailed, match=f"planned {generation}"):
        objects.fetch(CLIP, generation, tmp_path)
    with pytest.raises(NotFound):
        objects.fetch("gs://films-a/none.mp4", generation, tmp_path)
    assert list(tmp_path.glob("fetched*")) == []


def test_a_transfer_that_breaks_off_is_gone_on_with(
    storage: StorageServer, objects: CloudObjects, tmp_path: Path
) -> None:
    content = os.urandom(600_000)
    generation = storage.put(CLIP, content).generation
    storage.misbehave(kind="download", cut_after_bytes=100_000)

    assert objects.fetch(CLIP, generation, tmp_path).read_bytes() == content


def test_what_is_copied_takes_its_length_of_disk(objects: CloudObjects) -> None:
    assert objects.copy_bytes(CLIP, 12) == 12


def test_a_film_is_published_with_its_type_and_replaces_an_older_one(
    storage: StorageServer, objects: CloudObjects, tmp_path: Path
) -> None:
    assert (objects.read(CLIP), objects.size_bytes(CLIP)) == (None, None)
    for content in (b"first", b"second one"):
        made = tmp_path / "made"
        made.write_bytes(content)
        objects.publish(made, CLIP)
        assert objects.read(CLIP) == content
        assert objects.size_bytes(CLIP) == len(content)
    stored = storage.find(CLIP)
    assert stored is not None
    assert stored.resource(storage.url)["contentType"] == "video/mp4"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def reporter(objects: CloudObjects, attempt: int = 0) -> CloudReporter:
    return CloudReporter(StringIO(), objects, PLAN, CloudTask("demo-p", attempt=attempt, execution="stitch-x1"))


def paper(objects: CloudObjects, name: str) -> dict[str, object]:
    content = objects.read(PLAN.replace("plan.json", name))
    assert content is not None
    said: dict[str, object] = json.loads(content)
    return said


def test_progress_is_left_beside_the_plan_but_not_often(storage: StorageServer, objects: CloudObjects) -> None:
    said = reporter(objects)

    for percent in range(50):
        said.progress(percent, "Encoding…")

    wanted = {"execution": "stitch-x1", "taskAttempt": 0, "percent": 0, "message": "Encoding…"}
    assert paper(objects, "progress.json") == wanted
    assert storage.log.count("upload") == 1


def test_an_error_is_left_beside_the_plan_for_whoever_asks(objects: CloudObjects) -> None:
    reporter(objects).error(BadMedia("decode clip 3: it is broken"), 2)

    assert paper(objects, "error.json") == {
        "execution": "stitch-x1",
        "taskAttempt": 0,
        "code": "bad_media",
        "message": "decode clip 3: it is broken",
        "retryable": False,
        "segmentIndex": 2,
    }


def test_only_a_failure_for_good_of_the_same_execution_ends_another_try(objects: CloudObjects) -> None:
    assert reporter(objects, attempt=1).final_failure() is None
    reporter(objects).error(BadMedia("broken"))
    assert reporter(objects).final_failure() is None
    assert reporter(objects, attempt=1).final_failure() is not None
    another = CloudReporter(StringIO(), objects, PLAN, CloudTask("demo-p", attempt=1, execution="stitch-x2"))
    assert another.final_failure() is None
    for content in (b"{", b"[]", b'{"execution": "stitch-x1", "retryable": true}'):
        objects.write(PLAN.replace("plan.json", "error.json"), content)
        assert reporter(objects, attempt=1).final_failure() is None


def test_each_task_leaves_word_of_its_own_and_says_when_nothing_more_comes(objects: CloudObjects) -> None:
    for index, name in enumerate(["progress.json", "progress-1.json", "progress-2.json"]):
        said = CloudReporter(StringIO(), objects, PLAN, CloudTask("demo-p", index, 0, "stitch-x1", 3))
        said.progress(10 + index, "Encoding…")
        told = {"execution": "stitch-x1", "taskAttempt": 0, "percent": 10 + index, "message": "Encoding…"}
        assert paper(objects, name) == told

        said.end()

        assert paper(objects, name) == {**told, "ended": True}


def test_who_has_left_no_word_need_not_say_that_no_more_comes(storage: StorageServer, objects: CloudObjects) -> None:
    reporter(objects).end()

    assert storage.log.count("upload") == 0


def test_what_one_task_fails_by_for_good_is_hidden_by_no_other_and_ends_those_that_begin(objects: CloudObjects) -> None:
    first, second = (CloudTask("demo-p", index, 0, "stitch-x1", 2) for index in (0, 1))
    CloudReporter(StringIO(), objects, PLAN, first).error(BadMedia("decode clip 3: it is broken"), 2)

    other = CloudReporter(StringIO(), objects, PLAN, second)
    other.error(Unavailable("told to stop"))

    assert paper(objects, "error.json")["code"] == "bad_media"
    assert other.final_failure() is not None


def test_a_store_that_fails_stops_no_progress(
    storage: StorageServer, objects: CloudObjects, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.misbehave(kind="upload", status=503, times=50)

    reporter(objects).progress(1, "Encoding…")

    assert "leave progress.json beside the plan" in capsys.readouterr().err


@given(index=st.integers(0, 10**6), attempt=st.integers(0, 10**6), execution=st.text(min_size=1))
def test_what_cloud_run_says_is_read(index: int, attempt: int, execution: str) -> None:
    said = {
        "CLOUD_RUN_TASK_INDEX": str(index),
        "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        "CLOUD_RUN_EXECUTION": execution,
    }

    assert read_task(CLOUD | said) == CloudTask("demo-p", index, attempt, execution)


def test_elsewhere_it_is_the_first_try_of_the_only_task() -> None:
    assert read_task(CLOUD) == CloudTask("demo-p", 0, 0, "")


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({}, "GOOGLE_CLOUD_PROJECT"),
        (CLOUD | {"CLOUD_RUN_TASK_INDEX": "-1"}, "CLOUD_RUN_TASK_INDEX"),
        (CLOUD | {"CLOUD_RUN_TASK_ATTEMPT": "²"}, "CLOUD_RUN_TASK_ATTEMPT"),
        (CLOUD | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}, "STORAGE_EMULATOR_HOST"),
        (CLOUD | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1", "LONGREEL_EMULATED": "off"}, "STORAGE_EMULATOR_HOST"),
    ],
)
def test_an_environment_that_cannot_be_used_is_named(environment: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_task(environment)

    assert caught.value.field == field


@pytest.mark.parametrize("place", ["plan.json", "gs://films-a/", "gs://films-a/../plan.json", "http://x/plan.json"])
def test_a_plan_that_is_not_in_cloud_storage_is_refused(place: str) -> None:
    with pytest.raises(BadMessage):
        open_cloud(place, CLOUD, StringIO())


def run_program(storage: StorageServer, work: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {"STORAGE_EMULATOR_HOST": storage.url, "LONGREEL_EMULATED": "on", **CLOUD, **environment}
    command = [sys.executable, "-m", "gpu_job", "--plan", PLAN, "--objects", "gs://", "--work", str(work)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env={"PATH": os.environ["PATH"], **told}
    )


def test_a_plan_that_is_not_there_is_bad_input_and_said_beside_where_it_should_be(
    storage: StorageServer, objects: CloudObjects, tmp_path: Path
) -> None:
    done = run_program(storage, tmp_path)

    assert done.returncode == 65
    assert json.loads(done.stdout)["severity"] == "ERROR"
    assert paper(objects, "error.json")["message"] == f"read the plan {PLAN}: there is no such object"


def test_only_the_first_task_works(storage: StorageServer, tmp_path: Path) -> None:
    done = run_program(storage, tmp_path, CLOUD_RUN_TASK_INDEX="1")

    assert (done.returncode, json.loads(done.stdout)["type"]) == (0, "note")
    assert storage.log.count() == 0


def test_an_emulator_that_nobody_allowed_is_refused(storage: StorageServer, tmp_path: Path) -> None:
    done = run_program(storage, tmp_path, LONGREEL_EMULATED="off")

    assert done.returncode == 65
    assert "STORAGE_EMULATOR_HOST" in json.loads(done.stdout)["message"]
    assert storage.log.count() == 0
