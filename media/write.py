"""Splices files on disk: either the finished, checked film is under its name, or nothing is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import BadMedia, StitchFailed
from media.clip_file import ClipFile, DiskClip
from media.film_tags import FilmTags
from media.new_file import new_file
from media.splice import Sound, Source, splice
from media.splice_file import Progress, write_and_read_back, write_splice
from media.trim import lead_in
from media.verify import ReadBack, has_picture

if TYPE_CHECKING:
    from events.clip import StitchReport
    from media.moved_bytes import Moving


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
    moving: Moving | None = None,
) -> ReadBack:
    """Join parts of clips without encoding into one MP4, and read it back.

    Args:
        parts: at least one, in the film's order; their clips conform.
        output: where the film goes; a file of that name is replaced when, and only when, the film is done.
        sound: how sound is joined.
        progress: told (bytes written, bytes of the film) now and then.
        tags: what the film says of itself.
        starts: seconds at which the chapters' parts begin; None where every part of the film is one. On whole frames.
        moving: which files may lose their bytes to the film, `output` being its `film`; they have them back on failure.

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
    frame_count = sum(source.shown.video.sample_count for source in sources)
    return write_and_read_back(film, clips, output, frame_count, progress=progress, moving=moving)


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
