"""Splices files on disk: either the finished, checked film is under its name, or nothing is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from events.clip import StitchReport
from events.errors import LimitExceeded, NotFound, StitchFailed
from media.copying import Copier, write_all
from media.film_tags import FilmTags
from media.movie import Movie
from media.mp4_index import read_movie
from media.reader import FileReader
from media.splice import Sound, Source, Splice, splice
from media.splice_layout import EXTRA
from media.verify import verify

#: What a full disk says: no space, quota used up, file too large.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: (bytes written, bytes of the film).
Progress = Callable[[int, int], None]


class ClipFile:
    """A clip on disk that is open only while it is read: a film may have more clips than a process may have files.

    Raises:
        NotFound: there is no such file.
        BadMedia: it is no clip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with FileReader(path) as reader:
            self.movie: Movie = read_movie(reader, str(path))
            self.size_bytes = reader.size_bytes
            self._identity = _identity(reader)

    def open(self) -> FileReader:
        """Open the file again.

        Raises:
            StitchFailed: it is not the file any more whose index was read.
        """
        reader = FileReader(self.path)
        if _identity(reader) != self._identity:
            reader.close()
            raise StitchFailed(f"join {self.path}: the file was changed meanwhile")
        return reader

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        with self.open() as reader:
            return reader.read(offset, length)


def _identity(reader: FileReader) -> tuple[int, ...]:
    found = os.fstat(reader.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def splice_files(
    paths: Sequence[Path],
    output: Path,
    *,
    sound: Sound = Sound.SMART,
    keep_ms: Sequence[int | None] | None = None,
    progress: Progress | None = None,
    tags: FilmTags | None = None,
) -> StitchReport:
    """Join clips without encoding into one MP4, and read it back.

    Args:
        paths: conforming MP4s, in the film's order; the same one may stand there twice.
        output: where the film goes; a file of that name is replaced when, and only when, the film is done.
        sound: how sound is joined.
        keep_ms: how much of each clip is shown, from its start, to the nearest clean cut; None for all of it.
        progress: told (bytes written, bytes of the film) now and then.
        tags: what the film says of itself.

    Raises:
        NotFound: a clip, or the folder of `output`, does not exist.
        BadMedia: a clip is no usable video.
        StitchFailed: the clips do not conform, or the film read back is not what it should be.
        LimitExceeded: the disk has no room for the film.
    """
    files = {path: ClipFile(path) for path in dict.fromkeys(paths)}
    if output.exists() and any(output.samefile(path) for path in files):
        raise StitchFailed(f"write {output}: that is one of the clips; choose another name")
    clips = [files[path] for path in paths]
    kept = keep_ms or [None] * len(clips)
    sources = [Source(clip.movie, clip, keep) for clip, keep in zip(clips, kept, strict=True)]
    film = splice(sources, sound, tags=tags)
    with new_file(output, film.size_bytes) as (part, target):
        write_splice(film, clips, target, progress)
        os.fsync(target)
        return verify(part, sum(source.shown.video.sample_count for source in sources), splice=film)


@contextmanager
def new_file(output: Path, size_bytes: int) -> Iterator[tuple[Path, int]]:
    """Give a temporary file beside `output` that takes its name when the block ends well, and is gone when not.

    Raises:
        NotFound: the folder does not exist.
        LimitExceeded: the disk has no room, beforehand or on the way.
    """
    part = output.with_name(f".{output.name}.{os.urandom(4).hex()}.part")
    try:
        refuse_too_large(output, size_bytes)
        target = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound(f"write {output}: there is no folder {output.parent}") from exc
    except OSError as exc:
        raise StitchFailed(f"write {output}: {exc.strerror}") from exc
    try:
        try:
            yield part, target
        finally:
            os.close(target)
        part.replace(output)
    except OSError as exc:
        raise _full(output, size_bytes, exc) from exc
    finally:
        part.unlink(missing_ok=True)


def refuse_too_large(output: Path, size_bytes: int) -> None:
    """Raise LimitExceeded where the disk has no room for so many bytes."""
    free = _free_bytes(output)
    if free < size_bytes:
        raise LimitExceeded(
            f"write {output}: the film needs {size_bytes} bytes, but the disk has {free} free; "
            "make room or choose another disk"
        )


def _free_bytes(output: Path) -> int:
    disk = os.statvfs(output.parent)
    return disk.f_bavail * disk.f_frsize


def _full(output: Path, size_bytes: int, exc: OSError) -> LimitExceeded | StitchFailed:
    if exc.errno in _FULL:
        return LimitExceeded(
            f"write {output}: the disk became full ({exc.strerror}); the film needs {size_bytes} bytes. "
            "Nothing was left behind; make room or choose another disk"
        )
    return StitchFailed(f"write {output}: {exc.strerror or exc}")


def write_splice(film: Splice, clips: Sequence[ClipFile], target: int, progress: Progress | None = None) -> None:
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
    copier = Copier(target)
    opened: tuple[int, FileReader] | None = None
    try:
        for source, offset, length in film.ranges:
            if source == EXTRA:
                write_all(target, film.extra[offset : offset + length])
                moved(length)
                continue
            if opened is None or opened[0] != source:
                if opened:
                    opened[1].close()
                opened = source, clips[source].open()
            if copier.copy(opened[1].fileno(), offset, length, moved) != length:
                raise StitchFailed(f"join {clips[source].path}: the file was cut short meanwhile")
    finally:
        if opened:
            opened[1].close()
