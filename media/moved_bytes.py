"""Moves bytes of files into the film that is written of them, and gives them back where that film is not finished.

A file that is let go becomes one of the same length and time that has holes where its bytes were; what the film does
not have of it stays. Which bytes went where stands in a journal beside the film before the first of them goes, and is
as safe on the disk as they are; so whoever finds a journal can make every file what it was, whenever its writer died.

    film.mp4          the film, as far as it is written
    film.mp4.moved    the journal: a line of JSON for each file, {"name", "size", "time_ns", "extents": [[…], …]}
    …….hole           a file that is about to take another one's place

All of it lies in one folder, as names do in the journal: a paper of this machine, and of nobody else's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from events.errors import StitchFailed
from media.clip_file import ClipFile
from media.copying import Copier, write_all
from media.move_plan import Extent, MovePlan, Piece

#: Bytes that are given back at a time; so much more than before lies on the disk then.
_STEP_BYTES = 4 * 1024 * 1024
#: Files that are open at a time for it.
_FILES_MAX = 64
#: A file with a hole of so many bytes tells whether the file system keeps holes, and `st_blocks` counts in these.
_PROBE_BYTES, _BLOCK_BYTES = 1024 * 1024, 512


@dataclass(frozen=True, slots=True)
class Moving:
    """How a film is written into which bytes are moved."""

    #: Where it is written, in the folder of the files whose bytes are moved.
    film: Path
    #: As `media.move_plan.plan_moves` takes it.
    limit_bytes: int
    #: Gives the file on the disk whose bytes may be moved; None where they may not.
    place_of: Callable[[ClipFile], Path | None]


class Mover:
    """Lets files go while a film is written.

    Args:
        film: its file; nothing is in it yet.
        target: the same, open.
        plan: what is to be done.
    """

    def __init__(self, film: Path, target: int, plan: MovePlan) -> None:
        self._journal = _journal_of(film)
        self._target = target
        self._turns = dict(plan.turns)

    def is_due(self, written: int) -> bool:
        """Tell whether files are to be let go now that so much of the film is written; nobody may have them open."""
        return written in self._turns

    def move(self, written: int) -> None:
        """Let them go.

        Raises:
            StitchFailed: somebody has changed one meanwhile.
            OSError: the disk is full or broken.
        """
        pieces = self._turns.pop(written)
        os.fsync(self._target)
        self._note(pieces)
        for piece in pieces:
            _leave_holes(piece)

    def _note(self, pieces: Sequence[Piece]) -> None:
        is_new = not self._journal.exists()
        with self._journal.open("ab", buffering=0) as journal:
            write_all(journal.fileno(), b"".join(map(_line, pieces)))
            os.fsync(journal.fileno())
        if is_new:
            _keep_names(self._journal.parent)


def _line(piece: Piece) -> bytes:
    found = piece.path.stat()
    said = {"name": piece.path.name, "size": found.st_size, "time_ns": found.st_mtime_ns, "extents": piece.extents}
    return json.dumps(said).encode() + b"\n"


def undo_moves(film: Path) -> None:
    """Give back what was moved into a film that is not finished, and remove it; without one, nothing happens.

    It may be stopped at any moment and begun again: nothing leaves the film before it is safe where it was. Files
    that somebody has deleted, or made anew, are left as they are.

    Raises:
        OSError: the disk is full or broken; what was not given back yet is safe in the film.
    """
    journal = _journal_of(film)
    moved = _read(journal)
    if moved and film.exists():
        _give_back(film, moved)
        for each in moved:
            each.settle()
    film.unlink(missing_ok=True)
    for each in moved:
        _hole_of(each.path).unlink(missing_ok=True)
    journal.unlink(missing_ok=True)


def has_moves(film: Path) -> bool:
    """Tell whether bytes were moved into a film that is not finished."""
    return _journal_of(film).exists()


def keeps_holes(folder: Path) -> bool:
    """Tell whether a file in this folder, which need not be there yet, takes no room where nothing was written."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    with tempfile.TemporaryFile(dir=there) as file:
        os.pwrite(file.fileno(), b"x", _PROBE_BYTES)
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_blocks * _BLOCK_BYTES < _PROBE_BYTES // 2


def _leave_holes(piece: Piece) -> None:
    """Put a file without the bytes that the film has now into the place of the one that has them."""
    before, hole = piece.path.stat(), _hole_of(piece.path)
    with piece.path.open("rb") as old, hole.open("wb") as new:
        os.ftruncate(new.fileno(), before.st_size)
        copier = Copier(new.fileno())
        for start, end in _kept(piece, before.st_size):
            os.lseek(new.fileno(), start, os.SEEK_SET)
            if copier.copy(old.fileno(), start, end - start, lambda _: None) != end - start:
                raise StitchFailed(f"join {piece.path}: the file was cut short meanwhile")
        # Its time is its generation.
        os.utime(hole, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fsync(new.fileno())
    hole.replace(piece.path)


def _kept(piece: Piece, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Give what of a file the film does not have: first byte, byte behind the last."""
    at = 0
    for offset, length, _ in sorted(piece.extents):
        if offset > at:
            yield at, offset
        at = offset + length
    if at < size_bytes:
        yield at, size_bytes


@dataclass(frozen=True, slots=True)
class _Moved:
    """A line of the journal."""

    path: Path
    size_bytes: int
    time_ns: int
    extents: Sequence[Extent]

    def is_there(self) -> bool:
        return self.path.exists() and self.path.stat().st_size == self.size_bytes

    def settle(self) -> None:
        """Give the file its time back, which is its generation."""
        if self.is_there():
            os.utime(self.path, ns=(self.time_ns, self.time_ns))
            with self.path.open("rb") as file:
                os.fsync(file.fileno())


def _read(journal: Path) -> list[_Moved]:
    """Read a journal up to where its writer died: of a line that is not whole, no byte has been moved."""
    found: list[_Moved] = []
    with suppress(FileNotFoundError):
        for line in journal.read_bytes().splitlines(keepends=True):
            moved = _moved(journal.parent, line)
            if moved is None:
                break
            found.append(moved)
    return found


def _moved(folder: Path, line: bytes) -> _Moved | None:
    if not line.endswith(b"\n"):
        return None
    try:
        said = json.loads(line)
        extents = [Extent(*map(int, extent)) for extent in said["extents"]]
        return _Moved(folder / Path(said["name"]).name, int(said["size"]), int(said["time_ns"]), extents)
    except (ValueError, TypeError, KeyError):
        return None


def _give_back(film: Path, moved: Sequence[_Moved]) -> None:
    """Write all bytes back, from the last to the first, cutting the film behind those that are safe."""
    files = {each.path: each for each in moved if each.is_there()}
    todo = sorted(
        ((extent.film_offset, extent, path) for path in files for extent in files[path].extents), reverse=True
    )
    with film.open("r+b") as part:
        _cut(part, max((at + extent.length for at, extent, _ in todo), default=0))
        batch, batch_bytes = list[tuple[Extent, Path]](), 0
        for _, extent, path in todo:
            for step in _steps(extent, os.fstat(part.fileno()).st_size):
                batch.append((step, path))
                batch_bytes += step.length
                if batch_bytes >= _STEP_BYTES or len(batch) >= _FILES_MAX:
                    _write_back(part, batch)
                    batch, batch_bytes = [], 0
        _write_back(part, batch)


def _steps(extent: Extent, film_bytes: int) -> Iterator[Extent]:
    """Cut what the film still has of an extent into steps, the last one first."""
    offset, length, film_offset = extent
    left = min(length, film_bytes - film_offset)
    while left > 0:
        count = min(left, _STEP_BYTES)
        left -= count
        yield Extent(offset + left, count, film_offset + left)


def _write_back(part: BinaryIO, batch: Sequence[tuple[Extent, Path]]) -> None:
    with ExitStack() as stack:
        files: dict[Path, BinaryIO] = {}
        for (offset, length, film_offset), path in batch:
            if path not in files:
                files[path] = stack.enter_context(path.open("r+b", buffering=0))
            _write_all(files[path].fileno(), os.pread(part.fileno(), length, film_offset), offset)
        for file in files.values():
            os.fsync(file.fileno())
    if batch:
        _cut(part, batch[-1][0].film_offset)


def _write_all(target: int, data: bytes, offset: int) -> None:
    while data:
        count = os.pwrite(target, data, offset)
        data, offset = data[count:], offset + count


def _cut(part: BinaryIO, size_bytes: int) -> None:
    if os.fstat(part.fileno()).st_size > size_bytes:
        os.ftruncate(part.fileno(), size_bytes)


def _journal_of(film: Path) -> Path:
    return film.with_name(f"{film.name}.moved")


def _hole_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.hole")


def _keep_names(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
