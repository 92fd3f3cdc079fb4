"""The adapter of Cloud Storage, beyond the contract: what it asks for, what it survives, what it never does twice."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from google.cloud.storage.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.gcs import CHUNK_SIZE_BYTES, CloudObjectStore
from events.errors import (
    BadMessage,
    LimitExceeded,
    NotAllowed,
    NotFound,
    PipelineError,
    PreconditionFailed,
    Unavailable,
)
from tests.cloud.servers.storage import StorageServer
from tests.contract.cloud_object_rigs import BUCKET

CLIP = f"gs://{BUCKET}/clip.mp4"
FILM = f"gs://{BUCKET}/film.mp4"
#: How long the stores of these tests repeat a call.
PATIENCE_SECONDS = 5.0


@pytest.fixture
def store(client: Client) -> CloudObjectStore:
    return CloudObjectStore(lambda: client, PATIENCE_SECONDS)


@pytest.fixture
def impatient(client: Client) -> CloudObjectStore:
    return CloudObjectStore(lambda: client, 0.6)


# What it asks for.


def test_importing_it_imports_nothing_of_googles() -> None:
    script = """
import sys
there = set(sys.modules)
import adapters.gcs, adapters.gcs_client, adapters.gcs_upload_urls
adapters.gcs.CloudObjectStore(lambda: None)
new = set(sys.modules) - there
print([name for name in new if name.split(".")[0] in {"google", "requests", "urllib3", "cryptography"}])
"""
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_the_client_is_made_once_by_the_first_call(client: Client, server: StorageServer) -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(client)
        return client

    store = CloudObjectStore(make)
    with pytest.raises(BadMessage):
        store.stat("s3://x/y")
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.stat(CLIP), range(8)))

    assert len(made) == 1


def test_a_range_is_one_request_and_brings_its_bytes_only(server: StorageServer, store: CloudObjectStore) -> None:
    info = server.put(CLIP, os.urandom(1_000_000))
    server.log.reset()

    assert len(store.read(CLIP, 500_000, 1000, info.generation)) == 1000

    assert dict(server.log.counts) == {"download": 1}
    assert server.downloaded_bytes == 1000


def test_nothing_is_asked_of_nobody(server: StorageServer, store: CloudObjectStore) -> None:
    assert store.read(CLIP, 5, 0) == b""
    assert server.log.count() == 0
    with pytest.raises(BadMessage):
        store.read("gs://films/../x", 5, 0)


@pytest.mark.parametrize(
    ("ask", "kinds"),
    [
        (lambda store: store.stat(CLIP), {"get": 1}),
        (lambda store: store.write(CLIP, b"x"), {"upload": 1}),
        (lambda store: store.compose(FILM, [CLIP, CLIP]), {"compose": 1}),
        (lambda store: store.delete(CLIP), {"get": 1, "delete": 1}),
        (lambda store: store.delete(FILM), {"get": 1}),
        (lambda store: store.list(f"gs://{BUCKET}/"), {"list": 1}),
    ],
)
def test_a_call_costs_as_few_requests_as_it_can(
    server: StorageServer, store: CloudObjectStore, ask: Callable[[CloudObjectStore], Any], kinds: dict[str, int]
) -> None:
    server.put(CLIP, b"x")

    ask(store)

    assert dict(server.log.counts) == kinds


def test_the_checksum_of_an_object_is_its_crc32c(store: CloudObjectStore) -> None:
    written = store.write(CLIP, b"0123456789")
    composed = store.compose(FILM, [CLIP, CLIP])

    assert written.crc32c == google_crc32c.value(b"0123456789")
    assert composed.crc32c == google_crc32c.value(b"01234567890123456789")
    assert store.stat(FILM) == composed
    assert {info.crc32c for info in store.list(FILM)} == {composed.crc32c}


def test_what_is_written_says_what_it_is(server: StorageServer, store: CloudObjectStore) -> None:
    for name, kind in (("a.mp4", "video/mp4"), ("a.png", "image/png"), ("a.json", "application/json")):
        store.write(f"gs://{BUCKET}/{name}", b"x")
        found = server.find(f"gs://{BUCKET}/{name}")
        assert found is not None
        assert found.content_type == kind
    store.compose(FILM, [f"gs://{BUCKET}/a.mp4"])
    found = server.find(FILM)
    assert found is not None
    assert found.content_type == "video/mp4"


def test_every_page_of_a_list_is_read(server: StorageServer, store: CloudObjectStore) -> None:
    for number in range(1005):
        server.put(f"gs://{BUCKET}/clips/{number:04}", b"")

    assert [info.uri[-4:] for info in store.list(f"gs://{BUCKET}/clips/")] == [f"{n:04}" for n in range(1005)]
    assert server.log.count("list") == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 400), st.none() | st.integers(0, 400))
def test_any_range_of_any_object_is_that_slice(
    store: CloudObjectStore, content: bytes, offset: int, length: int | None
) -> None:
    info = store.write(CLIP, content)

    end = None if length is None else offset + length
    assert store.read(CLIP, offset, length, info.generation) == content[offset:end]


def test_sixteen_threads_read_two_hundred_clips_over_sixteen_connections(
    server: StorageServer, store: CloudObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    clips = [f"gs://{BUCKET}/clips/{number}.mp4" for number in range(200)]
    for number, clip in enumerate(clips):
        server.put(clip, bytes([number]) * 5000)

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(16) as pool:
        heads = list(pool.map(lambda clip: store.read(clip, 1000, 64), clips))

    assert heads == [bytes([number]) * 64 for number in range(200)]
    assert [record.message for record in caplog.records] == []
    assert server.connections <= 16


# What it survives.


ASKED: dict[str, Callable[[CloudObjectStore], Any]] = {
    "stat": lambda store: store.stat(CLIP),
    "list": lambda store: store.list(f"gs://{BUCKET}/"),
    "read": lambda store: store.read(CLIP, 0, 5),
    "write": lambda store: store.write(f"gs://{BUCKET}/new", b"x"),
    "write_if": lambda store: store.write(f"gs://{BUCKET}/new", b"x", if_generation=0),
    "compose": lambda store: store.compose(FILM, [CLIP, CLIP]),
    "compose_if": lambda store: store.compose(FILM, [CLIP, CLIP], if_generation=0),
    "delete": lambda store: store.delete(CLIP),
}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("name", ASKED)
def test_a_burst_of_errors_is_outlasted(
    server: StorageServer, store: CloudObjectStore, name: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    server.put(CLIP, b"0123456789")
    server.misbehave(status=status, times=3)

    ASKED[name](store)


@pytest.mark.parametrize("name", ASKED)
def test_an_outage_is_unavailable_after_the_deadline_and_says_what_was_wanted(
    server: StorageServer, impatient: CloudObjectStore, name: str
) -> None:
    server.put(CLIP, b"0123456789")
    server.misbehave(status=503, times=1000)
    began = time.monotonic()

    with pytest.raises(Unavailable, match=f"gs://{BUCKET}"):
        ASKED[name](impatient)

    assert time.monotonic() - began < 5


def test_a_server_that_is_gone_is_unavailable(server: StorageServer, impatient: CloudObjectStore) -> None:
    server.stop()

    with pytest.raises(Unavailable):
        impatient.stat(CLIP)
    with pytest.raises(Unavailable):
        impatient.write(CLIP, b"x")


def test_a_read_that_is_cut_goes_on_where_it_was(server: StorageServer, store: CloudObjectStore) -> None:
    content = os.urandom(900_000)
    info = server.put(CLIP, content)
    server.misbehave(kind="download", cut_after_bytes=400_000)

    assert store.read(CLIP, 100_000, 700_000, info.generation) == content[100_000:800_000]
    assert server.downloaded_bytes < 800_000, "what had come is not fetched again"


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (403, "quotaExceeded", LimitExceeded),
        (403, "dailyLimitExceeded", LimitExceeded),
        (413, "uploadTooLarge", LimitExceeded),
        (403, "forbidden", NotAllowed),
        (400, "invalid", PipelineError),
    ],
)
@pytest.mark.parametrize("name", ["write", "compose", "stat", "read"])
def test_a_refusal_is_named(
    server: StorageServer, impatient: CloudObjectStore, name: str, status: int, reason: str, error: type[PipelineError]
) -> None:
    server.put(CLIP, b"x")
    server.misbehave(status=status, reason=reason, times=10)

    with pytest.raises(error) as told:
        ASKED[name](impatient)

    assert type(told.value) is error
    assert not told.value.retryable


def test_too_many_requests_under_another_name_may_pass(server: StorageServer, impatient: CloudObjectStore) -> None:
    server.misbehave(status=403, reason="rateLimitExceeded", times=10)

    with pytest.raises(Unavailable):
        impatient.stat(CLIP)


# What it never does twice.


def test_a_first_write_whose_answer_was_lost_is_known_as_ours(server: StorageServer, store: CloudObjectStore) -> None:
    told: list[str] = []
    server.events.listeners.append(lambda made: told.append(made.name))
    server.misbehave(kind="upload", lose_answer=True)
    server.misbehave(kind="compose", lose_answer=True)

    written = store.write(CLIP, b"ours", if_generation=0)
    composed = store.compose(FILM, [CLIP], if_generation=0)

    assert (store.stat(CLIP), store.stat(FILM)) == (written, composed)
    assert told == ["clip.mp4", "film.mp4"]
    with pytest.raises(PreconditionFailed):
        store.write(CLIP, b"ours", if_generation=0)


def test_a_lost_write_over_a_known_generation_is_known_as_ours(server: StorageServer, store: CloudObjectStore) -> None:
    before = store.write(CLIP, b"old")
    server.misbehave(kind="upload", lose_answer=True)

    after = store.write(CLIP, b"new", if_generation=before.generation)

    assert store.read(CLIP, generation=after.generation) == b"new"
    assert server.log.count("upload") == 2, "it was looked at, and not written again"


def test_a_write_without_a_condition_whose_answer_was_lost_is_not_repeated(
    server: StorageServer, store: CloudObjectStore
) -> None:
    store.write(CLIP, b"old")
    server.misbehave(kind="upload", lose_answer=True)

    after = store.write(CLIP, b"new")

    assert store.read(CLIP, generation=after.generation) == b"new"
    assert server.log.count("upload") == 2


def test_a_write_of_which_nobody_knows_is_not_repeated_over_what_could_be_newer(
    server: StorageServer, store: CloudObjectStore
) -> None:
    newer = store.write(CLIP, b"newer")
    server.misbehave(kind="upload", status=503)

    with pytest.raises(Unavailable):
        store.write(CLIP, b"older")

    assert store.read(CLIP, generation=newer.generation) == b"newer"


def test_a_repeated_write_gives_way_to_whoever_came_in_between(server: StorageServer, store: CloudObjectStore) -> None:
    def somebody_is_faster(_request: object) -> bool:
        # The store has looked, found nothing, and writes again; now somebody else is there first.
        if server.log.count("get") == 1:
            server.put(CLIP, b"theirs")
        return False

    server.misbehave(kind="upload", status=503)
    server.misbehave(kind="upload", where=somebody_is_faster)

    with pytest.raises(Unavailable, match="somebody else"):
        store.write(CLIP, b"ours")
    assert store.read(CLIP) == b"theirs"


def test_a_repeated_delete_leaves_what_came_in_between(server: StorageServer, store: CloudObjectStore) -> None:
    store.write(CLIP, b"old")

    def come_in_between(_request: object) -> bool:
        server.put(CLIP, b"newer")
        return True

    server.misbehave(kind="delete", where=come_in_between, status=503)

    store.delete(CLIP)

    assert store.read(CLIP) == b"newer"


def test_of_many_writers_whose_answers_are_lost_one_wins_and_knows_it(
    server: StorageServer, store: CloudObjectStore
) -> None:
    server.misbehave(kind="upload", lose_answer=True, times=6)
    won: list[bytes] = []

    def write(content: bytes) -> None:
        try:
            store.write(CLIP, content, if_generation=0)
        except PreconditionFailed:
            return
        won.append(content)

    threads = [threading.Thread(target=write, args=(bytes([number]),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert won == [store.read(CLIP)]


# Films: from file to object and back.


def test_a_film_goes_up_and_comes_down_with_little_memory(
    server: StorageServer, store: CloudObjectStore, tmp_path: Path
) -> None:
    film, back = tmp_path / "film.mp4", tmp_path / "back.mp4"
    piece = os.urandom(1 << 20)
    with film.open("wb") as file:
        for _ in range(40):
            file.write(piece)
    store.stat(FILM)  # What is imported at first use is not counted.
    tracemalloc.start()

    info = store.upload_from(film, FILM, if_generation=0)
    store.download_to(FILM, back, info.generation)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back.read_bytes() == film.read_bytes()
    assert info == store.stat(FILM)
    assert peak < 3 * CHUNK_SIZE_BYTES, "the server in this process is counted too"
    assert server.log.count("resumable_chunk") == 5


def test_a_small_film_is_one_request(server: StorageServer, store: CloudObjectStore, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")

    info = store.upload_from(film, FILM)

    found = server.find(FILM)
    assert found is not None
    assert (found.generation, found.content_type) == (info.generation, "video/mp4")
    assert dict(server.log.counts) == {"upload": 1}


def test_an_upload_that_breaks_goes_on_with_the_same_chunk(
    server: StorageServer, store: CloudObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(2 * CHUNK_SIZE_BYTES + 5))
    server.misbehave(kind="resumable_begin", status=503)
    server.misbehave(kind="resumable_chunk", status=503, after=1, times=2)
    server.misbehave(kind="resumable_chunk", lose_answer=True, after=1)

    info = store.upload_from(film, FILM, if_generation=0)

    assert store.read(FILM, generation=info.generation) == film.read_bytes()
    assert server.log.received_bytes["resumable_chunk"] <= 5 * CHUNK_SIZE_BYTES + 10


def test_an_upload_keeps_to_its_condition(server: StorageServer, store: CloudObjectStore, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(CHUNK_SIZE_BYTES + 1))
    before = store.write(FILM, b"old")

    with pytest.raises(PreconditionFailed):
        store.upload_from(film, FILM, if_generation=0)
    after = store.upload_from(film, FILM, if_generation=before.generation)

    assert store.stat(FILM) == after


def test_a_download_of_another_generation_leaves_no_file(
    server: StorageServer, store: CloudObjectStore, tmp_path: Path
) -> None:
    old = store.write(FILM, b"old")
    store.write(FILM, b"new")

    for uri, generation in ((FILM, old.generation), (CLIP, None)):
        with pytest.raises(NotFound):
            store.download_to(uri, tmp_path / "film.mp4", generation)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_download_that_is_cut_goes_on_and_is_whole(
    server: StorageServer, store: CloudObjectStore, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    server.put(FILM, content)
    server.misbehave(kind="download", cut_after_bytes=1_000_000)

    store.download_to(FILM, tmp_path / "film.mp4")

    assert (tmp_path / "film.mp4").read_bytes() == content
    assert server.downloaded_bytes < 4_000_000


def test_a_damaged_download_is_noticed_and_leaves_no_file(
    server: StorageServer, impatient: CloudObjectStore, tmp_path: Path
) -> None:
    made = server.put(FILM, b"0123456789")
    made.content.path.write_bytes(b"0123456780")

    with pytest.raises(Unavailable, match="checksum"):
        impatient.download_to(FILM, tmp_path / "film.mp4")
    with pytest.raises(Unavailable, match="checksum"):
        impatient.read(FILM)
    assert not (tmp_path / "film.mp4").exists()


def test_a_full_disk_is_told_as_such(server: StorageServer, store: CloudObjectStore, tmp_path: Path) -> None:
    server.put(FILM, bytes(1_000_000))
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a disk that is always full")
    (tmp_path / "film.mp4.part").symlink_to(full)

    with pytest.raises(LimitExceeded, match="no room"):
        store.download_to(FILM, tmp_path / "film.mp4")


def test_a_film_that_is_not_there_is_not_uploaded(store: CloudObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.upload_from(tmp_path / "missing.mp4", FILM)
