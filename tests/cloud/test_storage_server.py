"""The storage server, asked by Google's own client: it does what Cloud Storage does, and goes wrong as it is told."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import BadRequest, GoogleAPICallError, NotFound, PreconditionFailed, ServiceUnavailable
from google.auth.credentials import Signing
from google.cloud.storage.bucket import Bucket
from google.cloud.storage.client import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from hypothesis import given
from hypothesis import strategies as st

from adapters.gcs_upload_urls import by_throwaway_key
from tests.cloud.servers.http import Answer, LoopbackServer, Request
from tests.cloud.servers.storage import ANY_PAGE, StorageServer
from tests.cloud.servers.storage_content import Content
from tests.cloud.servers.storage_listing import glob_pattern, listing
from tests.cloud.servers.storage_objects import StoredObject
from tests.contract.cloud_object_rigs import BUCKET

SECONDS = 30
SOON = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(10)


@pytest.fixture
def bucket(client: Client) -> Bucket:
    return client.bucket(BUCKET)


def uri(name: str) -> str:
    return f"gs://{BUCKET}/{name}"


# Uploads.


@pytest.mark.parametrize(
    ("size", "chunk_size"),
    [(0, None), (1, None), (100_000, None), (8 * 1024 * 1024 + 1, None), (9_000_001, 1024 * 1024)],
)
def test_what_is_uploaded_is_downloaded_and_carries_its_checksums(
    server: StorageServer, bucket: Bucket, size: int, chunk_size: int | None
) -> None:
    content = os.urandom(size)
    blob = bucket.blob("höhle/clip #1.mp4", chunk_size=chunk_size)

    blob.upload_from_file(io.BytesIO(content), size=size, content_type="video/mp4", checksum="crc32c")

    found = bucket.get_blob("höhle/clip #1.mp4")
    assert found.download_as_bytes(checksum="crc32c") == content
    assert base64.b64decode(found.crc32c) == google_crc32c.value(content).to_bytes(4, "big")
    assert (found.size, found.content_type, found.metageneration) == (size, "video/mp4", 1)
    assert found.md5_hash
    assert found.generation == blob.generation


def test_a_media_upload_is_an_object(server: StorageServer) -> None:
    url = f"{server.url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a.txt"

    answer = requests.post(url, data=iter([b"he", b"llo"]), headers={"Content-Type": "text/plain"}, timeout=SECONDS)

    assert (answer.status_code, answer.json()["size"], answer.json()["contentType"]) == (200, "5", "text/plain")
    assert server.log.received_bytes["upload"] == 5


def test_a_content_that_looks_like_a_boundary_is_left_alone(server: StorageServer, bucket: Bucket) -> None:
    content = b"\r\n--=====\r\n\r\n--\r\n" * 3

    bucket.blob("a").upload_from_string(content)

    assert bucket.blob("a").download_as_bytes() == content


@pytest.mark.parametrize("header", ["crc32c=AAAAAA==", "md5=AAAAAAAAAAAAAAAAAAAAAA=="])
def test_a_damaged_upload_is_refused_and_leaves_nothing(server: StorageServer, header: str) -> None:
    url = f"{server.url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=a.txt"

    answer = requests.post(url, data=b"hello", headers={"X-Goog-Hash": header}, timeout=SECONDS)

    assert answer.status_code == 400
    assert "doesn't match" in answer.text
    assert server.find(uri("a.txt")) is None


def begin(server: StorageServer, query: str = "") -> str:
    url = f"{server.url}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=film.mp4{query}"
    answer = requests.post(url, json={}, headers={"X-Upload-Content-Type": "video/mp4"}, timeout=SECONDS)
    assert answer.status_code == 200
    return answer.headers["Location"]


def send(where: str, content: bytes, said: str) -> requests.Response:
    return requests.put(where, data=content, headers={"Content-Range": f"bytes {said}"}, timeout=SECONDS)


def test_a_resumable_upload_says_how_far_it_is_and_goes_on_from_there(server: StorageServer) -> None:
    where = begin(server)

    assert "Range" not in send(where, b"", "*/10").headers
    assert send(where, b"01234", "0-4/*").status_code == 308
    asked = send(where, b"", "*/10")
    assert (asked.status_code, asked.headers["Range"]) == (308, "bytes=0-4")
    assert send(where, b"89", "8-9/10").status_code == 400, "a gap"
    made = send(where, b"3456789", "3-9/10")

    assert (made.status_code, made.json()["size"]) == (200, "10")
    assert send(where, b"", "*/10").json() == made.json(), "asking again does no harm"
    found = server.find(uri("film.mp4"))
    assert found is not None
    assert (found.content.read(), found.content_type) == (b"0123456789", "video/mp4")


def test_a_resumable_upload_that_breaks_keeps_what_came(server: StorageServer) -> None:
    where = begin(server)
    server.misbehave(kind="resumable_chunk", lose_answer=True)

    with pytest.raises(requests.ConnectionError):
        send(where, b"01234", "0-4/10")

    assert send(where, b"", "*/10").headers["Range"] == "bytes=0-4"


def test_a_cancelled_upload_is_forgotten(server: StorageServer) -> None:
    where = begin(server)

    assert requests.delete(where, timeout=SECONDS).status_code == 499
    assert send(where, b"x", "0-0/1").status_code == 404


def test_a_resumable_upload_looks_at_its_condition_at_the_beginning_and_at_the_end(server: StorageServer) -> None:
    where = begin(server, "&ifGenerationMatch=0")
    server.put(uri("film.mp4"), b"somebody else's")

    assert send(where, b"x", "0-0/1").status_code == 412
    assert send(where, b"", "*/1").status_code == 404, "a refused upload is over"
    with pytest.raises(AssertionError):
        begin(server, "&ifGenerationMatch=0")


def test_the_client_gets_its_chunks_through_a_burst_of_errors(server: StorageServer, bucket: Bucket) -> None:
    content = os.urandom(3 * 1024 * 1024)
    for status in (503, 429, 408):
        server.misbehave(kind="resumable_chunk", status=status, after=1)
    server.misbehave(kind="resumable_chunk", lose_answer=True, after=1)

    blob = bucket.blob("x", chunk_size=1024 * 1024)
    blob.upload_from_file(io.BytesIO(content), checksum="crc32c", retry=SOON)

    assert bucket.blob("x").download_as_bytes() == content


# Downloads.


def test_a_range_is_answered_with_206_and_its_place(server: StorageServer, bucket: Bucket) -> None:
    server.put(uri("clip"), b"0123456789")
    url = f"{server.url}/download/storage/v1/b/{BUCKET}/o/clip?alt=media"

    def ask(said: str) -> requests.Response:
        return requests.get(url, headers={"Range": f"bytes={said}"}, timeout=SECONDS)

    assert (ask("2-4").status_code, ask("2-4").content) == (206, b"234")
    assert ask("2-4").headers["Content-Range"] == "bytes 2-4/10"
    assert ask("8-100").content == b"89"
    assert ask("7-").content == b"789"
    assert ask("-3").content == b"789"
    assert (ask("10-").status_code, ask("10-").headers["Content-Range"]) == (416, "bytes */10")
    assert requests.get(url, timeout=SECONDS).headers["X-Goog-Stored-Content-Length"] == "10"
    assert requests.head(url, timeout=SECONDS).headers["Content-Length"] == "10"


@given(st.binary(min_size=1, max_size=100), st.integers(0, 120), st.integers(0, 120))
def test_any_range_is_that_slice(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: int, length: int
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.write_bytes(content)
    held = Content(path, len(content), "", "")

    assert b"".join(held.pieces(start, min(len(content), start + length))) == content[start : start + length]


def test_another_generation_than_the_present_one_is_not_there(server: StorageServer, bucket: Bucket) -> None:
    old = server.put(uri("clip"), b"old")
    new = server.put(uri("clip"), b"new")

    assert bucket.blob("clip", generation=new.generation).download_as_bytes() == b"new"
    with pytest.raises(NotFound):
        bucket.blob("clip", generation=old.generation).download_as_bytes()
    with pytest.raises(PreconditionFailed):
        bucket.blob("clip").download_as_bytes(if_generation_match=old.generation)


def test_a_reader_who_has_that_version_already_is_told_so(server: StorageServer) -> None:
    made = server.put(uri("clip"), b"x")
    url = f"{server.url}/storage/v1/b/{BUCKET}/o/clip?ifGenerationNotMatch={made.generation}"

    assert requests.get(url, timeout=SECONDS).status_code == 304


def test_the_bytes_of_what_is_gone_leave_the_disk(server: StorageServer, bucket: Bucket, tmp_path: Path) -> None:
    for _ in range(5):
        server.put(uri("clip"), b"x" * 1000)
    assert send(begin(server), b"film", "0-3/4").ok
    bucket.blob("film.mp4").delete()
    assert len(list((tmp_path / "storage").iterdir())) == 1

    bucket.blob("clip").delete()

    assert list((tmp_path / "storage").iterdir()) == []


# Generations and preconditions.


def test_generations_rise_also_where_many_write_at_once(server: StorageServer) -> None:
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.extend(server.put(uri("x"), b"x").generation for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 200
    found = server.find(uri("x"))
    assert found is not None
    assert found.generation == max(made)


WRITES: dict[str, Callable[[Bucket, dict[str, Any]], Any]] = {
    "upload": lambda bucket, only: bucket.blob("to").upload_from_string(b"y", **only),
    "resumable": lambda bucket, only: bucket.blob("to", chunk_size=262144).upload_from_file(io.BytesIO(b"y"), **only),
    "compose": lambda bucket, only: bucket.blob("to").compose([bucket.blob("from")], **only),
    "copy": lambda bucket, only: bucket.copy_blob(bucket.blob("from"), bucket, "to", **only),
    "rewrite": lambda bucket, only: bucket.blob("to").rewrite(bucket.blob("from"), **only),
    "patch": lambda bucket, only: bucket.blob("to").patch(**only),
    "delete": lambda bucket, only: bucket.blob("to").delete(**only),
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_whose_condition_does_not_hold_is_refused_and_changes_nothing(
    server: StorageServer, bucket: Bucket, kind: str
) -> None:
    server.put(uri("from"), b"x")
    before = server.put(uri("to"), b"old")
    wrong: list[dict[str, Any]] = [
        {"if_generation_match": 0},
        {"if_generation_match": before.generation + 1},
        {"if_generation_not_match": before.generation},
        {"if_metageneration_match": 7},
        {"if_metageneration_not_match": 1},
    ]

    # The client's compose knows fewer of them, and its uploads misspell the last one.
    asked = {"compose": [0, 1, 3], "upload": range(4), "resumable": range(4)}.get(kind, range(5))
    for only in [wrong[index] for index in asked]:
        with pytest.raises(PreconditionFailed):
            WRITES[kind](bucket, only)
        assert server.find(uri("to")) == before

    WRITES[kind](bucket, {"if_generation_match": before.generation})
    assert server.find(uri("to")) != before


def test_a_patch_changes_what_is_said_and_raises_the_metageneration(server: StorageServer, bucket: Bucket) -> None:
    server.put(uri("clip"), b"x", contentType="video/mp4", metadata={"a": "1", "b": "2"})
    blob = bucket.get_blob("clip")

    blob.metadata = {"a": "3", "b": None}
    blob.patch()

    found = bucket.get_blob("clip")
    assert (found.metadata, found.content_type, found.metageneration) == ({"a": "3"}, "video/mp4", 2)


# Compose, copies, lists.


def test_a_composed_object_is_its_sources_in_order_with_the_checksum_of_the_whole(
    server: StorageServer, bucket: Bucket
) -> None:
    parts = [bytes([65 + number]) * number for number in range(32)]
    for number, part in enumerate(parts):
        server.put(uri(f"part/{number}"), part)

    film = bucket.blob("film.mp4")
    film.compose([bucket.blob(f"part/{number}") for number in range(32)])

    whole = b"".join(parts)
    assert film.download_as_bytes() == whole
    assert base64.b64decode(film.crc32c) == google_crc32c.value(whole).to_bytes(4, "big")
    assert (film.component_count, film.md5_hash) == (32, None)
    longer = bucket.blob("film.mp4")
    longer.compose([bucket.blob("film.mp4"), bucket.blob("part/1")])
    assert longer.component_count == 33
    assert longer.download_as_bytes() == whole + b"B"


def test_composing_keeps_to_the_generations_of_its_sources(server: StorageServer, bucket: Bucket) -> None:
    old = server.put(uri("part"), b"old")
    server.put(uri("part"), b"new")

    with pytest.raises(PreconditionFailed):
        bucket.blob("film").compose([bucket.blob("part")], if_source_generation_match=[old.generation])
    with pytest.raises(NotFound):
        bucket.blob("film").compose([bucket.blob("part", generation=old.generation)])
    with pytest.raises(NotFound, match="missing"):
        bucket.blob("film").compose([bucket.blob("missing")])
    for count in (0, 33):
        with pytest.raises(BadRequest):
            bucket.blob("film").compose([bucket.blob("part")] * count)
    assert server.find(uri("film")) is None


def test_a_copy_is_an_object_of_its_own(server: StorageServer, bucket: Bucket) -> None:
    server.put(uri("from"), b"x", contentType="video/mp4")

    bucket.copy_blob(bucket.blob("from"), bucket, "to/höhle")
    bucket.blob("from").delete()

    copy = bucket.get_blob("to/höhle")
    assert (copy.download_as_bytes(), copy.content_type) == (b"x", "video/mp4")


def test_a_list_comes_in_pages_and_folds_at_the_delimiter(server: StorageServer, client: Client) -> None:
    for name in ("a/1", "a/2", "a/b/3", "b", "c/1.mp4", "c/2.png"):
        server.put(uri(name), b"x")

    def listed(**asked: Any) -> list[str]:
        return [blob.name for blob in client.list_blobs(BUCKET, **asked)]

    assert listed(prefix="a/") == ["a/1", "a/2", "a/b/3"]
    assert listed(page_size=2) == ["a/1", "a/2", "a/b/3", "b", "c/1.mp4", "c/2.png"]
    assert listed(max_results=3) == ["a/1", "a/2", "a/b/3"]
    assert listed(start_offset="b", end_offset="c/2") == ["b", "c/1.mp4"]
    assert listed(match_glob="c/*.mp4") == ["c/1.mp4"]
    folded = client.list_blobs(BUCKET, delimiter="/", page_size=1)
    assert [blob.name for blob in folded] == ["b"]
    assert folded.prefixes == {"a/", "c/"}


names = st.lists(st.text("ab/", min_size=1, max_size=5), max_size=12, unique=True)


@given(names, st.text("ab/", max_size=2), st.sampled_from(["", "/", "b"]), st.integers(1, 4))
def test_the_pages_of_a_list_hold_every_name_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, stored: list[str], prefix: str, delimiter: str, size: int
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x"
    path.touch()
    content = Content(path, 0, "", "")
    found = [StoredObject(BUCKET, name, content, 1, "", "") for name in sorted(stored)]
    query, items, prefixes = {"prefix": prefix, "delimiter": delimiter, "maxResults": str(size)}, [], []
    while True:
        page = listing(found, query, lambda each: {"name": each.name})
        assert len(page["items"]) + len(page.get("prefixes", ())) <= size
        items += [item["name"] for item in page["items"]]
        prefixes += page.get("prefixes", [])
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]

    wanted = [name for name in sorted(stored) if name.startswith(prefix)]
    folded = [name for name in wanted if delimiter and delimiter in name[len(prefix) :]]
    assert items == [name for name in wanted if name not in folded]
    heads = {prefix + name[len(prefix) :].partition(delimiter)[0] + delimiter for name in folded} if folded else set()
    assert prefixes == sorted(heads)


@pytest.mark.parametrize(
    ("glob", "fits", "fits_not"),
    [
        ("*.mp4", ["a.mp4"], ["a/b.mp4", "a.mp4x"]),
        ("**.mp4", ["a.mp4", "a/b.mp4"], ["a.png"]),
        ("a/?", ["a/b"], ["a/bc", "a//"]),
        ("{a,b}/1", ["a/1", "b/1"], ["c/1"]),
        ("[a-c]1", ["a1", "c1"], ["d1"]),
        ("[!a]1", ["b1"], ["a1"]),
        ("a,b.c", ["a,b.c"], ["a,bxc"]),
    ],
)
def test_a_glob_fits_names_as_cloud_storage_says(glob: str, fits: list[str], fits_not: list[str]) -> None:
    pattern = glob_pattern(glob)

    assert [name for name in fits if not pattern.fullmatch(name)] == []
    assert [name for name in fits_not if pattern.fullmatch(name)] == []


def test_buckets_are_made_and_only_empty_ones_deleted(server: StorageServer, client: Client) -> None:
    made = client.create_bucket("another")
    server.put("gs://another/x", b"x")

    assert {each.name for each in client.list_buckets()} == {BUCKET, "another"}
    with pytest.raises(GoogleAPICallError, match="not empty"):
        made.delete()
    made.blob("x").delete()
    made.delete()
    with pytest.raises(NotFound):
        made.blob("x").upload_from_string(b"x")


def test_a_full_bucket_takes_nothing_more(server: StorageServer, bucket: Bucket) -> None:
    server.objects.room_bytes[BUCKET] = 10
    bucket.blob("a").upload_from_string(b"x" * 6)

    with pytest.raises(GoogleAPICallError, match="quotaExceeded"):
        bucket.blob("b").upload_from_string(b"x" * 6)
    bucket.blob("a").upload_from_string(b"x" * 10)


# Signed URLs.


@pytest.fixture
def signs(client: Client) -> Signing:
    return by_throwaway_key(client)


def test_a_signed_url_reads_one_object_until_it_ends(server: StorageServer, bucket: Bucket, signs: Signing) -> None:
    server.put(uri("höhle/clip 1.mp4"), b"0123456789")
    server.put(uri("other"), b"secret")
    blob = bucket.blob("höhle/clip 1.mp4")

    url = blob.generate_signed_url(
        version="v4", expiration=timedelta(minutes=1), credentials=signs, response_disposition="attachment; a b"
    )

    assert requests.get(url, headers={"Range": "bytes=1-2"}, timeout=SECONDS).content == b"12"
    for wrong in (
        url.replace("h%C3%B6hle/clip%201.mp4", "other"),
        url.replace("X-Goog-Expires=60", "X-Goog-Expires=600"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url + "&generation=1",
    ):
        refused = requests.get(wrong, timeout=SECONDS)
        assert (refused.status_code, "SignatureDoesNotMatch" in refused.text) == (403, True), wrong
    assert requests.put(url, data=b"x", timeout=SECONDS).status_code == 403, "another verb"
    assert "AccessDenied" in requests.get(f"{server.url}/{BUCKET}/other", timeout=SECONDS).text


def test_an_expired_url_is_refused(server: StorageServer, bucket: Bucket, signs: Signing) -> None:
    from google.cloud.storage._signing import generate_signed_url_v4

    server.put(uri("clip"), b"x")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ")

    url = generate_signed_url_v4(
        signs,
        resource=f"/{BUCKET}/clip",
        expiration=timedelta(minutes=30),
        api_access_endpoint=server.url,
        _request_timestamp=an_hour_ago,
    )

    assert "ExpiredToken" in requests.get(url, timeout=SECONDS).text


def test_the_signature_of_a_stranger_is_worth_nothing(server: StorageServer, client: Client, bucket: Bucket) -> None:
    server.put(uri("clip"), b"x")
    known, stranger = by_throwaway_key(client), by_throwaway_key(client)
    server.trust(str(stranger.signer_email), "")

    def status(signs: Signing) -> int:
        url = bucket.blob("clip").generate_signed_url(version="v4", expiration=timedelta(minutes=1), credentials=signs)
        return requests.get(url, timeout=SECONDS).status_code

    assert (status(known), status(stranger)) == (200, 403)


def test_a_signed_post_begins_a_resumable_upload(server: StorageServer, bucket: Bucket, signs: Signing) -> None:
    url = bucket.blob("film").generate_signed_url(
        version="v4", method="RESUMABLE", expiration=timedelta(minutes=1), content_type="video/mp4", credentials=signs
    )

    begun = requests.post(url, headers={"x-goog-resumable": "start", "Content-Type": "video/mp4"}, timeout=SECONDS)
    assert begun.status_code == 201
    assert send(begun.headers["Location"], b"0123", "0-3/4").status_code == 200
    found = server.find(uri("film"))
    assert found is not None
    assert (found.content.read(), found.content_type) == (b"0123", "video/mp4")


def test_a_page_may_only_do_what_the_buckets_cors_setting_says(server: StorageServer, client: Client) -> None:
    url = f"{server.url}/{BUCKET}/x"
    asked = {
        "Origin": "http://page.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }

    assert "Access-Control-Allow-Origin" not in requests.options(url, headers=asked, timeout=SECONDS).headers

    bucket = client.get_bucket(BUCKET)
    bucket.cors = [{"origin": ["http://page.example"], "method": ["PUT"], "responseHeader": ["Content-Type"]}]
    bucket.patch()
    answer = requests.options(url, headers=asked, timeout=SECONDS).headers
    assert answer["Access-Control-Allow-Origin"] == "http://page.example"
    assert answer["Access-Control-Allow-Methods"] == "PUT"
    for change in (
        {"Origin": "http://other.example"},
        {"Access-Control-Request-Method": "GET"},
        {"Access-Control-Request-Headers": "x-goog-meta-a"},
    ):
        answer = requests.options(url, headers=asked | change, timeout=SECONDS).headers
        assert "Access-Control-Allow-Headers" not in answer
    bucket.cors = ANY_PAGE
    bucket.patch()
    assert "Access-Control-Allow-Headers" in requests.options(url, headers=asked, timeout=SECONDS).headers


# Events.


def test_every_new_object_is_told_once_and_in_order(server: StorageServer, bucket: Bucket) -> None:
    told: list[str] = []
    server.events.listeners.append(lambda made: told.append(made.name))

    bucket.blob("a").upload_from_string(b"x")
    bucket.blob("b").compose([bucket.blob("a")])
    bucket.copy_blob(bucket.blob("a"), bucket, "c")
    bucket.blob("a").delete()
    with pytest.raises(PreconditionFailed):
        bucket.blob("b").upload_from_string(b"x", if_generation_match=0)

    assert told == ["a", "b", "c"]


def test_events_are_lost_doubled_held_and_released_backwards_for_chosen_objects(server: StorageServer) -> None:
    told: list[str] = []
    server.events.listeners.append(lambda made: told.append(made.name))
    server.events.misbehave("lose", prefix="lost/")
    server.events.misbehave("double", prefix="twice/")
    server.events.misbehave("hold", prefix="late/", times=2)

    for name in ("lost/1", "lost/2", "twice/1", "late/1", "late/2", "late/3"):
        server.put(uri(name), b"x")
    assert told == ["lost/2", "twice/1", "twice/1", "late/3"]

    server.events.release(backwards=True)
    assert told[4:] == ["late/2", "late/1"]


def test_events_reach_a_pubsub_topic_as_cloud_storages_own_notifications(
    server: StorageServer, pubsub_emulator: str, project_id: str
) -> None:
    from google.cloud import pubsub_v1

    topic, subscription = f"projects/{project_id}/topics/object_finalized", f"projects/{project_id}/subscriptions/films"
    with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
        publisher.create_topic(name=topic)
        subscriber.create_subscription(name=subscription, topic=topic)
        server.notify(topic, prefix="jobs/")

        server.put(uri("users/u/a.mp4"), b"x")
        made = server.put(uri("jobs/job_abc123/output/1/film.mp4"), b"film", contentType="video/mp4")
        server.events.flush()

        [received] = subscriber.pull(subscription=subscription, max_messages=5, timeout=SECONDS).received_messages
        publisher.stop()
        publisher.transport.close()
    attributes = dict(received.message.attributes)
    assert attributes.pop("eventTime") == made.time_created
    assert attributes == {
        "notificationConfig": f"projects/_/buckets/{BUCKET}/notificationConfigs/1",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": BUCKET,
        "objectId": made.name,
        "objectGeneration": str(made.generation),
    }
    resource = json.loads(received.message.data)
    assert (resource["name"], resource["size"], resource["contentType"]) == (made.name, "4", "video/mp4")


# Misbehaviour, counters, the server itself.


def test_faults_meet_the_requests_they_are_meant_for(server: StorageServer, bucket: Bucket) -> None:
    server.put(uri("a"), b"0123456789")
    server.put(uri("b"), b"0123456789")
    server.misbehave(kind="download", status=503, where=lambda request: request.found["name"] == "b")
    server.misbehave(kind="download", status=429, after=1)

    assert bucket.blob("a").download_as_bytes(retry=None) == b"0123456789"
    with pytest.raises(ServiceUnavailable):
        bucket.blob("b").download_as_bytes(retry=None)
    with pytest.raises(GoogleAPICallError, match="429"):
        bucket.blob("a").download_as_bytes(retry=None)
    server.misbehave(status=503, times=5)
    server.behave()
    assert bucket.blob("b").exists()


def test_a_slow_server_takes_its_time(server: StorageServer, bucket: Bucket) -> None:
    server.put(uri("a"), bytes(600_000))
    server.misbehave(kind="download", delay_seconds=0.2, pause_seconds=0.1)
    began = time.monotonic()

    assert len(bucket.blob("a").download_as_bytes()) == 600_000
    assert time.monotonic() - began > 0.4, "the delay, and three pieces"


def test_a_connection_cut_in_the_middle_of_a_download_is_taken_up_again(server: StorageServer, bucket: Bucket) -> None:
    content = os.urandom(1_000_000)
    server.put(uri("film"), content)
    server.misbehave(kind="download", cut_after_bytes=300_000)
    server.misbehave(kind="download", cut_after_bytes=100_000, pause_seconds=0.01)

    assert bucket.blob("film").download_as_bytes(retry=SOON) == content
    assert server.log.count("download") == 3
    assert server.downloaded_bytes >= 1_000_000
    assert server.log.sent_bytes["download"] == server.downloaded_bytes


def test_requests_and_bytes_are_counted_by_kind(server: StorageServer, bucket: Bucket) -> None:
    bucket.blob("a").upload_from_string(b"x" * 1000)
    bucket.blob("a").download_as_bytes(start=10, end=19)
    bucket.get_blob("a")

    assert dict(server.log.counts) == {"upload": 1, "download": 1, "get": 1}
    assert server.downloaded_bytes == 10
    assert server.uploaded_bytes > 1000
    assert [each.status for each in server.log.requests] == [200, 206, 200]
    server.log.reset()
    assert server.log.count() == 0


def test_what_the_server_lacks_is_501_and_never_an_error_that_clients_repeat(server: StorageServer) -> None:
    assert requests.get(f"{server.url}/storage/v1/b/{BUCKET}/iam", timeout=SECONDS).status_code == 501


def test_a_handler_that_breaks_is_told_by_stop() -> None:
    class Broken(LoopbackServer):
        def __init__(self) -> None:
            super().__init__()
            self.route("GET", "/x", "x", self._answer)

        def _answer(self, request: Request) -> Answer:
            raise KeyError("oops")

    server = Broken().start()
    assert requests.get(f"{server.url}/x", timeout=SECONDS).status_code == 501

    with pytest.raises(AssertionError, match="oops"):
        server.stop()


def test_it_serves_alone_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.cloud.servers.storage", "--bucket", "alone", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        answer = requests.get(f"{url}/storage/v1/b/alone", timeout=SECONDS)
        child.send_signal(signal.SIGTERM)
        assert child.wait(SECONDS) == 0

    assert answer.json()["name"] == "alone"
