"""What every object store promises: whole objects, generations that rise, a word after each write."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.disk import DiskObjectStore
from events.errors import BadMessage, LimitExceeded, NotFound, PipelineError, PreconditionFailed
from tests.contract.rigs import ObjectStoreRig

HOSTILE = [
    "gs://{bucket}/../secret",
    "gs://{bucket}/a/../../secret",
    "gs://{bucket}/a/./b",
    "gs://{bucket}//etc/passwd",
    "gs://{bucket}/a//b",
    "gs://{bucket}/a/",
    "gs://{bucket}/",
    "gs://{bucket}",
    "gs://{bucket}/a\x00b",
    "gs://{bucket}/a\nb",
    "gs://../x",
    "gs://./x",
    "gs:///x",
    "gs://.parts/x",
    "s3://{bucket}/x",
    "/etc/passwd",
    "file:///etc/passwd",
    "",
]


def test_what_was_written_is_read_back(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("a/clip.mp4")

    info = object_store.objects.write(uri, b"content")

    assert (info.uri, info.size_bytes) == (uri, 7)
    assert info.crc32c in (None, google_crc32c.value(b"content")), "a checksum is right, where the store keeps one"
    assert info.generation > 0
    assert object_store.objects.stat(uri) == info
    assert object_store.objects.read(uri) == b"content"


def test_an_empty_object_is_an_object(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("empty")

    assert object_store.objects.write(uri, b"").size_bytes == 0
    assert object_store.objects.read(uri) == b""


def test_what_was_never_written_is_not_there(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("missing/clip.mp4")

    assert object_store.objects.stat(uri) is None
    with pytest.raises(NotFound, match=r"missing/clip\.mp4"):
        object_store.objects.read(uri)


def test_a_name_that_leads_to_others_is_no_object_itself(object_store: ObjectStoreRig) -> None:
    object_store.objects.write(object_store.uri("a/b/clip.mp4"), b"x")

    for name in ("a", "a/b", "a/b/clip.mp4/c"):
        assert object_store.objects.stat(object_store.uri(name)) is None
        with pytest.raises(NotFound):
            object_store.objects.read(object_store.uri(name))


def test_a_name_in_any_script_is_a_name(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clips/höhle 洞窟 🎬 %2e%2e #1.mp4")

    object_store.objects.write(uri, b"x")

    assert [info.uri for info in object_store.objects.list(object_store.uri("clips/"))] == [uri]
    assert object_store.objects.read(uri) == b"x"


def test_every_write_has_a_higher_generation_even_after_a_delete(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    generations = []
    for number in range(20):
        generations.append(object_store.objects.write(uri, bytes([number])).generation)
        if number % 3 == 0:
            object_store.objects.delete(uri)

    assert generations == sorted(set(generations))


def test_reading_another_generation_than_the_present_one_is_refused(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    old = object_store.objects.write(uri, b"old")
    new = object_store.objects.write(uri, b"new")

    assert object_store.objects.read(uri, generation=new.generation) == b"new"
    with pytest.raises(NotFound, match=r"clip\.mp4"):
        object_store.objects.read(uri, generation=old.generation)


def test_if_generation_0_writes_only_where_there_is_none(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    first = object_store.objects.write(uri, b"first", if_generation=0)

    with pytest.raises(PreconditionFailed):
        object_store.objects.write(uri, b"second", if_generation=0)

    assert object_store.objects.read(uri, generation=first.generation) == b"first"
    object_store.objects.delete(uri)
    object_store.objects.write(uri, b"third", if_generation=0)


def test_if_generation_n_writes_only_over_that_one(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    first = object_store.objects.write(uri, b"first")

    second = object_store.objects.write(uri, b"second", if_generation=first.generation)
    with pytest.raises(PreconditionFailed):
        object_store.objects.write(uri, b"third", if_generation=first.generation)

    assert object_store.objects.read(uri, generation=second.generation) == b"second"
    with pytest.raises(PreconditionFailed):
        object_store.objects.write(object_store.uri("missing"), b"x", if_generation=first.generation)


def test_of_many_that_write_the_first_version_one_wins(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    won: list[bytes] = []

    def write(content: bytes) -> None:
        try:
            object_store.objects.write(uri, content, if_generation=0)
        except PreconditionFailed:
            return
        won.append(content)

    threads = [threading.Thread(target=write, args=(bytes([number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [object_store.objects.read(uri)] == won


def test_a_reader_sees_the_old_or_the_new_object_never_half_of_one(object_store: ObjectStoreRig) -> None:
    uri, size = object_store.uri("film.mp4"), 200_000
    object_store.objects.write(uri, b"\x00" * size)
    over = threading.Event()

    def write() -> None:
        for number in range(1, 30):
            object_store.objects.write(uri, bytes([number]) * size)
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    torn = 0
    while not over.is_set():
        content = object_store.objects.read(uri)
        torn += len(content) != size or len(set(content)) != 1
    thread.join()

    assert torn == 0


def test_ranges_are_read_and_end_where_the_object_ends(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("clip.mp4")
    object_store.objects.write(uri, b"0123456789")

    assert object_store.objects.read(uri, 3, 4) == b"3456"
    assert object_store.objects.read(uri, 8, 100) == b"89"
    assert object_store.objects.read(uri, 7) == b"789"
    assert object_store.objects.read(uri, 4, 0) == b""
    assert object_store.objects.read(uri, 10, 5) == b""
    assert object_store.objects.read(uri, 1000) == b""


def test_what_begins_with_a_prefix_is_listed_by_name(object_store: ObjectStoreRig) -> None:
    names = ["jobs/b/2", "jobs/a/10", "jobs/a/1", "jobs/ab", "other/x", "jobs/a/1x/deep/clip.mp4"]
    for name in names:
        object_store.objects.write(object_store.uri(name), name.encode())

    def listed(prefix: str) -> list[str]:
        infos = object_store.objects.list(object_store.uri(prefix))
        assert infos == [object_store.objects.stat(info.uri) for info in infos]
        return [info.uri.removeprefix(object_store.uri("")) for info in infos]

    assert listed("jobs/a/") == ["jobs/a/1", "jobs/a/10", "jobs/a/1x/deep/clip.mp4"]
    assert listed("jobs/a/1") == ["jobs/a/1", "jobs/a/10", "jobs/a/1x/deep/clip.mp4"]
    assert listed("jobs/a") == ["jobs/a/1", "jobs/a/10", "jobs/a/1x/deep/clip.mp4", "jobs/ab"]
    assert listed("") == sorted(names)
    assert listed("nothing/here/") == []


def test_a_deleted_object_is_gone_and_deleting_nothing_is_no_error(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("a/clip.mp4")
    object_store.objects.write(uri, b"x")

    object_store.objects.delete(uri)
    object_store.objects.delete(uri)
    object_store.objects.delete(object_store.uri("a"))
    object_store.objects.delete(object_store.uri("a/clip.mp4/b"))

    assert object_store.objects.stat(uri) is None
    assert object_store.objects.list(object_store.uri("")) == []


def test_composing_joins_the_sources_in_order_and_keeps_them(object_store: ObjectStoreRig) -> None:
    sources = [object_store.uri(f"part/{number}") for number in range(32)]
    for number, source in enumerate(sources):
        object_store.objects.write(source, bytes([number]) * number)
    whole = object_store.uri("film.mp4")

    info = object_store.objects.compose(whole, sources)

    assert object_store.objects.read(whole) == b"".join(bytes([number]) * number for number in range(32))
    assert info.size_bytes == sum(range(32))
    assert all(object_store.objects.stat(source) is not None for source in sources)


def test_composing_takes_a_source_twice_and_may_write_over_one(object_store: ObjectStoreRig) -> None:
    first, second = object_store.uri("first"), object_store.uri("second")
    object_store.objects.write(first, b"1")
    object_store.objects.write(second, b"2")

    object_store.objects.compose(first, [first, second, first])

    assert object_store.objects.read(first) == b"121"


@pytest.mark.parametrize("count", [0, 33])
def test_composing_takes_1_to_32_sources(object_store: ObjectStoreRig, count: int) -> None:
    object_store.objects.write(object_store.uri("part"), b"x")

    with pytest.raises(PipelineError, match=str(count)):
        object_store.objects.compose(object_store.uri("film.mp4"), [object_store.uri("part")] * count)

    assert object_store.objects.stat(object_store.uri("film.mp4")) is None


def test_composing_from_another_bucket_is_refused(object_store: ObjectStoreRig) -> None:
    with pytest.raises(PipelineError, match="bucket"):
        object_store.objects.compose(object_store.uri("film.mp4"), ["gs://another-bucket/part"])


def test_composing_without_a_source_writes_nothing(object_store: ObjectStoreRig) -> None:
    object_store.objects.write(object_store.uri("a/part"), b"x")

    for missing in ("missing", "a"):
        with pytest.raises(NotFound, match=missing):
            object_store.objects.compose(
                object_store.uri("film.mp4"), [object_store.uri("a/part"), object_store.uri(missing)]
            )

    assert object_store.objects.stat(object_store.uri("film.mp4")) is None


def test_composing_keeps_to_if_generation(object_store: ObjectStoreRig) -> None:
    part, whole = object_store.uri("part"), object_store.uri("film.mp4")
    object_store.objects.write(part, b"x")
    first = object_store.objects.compose(whole, [part], if_generation=0)

    with pytest.raises(PreconditionFailed):
        object_store.objects.compose(whole, [part, part], if_generation=0)
    object_store.objects.compose(whole, [part, part], if_generation=first.generation)

    assert object_store.objects.read(whole) == b"xx"


def test_a_word_follows_each_write_and_compose_and_nothing_else(object_store: ObjectStoreRig) -> None:
    part, whole = object_store.uri("part"), object_store.uri("film.mp4")

    written = object_store.objects.write(part, b"x")
    composed = object_store.objects.compose(whole, [part, part])
    with pytest.raises(PreconditionFailed):
        object_store.objects.write(part, b"y", if_generation=0)
    object_store.objects.read(part)
    object_store.objects.delete(part)

    assert object_store.finalized == [written, composed]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_is_refused_by_every_method(object_store: ObjectStoreRig, hostile: str) -> None:
    uri, good = hostile.format(bucket=object_store.bucket), object_store.uri("good")
    object_store.objects.write(good, b"x")

    with pytest.raises(BadMessage):
        object_store.objects.stat(uri)
    with pytest.raises(BadMessage):
        object_store.objects.read(uri)
    with pytest.raises(BadMessage):
        object_store.objects.write(uri, b"x")
    with pytest.raises(BadMessage):
        object_store.objects.delete(uri)
    with pytest.raises(BadMessage):
        object_store.objects.compose(uri, [good])
    with pytest.raises(BadMessage):
        object_store.objects.compose(good, [uri])
    assert [info.uri for info in object_store.objects.list(object_store.uri(""))] == [good]


@pytest.mark.parametrize(
    "prefix", ["gs://../", "gs://{bucket}/../", "gs://{bucket}/a/../../", "gs://{bucket}//", "gs://.parts/", "/etc/"]
)
def test_a_hostile_prefix_is_refused(object_store: ObjectStoreRig, prefix: str) -> None:
    with pytest.raises(BadMessage):
        object_store.objects.list(prefix.format(bucket=object_store.bucket))


def test_a_name_longer_than_the_store_can_hold_is_an_error_of_ours_and_not_there(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("x" * 2000)

    assert object_store.objects.stat(uri) is None
    with pytest.raises(NotFound):
        object_store.objects.read(uri)
    with pytest.raises(PipelineError):
        object_store.objects.write(uri, b"x")


def test_without_room_nothing_is_written_and_the_error_says_so(object_store: ObjectStoreRig) -> None:
    uri = object_store.uri("film.mp4")
    object_store.objects.write(uri, b"old")

    refused = object_store.write_without_room(uri, 1_000_000)

    assert isinstance(refused, LimitExceeded)
    assert "film.mp4" in str(refused)
    assert object_store.objects.read(uri) == b"old"
    assert [info.uri for info in object_store.objects.list(object_store.uri(""))] == [uri]


# What follows is the disk's own: users' files become objects in place.


@pytest.fixture
def disk(tmp_path: Path) -> DiskObjectStore:
    return DiskObjectStore(tmp_path / "objects")


CLIP = "gs://longreel/given/clip.mp4"


def test_a_users_file_becomes_an_object_without_being_copied(disk: DiskObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "holiday.mp4"
    source.write_bytes(b"film")

    info = disk.take_in(source, CLIP)

    assert disk.read(CLIP, generation=info.generation) == b"film"
    assert disk.path(CLIP).samefile(source)
    assert disk.take_in(source, CLIP) == info, "taking it in again is the same version"
    assert list(disk.parts.glob("*.mp4")) == []


def test_a_file_that_cannot_be_linked_is_copied(
    disk: DiskObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_file_system(_source: object, _target: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", another_file_system)
    source = tmp_path / "holiday.mp4"
    source.write_bytes(b"film")

    disk.take_in(source, CLIP)

    assert disk.read(CLIP) == b"film"
    assert not disk.path(CLIP).samefile(source)


def test_an_edited_file_is_another_generation(disk: DiskObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "holiday.mp4"
    source.write_bytes(b"film")
    os.utime(source, ns=(1, 10**18))
    seen = disk.take_in(source, CLIP)

    source.write_bytes(b"cut!")

    assert disk.stat(CLIP) != seen
    with pytest.raises(NotFound, match="changed"):
        disk.read(CLIP, generation=seen.generation)


def test_taking_in_an_older_file_still_makes_a_higher_generation(disk: DiskObjectStore, tmp_path: Path) -> None:
    newer, older = tmp_path / "newer.mp4", tmp_path / "older.mp4"
    newer.write_bytes(b"newer")
    older.write_bytes(b"older")
    os.utime(older, ns=(1, 10**18))

    first, second = disk.take_in(newer, CLIP), disk.take_in(older, CLIP)

    assert second.generation > first.generation
    assert disk.read(CLIP) == b"older"
    assert older.stat().st_mtime_ns == 10**18, "a user's file is not touched"
    assert older.read_bytes() == b"older"


def test_writing_over_a_users_file_leaves_the_file_alone(disk: DiskObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "holiday.mp4"
    source.write_bytes(b"film")
    disk.take_in(source, CLIP)

    disk.write(CLIP, b"new")
    disk.delete(CLIP)

    assert source.read_bytes() == b"film"


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_what_is_no_file_cannot_be_taken_in(disk: DiskObjectStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(PipelineError):
        disk.take_in(tmp_path / name, CLIP)

    assert disk.stat(CLIP) is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_such_and_leaves_no_half_object(
    disk: DiskObjectStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(LimitExceeded, match="full"):
        disk.write(CLIP, b"x" * 1000)

    assert disk.stat(CLIP) is None
    assert [path.name for path in disk.parts.iterdir() if path.name != "turn"] == []


_KILLED = """
import sys
from pathlib import Path
from adapters.disk import DiskObjectStore
with DiskObjectStore(Path(sys.argv[1])).part(sys.argv[2]) as part:
    part.write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read()
"""


def test_a_writer_killed_half_way_leaves_no_object(disk: DiskObjectStore) -> None:
    command = [sys.executable, "-c", _KILLED, str(disk.root), CLIP]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()

    assert disk.stat(CLIP) is None
    assert disk.list("gs://longreel/") == []
    disk.write(CLIP, b"whole", if_generation=0)


def test_what_dead_writers_left_is_tidied_away_and_what_is_being_written_is_not(disk: DiskObjectStore) -> None:
    for name in ("old.mp4", "new.mp4"):
        (disk.parts / name).write_bytes(b"half")
    (disk.parts / "old-work").mkdir()
    (disk.parts / "old-work" / "clip.mp4").write_bytes(b"half")
    disk.write(CLIP, b"whole")
    for name in ("old.mp4", "old-work", "turn"):
        os.utime(disk.parts / name, (1, 1))

    disk.tidy()

    assert sorted(path.name for path in disk.parts.iterdir()) == ["new.mp4", "turn"]
    assert disk.read(CLIP) == b"whole"


@given(st.binary(max_size=300), st.integers(0, 400), st.none() | st.integers(0, 400))
def test_any_range_of_any_object_is_that_slice(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, offset: int, length: int | None
) -> None:
    disk = DiskObjectStore(tmp_path_factory.mktemp("ranges"))
    disk.write(CLIP, content)

    end = None if length is None else offset + length
    assert disk.read(CLIP, offset, length) == content[offset:end]
