"""Writes films that are laid out: copies the bytes that they name, and reads back what stands in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from events.errors import StitchFailed
from media.clip_file import ClipFile, DiskClip
from media.copying import Copier, write_all
from media.new_file import disk_error, new_file, refuse_too_large
from media.reader import FileReader
from media.splice import Splice
from media.splice_layout import EXTRA
from media.verify import ReadBack, read_back

if TYPE_CHECKING:
    from media.move_plan import Located
    from media.moved_bytes import Mover, Moving

#: (bytes written, bytes of the film).
Progress = Callable[[int, int], None]


def write_and_read_back(
    film: Splice,
    clips: Sequence[DiskClip],
    output: Path,
    frame_count: int,
    *,
    progress: Progress | None = None,
    moving: Moving | None = None,
) -> ReadBack:
    """Write a film that is laid out, and read it back; arguments and errors as of `write_film`."""
    with ExitStack() as stack:
        if moving is None:
            mover, (part, target) = None, stack.enter_context(new_file(output, film.size_bytes))
        else:
            part = output
            target, mover = stack.enter_context(_moved_into(moving, film, clips))
        write_splice(film, clips, target, progress, mover)
        os.fsync(target)
        return read_back(part, frame_count, splice=film)


@contextmanager
def _moved_into(moving: Moving, film: Splice, clips: Sequence[DiskClip]) -> Iterator[tuple[int, Mover]]:
    """Give the film's file, open, and what moves bytes into it; what fails is undone, what is killed waits for that.

    Raises:
        LimitExceeded: the disk has no room, beforehand or on the way.
    """
    # Imported only here: most films are made of files that stay, and take less time than it takes to load this.
    from media.move_plan import plan_moves
    from media.moved_bytes import Mover, undo_moves

    plan = plan_moves(_located(moving, film, clips), len(film.header), moving.limit_bytes)
    try:
        undo_moves(moving.film)
        refuse_too_large(moving.film, plan.peak_bytes)
        target = os.open(moving.film, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            yield target, Mover(moving.film, target, plan)
        finally:
            os.close(target)
    except Exception as exc:
        undo_moves(moving.film)
        if isinstance(exc, OSError):
            raise disk_error(moving.film, film.size_bytes, exc) from exc
        raise


def _located(moving: Moving, film: Splice, clips: Sequence[DiskClip]) -> Iterator[Located]:
    from media.move_plan import Located

    for source, offset, length in film.ranges:
        if source == EXTRA:
            yield Located(None, offset, length)
            continue
        for file, start, count in clips[source].locate(offset, length):
            yield Located(moving.place_of(file), start, count)


def write_splice(
    film: Splice,
    clips: Sequence[DiskClip],
    target: int,
    progress: Progress | None = None,
    mover: Mover | None = None,
) -> None:
    """Write a film to an open, empty file: its header, then the bytes that it names.

    Raises:
        StitchFailed: a clip was changed or cut short meanwhile.
        OSError: the disk is full or broken.
    """
    written = 0

    def moved(count: int) -> None:
        nonlocal written
        written += count
        if progress:
            progress(written, film.size_bytes)

    write_all(target, film.header)
    moved(len(film.header))
    with _OneFile() as opened:
        copier = Copier(target)
        for source, offset, length in film.ranges:
            if source == EXTRA:
                write_all(target, film.extra[offset : offset + length])
                moved(length)
                continue
            for file, start, count in clips[source].locate(offset, length):
                if mover and mover.is_due(written):
                    # Bytes of an open file would stay on the disk.
                    opened.close()
                    mover.move(written)
                if copier.copy(opened.of(file).fileno(), start, count, moved) != count:
                    raise StitchFailed(f"join {file.path}: the file was cut short meanwhile")


class _OneFile:
    """The clip that is open: a film may have more of them than a process may have files."""

    def __init__(self) -> None:
        self._opened: tuple[ClipFile, FileReader] | None = None

    def of(self, file: ClipFile) -> FileReader:
        """Give this one, and close another."""
        if self._opened is None or self._opened[0] is not file:
            self.close()
            self._opened = file, file.open()
        return self._opened[1]

    def close(self) -> None:
        if self._opened:
            self._opened[1].close()
        self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
