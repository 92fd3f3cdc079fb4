"""One clip whose picture and sound lie in several files, seen as a single `Movie`: nothing is copied for it.

The files are imagined one behind the other; the movie's offsets count from the start of the first. `Assembly.locate`
tells which bytes of which file some of these are. So a clip that was encoded in chunks, its sound apart, is spliced
like any other.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from events.errors import StitchFailed
from media.movie import Edit, Movie, Track
from media.splice_picture import join_pictures, shared_entry
from media.trim import sound_until, trim


class FileRange(NamedTuple):
    """Bytes of one of the files."""

    #: 0-based number of the file.
    file: int
    offset: int
    length: int


@dataclass(frozen=True)
class Assembly:
    """A clip of several files."""

    movie: Movie
    #: Where each file starts, and where the last one ends.
    starts: tuple[int, ...]

    def locate(self, offset: int, length: int) -> Iterator[FileRange]:
        """Give where some bytes of the movie lie, in order."""
        while length:
            file = bisect_right(self.starts, offset) - 1
            count = min(length, self.starts[file + 1] - offset)
            yield FileRange(file, offset - self.starts[file], count)
            offset, length = offset + count, length - count


def assemble(pictures: Sequence[Movie], sound: Movie | None = None) -> Assembly:
    """See some files as one clip.

    Args:
        pictures: whose pictures follow each other, at least one; all of one coding and each starting with a sync
            sample. Their sound counts only where `sound` is not given and there is but one.
        sound: whose sound is heard, from the first picture on; its own picture is not shown.

    Raises:
        StitchFailed: the pictures do not go together.
    """
    files = [*pictures, *([sound] if sound else [])]
    starts = tuple(accumulate((movie.size_bytes for movie in files), initial=0))
    movie = pictures[0] if len(pictures) == 1 else _joined(pictures, starts)
    if sound:
        if sound.sound is None:
            raise StitchFailed(f"put sound under {movie.name}: {sound.name} has none")
        heard = _moved(sound.sound, starts[-2], sound.timescale, movie.timescale)
        movie = replace(movie, sound_tracks=[heard])
    return Assembly(replace(movie, size_bytes=starts[-1]), starts)


def with_tail(movie: Movie, frame_count: int, tail: Movie) -> Assembly:
    """See the first frames of a clip and a piece that goes on behind them as one clip, with the clip's own sound.

    Args:
        movie: its sound is heard as long as the picture is shown.
        frame_count: how many frames of it are shown, up to a clean cut; 0 for none of it.
        tail: what is shown then; of the same coding, starting with a sync sample.

    Raises:
        StitchFailed: the pictures do not go together.
    """
    assert movie.frame_interval is not None
    starts = (0, movie.size_bytes, movie.size_bytes + tail.size_bytes)
    if frame_count:
        shown = _joined([trim(movie, 0, frame_count), tail], starts)
    else:
        moved = replace(tail.video, chunk_offsets=_chunk_offsets([tail.video], starts[1:]))
        shown = replace(tail, video_tracks=[moved], sound_tracks=[])
    heard = sound_until(movie, (frame_count + tail.video.sample_count) * movie.frame_interval)
    sounds = [_moved(sound, 0, movie.timescale, shown.timescale) for sound in heard]
    whole = replace(shown, name=movie.name, size_bytes=starts[-1], sound_tracks=sounds)
    return Assembly(whole, starts)


def _joined(pictures: Sequence[Movie], starts: Sequence[int]) -> Movie:
    first, joined = pictures[0], join_pictures(pictures)
    seconds = sum(movie.video.sample_count * (movie.frame_interval or 0) for movie in pictures)
    video = replace(
        first.video,
        timescale=joined.timescale,
        edits=[Edit(round(seconds * first.timescale), joined.media_start, Fraction(1))],
        entry=shared_entry([movie.video for movie in pictures]),
        durations=joined.durations,
        compositions=joined.compositions,
        sync=joined.sync,
        sizes=joined.sizes,
        chunk_offsets=_chunk_offsets([movie.video for movie in pictures], starts),
        chunk_firsts=_chunk_firsts([movie.video for movie in pictures]),
    )
    return replace(first, video_tracks=[video], sound_tracks=[])


def _chunk_offsets(tracks: Sequence[Track], starts: Sequence[int]) -> array[int]:
    found = array("Q")
    for track, start in zip(tracks, starts, strict=False):
        found.extend(offset + start for offset in track.chunk_offsets)
    return found


def _chunk_firsts(tracks: Sequence[Track]) -> array[int]:
    """Give the first sample of each chunk, counted from the first one of all, and at the end how many there are."""
    found, count = array(tracks[0].chunk_firsts.typecode), 0
    for track in tracks:
        found.extend(first + count for first in track.chunk_firsts[:-1])
        count += track.sample_count
    found.append(count)
    return found


def _moved(track: Track, start: int, timescale: int, new_timescale: int) -> Track:
    """Give a track whose file starts at `start`, its edits counted in ticks of another movie."""
    edits = [edit._replace(duration=round(Fraction(edit.duration * new_timescale, timescale))) for edit in track.edits]
    return replace(track, edits=edits, chunk_offsets=array("Q", (offset + start for offset in track.chunk_offsets)))
