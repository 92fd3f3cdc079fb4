"""Bytes that move from files into a film, and back: whatever happens on the way, every byte is somewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import LimitExceeded
from media import moved_bytes, splice_file
from media.clip_file import ClipFile, FileBytes
from media.move_plan import Located, MovePlan, plan_moves
from media.moved_bytes import Moving, keeps_holes, undo_moves
from media.reader import FileReader
from media.splice import Splice
from media.splice_file import write_splice
from media.splice_layout import EXTRA, CopyRange

#: What changes the disk.
EFFECTS = ("write", "pwrite", "copy_file_range", "sendfile", "ftruncate", "fsync", "utime", "replace", "unlink")


def path_of(handle: int) -> str:
    return str(Path(f"/proc/self/fd/{handle}").readlink())


class Killed(BaseException):
    """The process is dead: nothing that it does has an effect any more."""


@dataclass
class Disk:
    """Lets effects through, counts them, and ends them."""

    monkeypatch: pytest.MonkeyPatch
    #: At which effect something happens, counted from 1, and what is raised there.
    at: int = 0
    fault: type[BaseException] = Killed
    count: int = 0
    #: What a power cut loses: written and not yet safe.
    unsafe: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    #: Called before every effect.
    look: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        for name in EFFECTS:
            self.monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def effect(*args: Any, **named: Any) -> Any:
            self.look()
            self.count += 1
            if self.at and self.count == self.at and name in ("write", "pwrite"):
                real(args[0], args[1][: len(args[1]) // 2], *args[2:])
            if self.at and (self.count == self.at or (self.count > self.at and self.fault is Killed)):
                raise self.fault(errno.ENOSPC, "no room, as the test wishes")
            if name == "fsync":
                self.unsafe.pop(path_of(args[0]), None)
                return None
            if name == "replace":
                self.unsafe[str(args[1])] = self.unsafe.pop(str(args[0]), [])
            if name == "pwrite":
                self.unsafe.setdefault(path_of(args[0]), []).append((args[2], len(args[1])))
            if name in ("write", "copy_file_range", "sendfile"):
                target = args[1] if name == "copy_file_range" else args[0]
                path, before = path_of(target), os.lseek(target, 0, os.SEEK_CUR)
                done = real(*args, **named)
                self.unsafe.setdefault(path, []).append((before, done))
                return done
            return real(*args, **named)

        return effect

    @contextmanager
    def dying_at(self, number: int, fault: type[BaseException] = Killed) -> Iterator[None]:
        """End the process at its effect of this number, and take from the disk what was not safe."""
        self.at, self.count, self.fault = number, 0, fault
        self.unsafe.clear()
        try:
            with suppress(Killed):
                yield
        finally:
            self.at = 0
        if self.count >= number and fault is Killed:
            for path, spans in list(self.unsafe.items()):
                self._lose(path, spans)

    def _lose(self, path: str, spans: Sequence[tuple[int, int]]) -> None:
        with suppress(FileNotFoundError), Path(path).open("r+b", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for offset, length in spans:
                file.seek(offset)
                file.write(b"\xee" * max(0, min(length, size - offset)))


class Raw(ClipFile):
    """A file that is no clip."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> FileReader:
        return FileReader(self.path)

    def locate(self, offset: int, length: int) -> Iterator[FileBytes]:
        yield FileBytes(self, offset, length)


@dataclass
class Film:
    """A film to be written of some files."""

    folder: Path
    pieces: list[bytes]
    ranges: list[CopyRange]
    limit_bytes: int
    header: bytes = b"head"
    extra: bytes = bytes(range(100))

    def __post_init__(self) -> None:
        for number, content in enumerate(self.pieces):
            self.place(number).write_bytes(content)
            os.utime(self.place(number), ns=(number, 10**18 + number))

    def place(self, number: int) -> Path:
        return self.folder / f"piece-{number}.mp4"

    @property
    def path(self) -> Path:
        return self.folder / "film.mp4"

    @property
    def moving(self) -> Moving:
        # The first file is somebody else's.
        return Moving(self.path, self.limit_bytes, lambda file: None if file.path == self.place(0) else file.path)

    @property
    def wanted(self) -> bytes:
        sources = [*self.pieces, self.extra]
        return self.header + b"".join(
            sources[source][offset : offset + length] for source, offset, length in self.ranges
        )

    def write(self) -> None:
        size = len(self.header) + sum(length for _, _, length in self.ranges)
        film = Splice(self.header, self.ranges, self.extra, [], 0, 0, "none", size, [], None)  # type: ignore[arg-type]
        clips: list[Any] = [Raw(self.place(number)) for number in range(len(self.pieces))]
        with splice_file._moved_into(self.moving, film, clips) as (target, mover):
            write_splice(film, clips, target, None, mover)

    def plan(self) -> MovePlan:
        rows = [
            Located(None if source in (EXTRA, 0) else self.place(source), offset, length)
            for source, offset, length in self.ranges
        ]
        return plan_moves(rows, len(self.header), self.limit_bytes)

    def assert_untouched(self) -> None:
        """Every file is what it was, and nothing else is there."""
        names = sorted(path.name for path in self.folder.iterdir())
        assert names == [self.place(number).name for number in range(len(self.pieces))]
        for number, content in enumerate(self.pieces):
            assert self.place(number).read_bytes() == content, number
            assert self.place(number).stat().st_mtime_ns == 10**18 + number


@st.composite
def films(draw: st.DrawFn) -> Callable[[Path], Film]:
    sizes = draw(st.lists(st.integers(1, 90), min_size=2, max_size=5))
    pieces = [bytes((7 * number + at) % 251 for at in range(size)) for number, size in enumerate(sizes)]
    ranges = []
    for source in draw(st.lists(st.integers(EXTRA, len(sizes) - 1), min_size=1, max_size=12)):
        size = 100 if source == EXTRA else sizes[source]
        offset = draw(st.integers(0, size - 1))
        ranges.append(CopyRange(source, offset, draw(st.integers(1, size - offset))))
    limit = draw(st.integers(0, 120))
    return lambda folder: Film(folder, pieces, ranges, limit)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    # So that there are many steps.
    monkeypatch.setattr(moved_bytes, "_STEP_BYTES", 32)
    return Disk(monkeypatch)


@pytest.fixture(scope="module")
def shared_disk() -> Iterator[Disk]:
    """As `disk`, for the examples of one property."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(moved_bytes, "_STEP_BYTES", 32)
        yield Disk(monkeypatch)


@given(make=films())
@settings(max_examples=60)
def test_a_plan_lets_go_of_files_only_when_all_of_them_is_in_the_film(make: Callable[[Path], Film]) -> None:
    with TemporaryDirectory() as folder:
        film = make(Path(folder))
        plan, wanted = film.plan(), film.wanted
        used = dict.fromkeys(map(film.place, range(len(film.pieces))), 0)
        for at, pieces in plan.turns.items():
            for piece in pieces:
                used[piece.path] += 1
                content = piece.path.read_bytes()
                for offset, length, film_offset in piece.extents:
                    assert film_offset + length <= at
                    assert wanted[film_offset : film_offset + length] == content[offset : offset + length]
                held = sorted((extent.offset, extent.offset + extent.length) for extent in piece.extents)
                assert all(end <= start for (_, end), (start, _) in pairwise(held))
        assert used.pop(film.place(0)) == 0
        assert set(used.values()) <= {0, 1}
        gone = sum(piece.moved_bytes for pieces in plan.turns.values() for piece in pieces)
        assert plan.peak_bytes <= len(wanted)
        assert plan.peak_bytes >= len(wanted) - gone


def die_at_every_step(disk: Disk, make: Callable[[Path], Film], undo: Callable[[Film], None]) -> None:
    """Write a film again and again, each time one step more of it; what is left of it is undone."""
    for number in range(1, 1000):
        with TemporaryDirectory() as folder:
            film = make(Path(folder))
            with disk.dying_at(number):
                film.write()
            if disk.count < number:
                assert film.path.read_bytes() == film.wanted
                return
            undo(film)
            undo_moves(film.path)
            film.assert_untouched()
    raise AssertionError("it never ended")


@given(make=films(), again=st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_killed_at_any_step_and_once_more_while_it_is_undone_every_file_is_what_it_was(
    shared_disk: Disk, make: Callable[[Path], Film], again: int
) -> None:
    """The power goes as well: what was not safe is lost."""

    def undo(film: Film) -> None:
        with shared_disk.dying_at(again):
            undo_moves(film.path)

    die_at_every_step(shared_disk, make, undo)


def test_killed_at_any_step_of_the_undoing_it_is_undone_the_next_time(disk: Disk) -> None:
    pieces = [bytes((7 * number + at) % 251 for at in range(60)) for number in range(3)]
    ranges = [CopyRange(1, 5, 50), CopyRange(2, 9, 9)]
    again, is_over = 0, False

    def undo(film: Film) -> None:
        nonlocal is_over
        with disk.dying_at(again):
            undo_moves(film.path)
        is_over &= disk.count < again

    while not is_over:
        again, is_over = again + 1, True
        die_at_every_step(disk, lambda folder: Film(folder, pieces, ranges, 0), undo)
    assert again > 10


@given(make=films())
@settings(max_examples=25, deadline=None)
def test_a_disk_that_is_full_at_any_step_leaves_every_file_what_it_was(
    shared_disk: Disk, make: Callable[[Path], Film]
) -> None:
    for number in range(1, 1000):
        with TemporaryDirectory() as folder:
            film = make(Path(folder))
            with shared_disk.dying_at(number, OSError), suppress(LimitExceeded):
                film.write()
            if shared_disk.count < number:
                break
            film.assert_untouched()


KIB = 1024


def large(folder: Path, limit_bytes: int) -> Film:
    """Give a film of five files of a quarter of a megabyte, most of which goes into it."""
    pieces = [os.urandom(256 * KIB) for _ in range(5)]
    ranges = [CopyRange(source, 8 * KIB, 240 * KIB) for source in (1, 2, 3, 4)]
    return Film(folder, pieces, ranges, limit_bytes)


def taken(folder: Path) -> int:
    """Count what the files of a folder take."""
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(folder))


def test_no_more_than_one_file_lies_on_the_disk_twice_neither_on_the_way_nor_back(tmp_path: Path, disk: Disk) -> None:
    moved_bytes._STEP_BYTES = 16 * KIB  # as the fixture, which sets it back
    film = large(tmp_path, limit_bytes=0)
    before, seen = taken(tmp_path), [0]

    def look() -> None:
        with suppress(FileNotFoundError):
            seen.append(taken(tmp_path) - before)

    disk.look = look
    # A little for what stays of each file, and for the journal.
    allowed = (240 + 60) * KIB
    assert film.plan().peak_bytes <= allowed
    film.write()
    assert 200 * KIB < max(seen) <= allowed
    assert film.path.read_bytes() == film.wanted
    film.path.unlink()
    undo_moves(film.path)

    killed = tmp_path / "killed"
    killed.mkdir()
    film = large(killed, limit_bytes=0)
    before = taken(killed)
    with disk.dying_at(40):
        film.write()
    assert film.path.exists()
    seen[:] = []
    undo_moves(film.path)
    film.assert_untouched()
    assert max(seen) <= allowed


def test_small_films_move_nothing(tmp_path: Path) -> None:
    film = large(tmp_path, limit_bytes=1000 * KIB)

    assert film.plan().turns == {}
    film.write()

    assert film.path.read_bytes() == film.wanted
    assert [film.place(number).read_bytes() for number in range(5)] == film.pieces
    assert not (tmp_path / "film.mp4.moved").exists()


def test_a_film_for_which_there_is_no_room_is_refused_before_a_byte_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = large(tmp_path, limit_bytes=0)
    monkeypatch.setattr("media.new_file._free_bytes", lambda output: film.plan().peak_bytes - 1)

    with pytest.raises(LimitExceeded, match="make room"):
        film.write()

    film.assert_untouched()
    monkeypatch.setattr("media.new_file._free_bytes", lambda output: film.plan().peak_bytes)
    film.write()


@pytest.mark.parametrize(
    "torn", [b"", b'{"name": "piece-1.mp4", "size"', b"\x00" * 40 + b"\n", b"[]\n", b'{"name": 1}\n']
)
def test_a_line_of_the_journal_that_is_not_whole_says_nothing(tmp_path: Path, torn: bytes) -> None:
    film = large(tmp_path, limit_bytes=0)
    (tmp_path / "film.mp4.moved").write_bytes(torn)
    film.path.write_bytes(b"begun")

    undo_moves(film.path)

    film.assert_untouched()


def test_a_file_that_somebody_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    film = large(tmp_path, limit_bytes=0)
    film.write()
    film.place(1).unlink()

    undo_moves(film.path)

    assert [film.place(number).read_bytes() for number in (2, 3)] == film.pieces[2:4]
    assert not film.path.exists()


def test_the_journal_names_files_of_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    film, outside = large(tmp_path / "in", limit_bytes=0), tmp_path / "outside"
    outside.write_bytes(bytes(10))
    line = b'{"name": "../outside", "size": 10, "time_ns": 1, "extents": [[0, 5, 0]]}\n'
    (tmp_path / "in" / "film.mp4.moved").write_bytes(line)
    film.path.write_bytes(b"begun")

    undo_moves(film.path)

    assert outside.read_bytes() == bytes(10)


@pytest.mark.parametrize("folder", [".", "not/there/yet"])
def test_this_disk_keeps_holes(tmp_path: Path, folder: str) -> None:
    assert keeps_holes(tmp_path / folder)
    assert list(tmp_path.iterdir()) == []
