"""What the index of an MP4 or MOV says, as values: tracks and their sample tables. No bytes are read here.

Times are integers in a track's own ticks (`timescale` per second), or `Fraction` seconds. `media/mp4_index.py`
makes a `Movie`; `media/conform.py` judges it; `media/splice.py` joins several.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, chain, islice, repeat
from operator import add, sub
from typing import NamedTuple

from media.sample_entry import SoundEntry, VideoEntry

#: The matrix of a picture that is shown as it is stored.
IDENTITY_MATRIX = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

#: Pictures that a decoder keeps at most until they are shown. Source: ITU-T H.264 A.3.1, H.265 A.4.2.
_KEPT_MAX = 16


class Edit(NamedTuple):
    """One line of an edit list: what part of the track is shown."""

    #: In ticks of the movie.
    duration: int
    #: First tick of the track that is shown; -1 for a pause in which nothing is.
    media_time: int
    #: Speed; 1 is normal.
    rate: Fraction


class Run(NamedTuple):
    """So many samples in a row with the same value."""

    length: int
    value: int


@dataclass
class Track:
    """One track: how its samples are coded, when they are shown and where they lie."""

    track_id: int
    #: Ticks a second.
    timescale: int
    #: Nine numbers; see `IDENTITY_MATRIX`.
    matrix: tuple[int, ...]
    #: Width and height at which the picture is shown, 16.16 fixed point; zeros for sound.
    display_size: tuple[int, int]
    edits: list[Edit]
    #: How the samples are coded; the description that they really use.
    entry: VideoEntry | SoundEntry
    #: How many descriptions the samples use in turn.
    entry_count: int
    #: Duration of each sample.
    durations: list[Run]
    #: From decoding to showing, per sample; empty when all are zero.
    compositions: list[Run]
    #: 1-based numbers of the samples where decoding can start; None when it can start at each.
    sync: array[int] | None
    #: Bytes of each sample.
    sizes: array[int]
    #: Where each chunk starts in the file.
    chunk_offsets: array[int]
    #: 0-based first sample of each chunk, and one more entry: the number of samples.
    chunk_firsts: array[int] = field(repr=False)

    @property
    def sample_count(self) -> int:
        """Number of samples: frames or packets."""
        return len(self.sizes)

    @property
    def duration(self) -> int:
        """Length of the media in ticks, edits not counted."""
        return sum(run.length * run.value for run in self.durations)

    @cached_property
    def size_sums(self) -> array[int]:
        """Bytes of all samples before each sample, and one more entry: the bytes of all."""
        return array("Q", accumulate(self.sizes, initial=0))

    def chunk_ends(self) -> Iterator[int]:
        """Give the first byte of the file behind each chunk."""
        sums = array("Q", map(self.size_sums.__getitem__, self.chunk_firsts))
        return map(add, self.chunk_offsets, map(sub, islice(sums, 1, None), sums))

    def sample_offset(self, sample: int) -> int:
        """Tell where a sample (0-based) starts in the file."""
        chunk = bisect_right(self.chunk_firsts, sample) - 1
        sums = self.size_sums
        return self.chunk_offsets[chunk] + sums[sample] - sums[self.chunk_firsts[chunk]]

    @cached_property
    def first_composition(self) -> int:
        """When the first frame is shown, in ticks of the media."""
        if not self.compositions:
            return 0
        starts = accumulate(expand(self.durations), initial=0)
        first: int = min(map(add, starts, expand(self.compositions)), default=0)
        return first

    @property
    def composition_delay(self) -> int:
        """How long decoding must run ahead of showing, in ticks: what pictures out of order cost."""
        lowest: int = min((run.value for run in self.compositions), default=0)
        first: int = self.first_composition
        return first - min(0, lowest)

    @cached_property
    def interval(self) -> int | None:
        """The duration that all samples have, in ticks; None when it varies.

        The last sample is not asked, since muxers write there what is left or nothing.
        """
        if not self.durations:
            return None
        *before, last = self.durations
        values = {run.value for run in before}
        if last.length > 1 or not before:
            values.add(last.value)
        return values.pop() if len(values) == 1 and 0 not in values else None

    @cached_property
    def is_even(self) -> bool:
        """Whether every sample is shown in a turn of its own, all equally long, in whatever order they are decoded."""
        if self.interval is None or not self.compositions:
            return self.interval is not None
        count, interval, first = self.sample_count, self.interval, self.first_composition
        is_taken = bytearray(count)
        for time in map(add, range(-first, count * interval - first, interval), expand(self.compositions)):
            turn, rest = divmod(time, interval)
            if rest or turn >= count or is_taken[turn]:
                return False
            is_taken[turn] = 1
        return True

    @cached_property
    def shown_duration(self) -> int:
        """Length in ticks from the first frame that is shown to the end of the last, edits not counted."""
        if self.is_even or not self.compositions or not self.durations:
            return self.duration
        # Decoding may end before what it gave is shown, by as many frames as a decoder keeps; all else is a lie.
        starts = accumulate(expand(self.durations), initial=0)
        last = max(map(add, starts, expand(self.compositions)), default=0)
        later = last + self.durations[-1].value - self.first_composition - self.duration
        most = _KEPT_MAX * max(run.value for run in self.durations)
        return self.duration + later if 0 < later <= most else self.duration

    def pause(self, movie_timescale: int) -> Fraction:
        """Give the seconds before the track starts in which nothing of it is shown."""
        return Fraction(sum(edit.duration for edit in self.edits if edit.media_time < 0), movie_timescale)

    @property
    def media_start(self) -> int:
        """The first tick of the media that is shown."""
        return next((edit.media_time for edit in self.edits if edit.media_time >= 0), 0)


@dataclass
class Movie:
    """The whole index of one file."""

    #: How messages call it.
    name: str
    size_bytes: int
    #: `mp4` or `mov`.
    container: str
    #: Ticks a second of edit durations.
    timescale: int
    video_tracks: list[Track]
    sound_tracks: list[Track]
    #: Byte ranges (start, end) of the file that hold media.
    media_ranges: list[tuple[int, int]]
    #: Whether samples are listed in fragments (`moof`) and not in the index.
    is_fragmented: bool = False

    @property
    def video(self) -> Track:
        """The picture; `read_movie` gives no movie without one."""
        return self.video_tracks[0]

    @property
    def sound(self) -> Track | None:
        """The sound, or None."""
        return self.sound_tracks[0] if self.sound_tracks else None

    @property
    def frame_interval(self) -> Fraction | None:
        """Seconds from each frame to the next as they are decoded; None when it varies. See `Track.is_even`."""
        video = self.video
        return Fraction(video.interval, video.timescale) if video.interval else None

    @property
    def picture_duration(self) -> Fraction:
        """Seconds that the picture lasts, as the edit list shows it."""
        video = self.video
        shown = sum(edit.duration for edit in video.edits if edit.media_time >= 0)
        return Fraction(shown, self.timescale) if shown else Fraction(video.shown_duration, video.timescale)

    @property
    def picture_start(self) -> Fraction:
        """When the first frame is shown, in seconds of the movie; 0 for all but odd files."""
        video = self.video
        late = Fraction(video.first_composition - video.media_start, video.timescale)
        return video.pause(self.timescale) + late

    @property
    def sound_start(self) -> Fraction:
        """When the first packet plays, in seconds after the first frame; negative for the priming that encoders add."""
        sound = self.sound
        assert sound is not None
        begin = sound.pause(self.timescale) - Fraction(sound.media_start, sound.timescale)
        return begin - self.picture_start

    @property
    def sound_end(self) -> Fraction:
        """When the sound ends, in seconds after the first frame."""
        sound = self.sound
        assert sound is not None
        end = self.sound_start + Fraction(sound.duration, sound.timescale)
        shown = Fraction(sum(edit.duration for edit in sound.edits), self.timescale)
        return min(end, shown - self.picture_start) if shown else end


def expand(runs: list[Run]) -> chain[int]:
    """Give the value of every sample.

    >>> list(expand([Run(2, 5), Run(1, 7)]))
    [5, 5, 7]
    """
    return chain.from_iterable(repeat(value, count) for count, value in runs)


def append_run(runs: list[Run], count: int, value: int) -> None:
    """Add samples to the end of `runs`, joined to the last run where the value is the same."""
    if count and runs and runs[-1].value == value:
        runs[-1] = Run(runs[-1].length + count, value)
    elif count:
        runs.append(Run(count, value))
