"""A film that is laid out but not on the disk: what it will hold can be read, and its sound be written alone.

Whoever makes the sound of a whole film anew needs to hear it, and not a second film on the disk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from events.clip import StitchReport
from media.clip_file import DiskClip, FileBytes
from media.film_tags import FilmTags
from media.movie import Movie
from media.mp4_build import Chunks, FilmTrack, build_header
from media.mp4_index import read_movie
from media.new_file import new_file
from media.sample_entry import SoundEntry
from media.splice import Sound, Splice, splice
from media.splice_file import write_and_read_back, write_splice
from media.splice_layout import EXTRA, CopyRange
from media.verify import read_back
from media.write import FilmPart, refuse_without_picture

if TYPE_CHECKING:
    from media.moved_bytes import Moving


class UnwrittenFilm:
    """A spliced film as a clip of its own.

    Args:
        parts: as `media.write.write_film` takes them, like all else.
        tags: what the film says of itself.
        starts: seconds at which the chapters' parts begin; None where every part of the film is one.

    Raises:
        BadMedia: a clip's first frame, or its sound at a join, is none.
        StitchFailed: the clips do not conform, or the index is not what it should be.
    """

    def __init__(
        self, parts: Sequence[FilmPart], *, tags: FilmTags | None = None, starts: Sequence[Fraction] | None = None
    ) -> None:
        sources = [part.source for part in parts]
        for source in sources:
            refuse_without_picture(source)
        self._clips: Sequence[DiskClip] = [part.clip for part in parts]
        self._film: Splice = splice(sources, Sound.SMART, tags=tags, starts=starts)
        lengths = (copied.length for copied in self._film.ranges)
        #: Where each range begins in the film, and where the last one ends.
        self._begins = list(accumulate(lengths, initial=len(self._film.header)))
        self._tags = tags
        #: Of the chapters' parts, in seconds.
        self.starts = [clip.start for clip in self._film.clips] if starts is None else list(starts)
        self.size_bytes = self._film.size_bytes
        self.movie: Movie = read_movie(self, "the film")
        # FFmpeg reads it when it is written.
        #: What is known of the film before its sound is made.
        self.report: StitchReport = read_back(
            self, self._film.frame_count, splice=self._film, with_ffmpeg=False
        ).to_report()

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        head = self._film.header[offset : offset + length]
        return head + b"".join(map(self._bytes_of, self._ranges(offset + len(head), length - len(head))))

    def locate(self, offset: int, length: int) -> Iterator[FileBytes]:
        """Tell in which file bytes lie, in order; the index and sound that no clip has lie in none and are left out."""
        for source, start, count in self._ranges(offset, length):
            if source != EXTRA:
                yield from self._clips[source].locate(start, count)

    def write(self, output: Path, moving: Moving | None = None) -> StitchReport:
        """Write it as it is and read it back; arguments and errors as of `media.write.write_film`."""
        made = write_and_read_back(self._film, self._clips, output, self._film.frame_count, moving=moving)
        return made.to_report()

    def write_sound(self, output: Path) -> None:
        """Write the film's sound alone, as an MP4 without a picture; the film has some.

        Raises:
            StitchFailed: a clip was changed meanwhile.
            LimitExceeded: the disk has no room.
        """
        track = self.movie.sound
        assert track is not None
        assert isinstance(track.entry, SoundEntry)
        chunks, ranges, at = Chunks(), list[CopyRange](), 0
        ends = track.chunk_ends()
        for (first, end_sample), offset, end in zip(
            pairwise(track.chunk_firsts), track.chunk_offsets, ends, strict=True
        ):
            chunks.add(at, end_sample - first)
            ranges.extend(self._ranges(offset, end - offset))
            at += end - offset
        sound = FilmTrack(
            is_sound=True,
            timescale=track.timescale,
            entry=track.entry.to_bytes(),
            durations=track.durations,
            compositions=[],
            sync=None,
            sizes=track.sizes,
            chunks=chunks,
            media_start=track.media_start,
        )
        header = build_header([sound], self.movie.timescale, sum(edit.duration for edit in track.edits), at)
        film = replace(self._film, header=header, ranges=ranges, size_bytes=len(header) + at)
        with new_file(output, film.size_bytes) as (_, target):
            write_splice(film, self._clips, target)

    def _ranges(self, offset: int, length: int) -> Iterator[CopyRange]:
        """Give where bytes of the film come from; those of the index come from nowhere."""
        offset, end = max(offset, self._begins[0]), min(offset + length, self.size_bytes)
        number = bisect_right(self._begins, offset) - 1
        while offset < end:
            source, start, _ = self._film.ranges[number]
            count = min(end, self._begins[number + 1]) - offset
            yield CopyRange(source, start + offset - self._begins[number], count)
            offset, number = offset + count, number + 1

    def _bytes_of(self, copied: CopyRange) -> bytes:
        source, offset, length = copied
        if source == EXTRA:
            return self._film.extra[offset : offset + length]
        return self._clips[source].read(offset, length)
