"""Splices files on disk: either the finished, checked film is under its name, or nothing is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import BadMedia, LimitExceeded, NotFound, StitchFailed
from media.clip_file import ClipFile, DiskClip
from media.copying import Copier, write_all
from media.film_tags import FilmTags
from media.reader import FileReader
from media.splice import Sound, Source, Splice, splice
from media.splice_layout import EXTRA
from media.trim import lead_in
from media.verify import ReadBack, has_picture, read_back

if TYPE_CHECKING:
    from events.clip import StitchReport

#: What a full disk says: no space, quota used up, file too large.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: (bytes written, bytes of the film).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FilmPart:
    """What the film shows of one clip on disk: all of it, its beginning, or some frames in a row."""

    clip: DiskClip
    #: As in `media.splice.Source`.
    keep_ms: int | None = None
    frames: tuple[int, int] | None = None
    goes_on: bool = False
    #: Ticks of sound in the file, besides what its edit list hides, that belong before its first frame.
    sound_lead: int = 0

    @cached_property
    def source(self) -> Source:
        """Give it as a splice takes it."""
        movie = lead_in(self.clip.movie, self.sound_lead) if self.sound_lead else self.clip.movie
        return Source(movie, self.clip, self.keep_ms, self.frames, self.goes_on)


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
    kept = keep_ms or [None] * len(paths)
    parts = [FilmPart(files[path], keep) for path, keep in zip(paths, kept, strict=True)]
    return write_film(parts, output, sound=sound, progress=progress, tags=tags).to_report()


def write_film(
    parts: Sequence[FilmPart],
    output: Path,
    *,
    sound: Sound = Sound.SMART,
    progress: Progress | None = None,
    tags: FilmTags | None = None,
    starts: Sequence[Fraction] | None = None,
) -> ReadBack:
    """Join parts of clips without encoding into one MP4, and read it back.

    Args:
        parts: at least one, in the film's order; their clips conform.
        output: where the film goes; a file of that name is replaced when, and only when, the film is done.
        sound: how sound is joined.
        progress: told (bytes written, bytes of the film) now and then.
        tags: what the film says of itself.
        starts: seconds at which the chapters' parts begin; None where every part of the film is one. On whole frames.

    Raises:
        BadMedia: a clip's first frame, or its sound at a join, is none.
        StitchFailed: the clips do not conform, or the film read back is not what it should be.
        LimitExceeded: the disk has no room for the film.
    """
    clips = [part.clip for part in parts]
    if output.exists() and any(file.path.exists() and output.samefile(file.path) for file in _files_of(clips)):
        raise StitchFailed(f"write {output}: that is one of the clips; choose another name")
    sources = [part.source for part in parts]
    for source in sources:
        refuse_without_picture(source)
    film = splice(sources, sound, tags=tags, starts=starts)
    with new_file(output, film.size_bytes) as (part, target):
        write_splice(film, clips, target, progress)
        os.fsync(target)
        return read_back(part, sum(source.shown.video.sample_count for source in sources), splice=film)


def refuse_without_picture(source: Source) -> None:
    """Refuse what would be found when the film is read back, while it is known whose fault it is."""
    movie = source.shown
    if source.reader and not has_picture(movie, source.reader, 0):
        raise BadMedia(f"read {movie.name}: there is no picture where its first frame should be")


def _files_of(clips: Sequence[DiskClip]) -> Iterator[ClipFile]:
    for clip in clips:
        for located in clip.locate(0, clip.size_bytes):
            yield located.file


def write_excerpt(part: FilmPart, output: Path) -> None:
    """Write a part of a clip as an MP4 of its own, sound and picture as they are, for a program that reads it.

    Raises:
        StitchFailed: the clip cannot be taken apart, or was changed meanwhile.
        LimitExceeded: the disk has no room.
    """
    film = splice([part.source], Sound.GRID)
    with new_file(output, film.size_bytes) as (_, target):
        write_splice(film, [part.clip], target)


def write_pictures(parts: Sequence[FilmPart], output: Path) -> None:
    """Write the pictures of some parts, one behind the other, as an MP4 without sound, for somebody who looks at them.

    Raises:
        StitchFailed: the clips do not conform, or one was changed meanwhile.
        LimitExceeded: the disk has no room.
    """
    silent = [replace(part.source, movie=replace(part.clip.movie, sound_tracks=[])) for part in parts]
    film = splice(silent)
    with new_file(output, film.size_bytes) as (_, target):
        write_splice(film, [part.clip for part in parts], target)


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


def write_splice(film: Splice, clips: Sequence[DiskClip], target: int, progress: Progress | None = None) -> None:
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
    opened: tuple[ClipFile, FileReader] | None = None
    try:
        for source, offset, length in film.ranges:
            if source == EXTRA:
                write_all(target, film.extra[offset : offset + length])
                moved(length)
                continue
            for file, start, count in clips[source].locate(offset, length):
                if opened is None or opened[0] is not file:
                    if opened:
                        opened[1].close()
                    opened = file, file.open()
                if copier.copy(opened[1].fileno(), start, count, moved) != count:
                    raise StitchFailed(f"join {file.path}: the file was cut short meanwhile")
    finally:
        if opened:
            opened[1].close()
