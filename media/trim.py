"""Shows only the beginning of a clip, or a part of it, without encoding: an index as if the file held no more.

Frames are stored in the order in which they are decoded, and each is made only of those before it. So what is kept
is the first so many of that order, and only where just these are shown one after the other from the first one: a
*clean cut*. Between the frames that others hang on there may be none: an encoder with three B-frames in a row has one
at least every four frames, so that a cut lies at most two frames from where it was asked for; without B-frames every
frame is one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from math import ceil, floor, lcm
from operator import add
from typing import NamedTuple

from media.movie import Edit, Movie, Run, Track, append_run, expand


class Cut(NamedTuple):
    """Where the picture of a clip may end."""

    #: How many frames are kept.
    frame_count: int
    #: Seconds from the start of the first frame to the end of the last kept one.
    seconds: Fraction


def trim_end(movie: Movie, keep_ms: int) -> Movie:
    """Give the movie as if its file ended after the clean cut nearest to `keep_ms`; itself if that is its end.

    The sound ends with the packet in which the picture ends.

    Args:
        movie: not fragmented.
        keep_ms: 1 or more; of two cuts that are equally near, the earlier one is taken.
    """
    cut = nearest_cut(movie.video, keep_ms)
    if cut.frame_count == movie.video.sample_count:
        return movie
    video = _shortened(movie.video, cut.frame_count)
    video.edits = _shortened_edits(movie.video.edits, cut.seconds, movie.timescale)
    sounds = sound_until(movie, cut.seconds)
    return replace(movie, video_tracks=[video, *movie.video_tracks[1:]], sound_tracks=sounds)


def sound_until(movie: Movie, seconds: Fraction) -> list[Track]:
    """Give the sound of a movie as if its picture ended so many seconds after its first frame."""
    return [_trimmed_sound(movie, sound, seconds) for sound in movie.sound_tracks]


def nearest_cut(video: Track, keep_ms: int) -> Cut:
    """Find the clean cut of a picture that is nearest to `keep_ms`; of two equally near ones the earlier."""
    wanted = Fraction(keep_ms, 1000)
    return min(_clean_cuts(video), key=lambda cut: abs(cut.seconds - wanted))


def _clean_cuts(video: Track) -> Iterator[Cut]:
    """Give every clean cut, rising; the last one keeps all."""
    starts = accumulate(expand(video.durations), initial=0)
    if video.compositions:
        shown = array("q", map(add, starts, expand(video.compositions)))
    else:
        shown = array("q", starts)[: video.sample_count]
    ends = [*sorted(shown)[1:], (max(shown) + _last_duration(video)) if shown else 0]
    first, latest = min(shown, default=0), 0
    for count, time in enumerate(shown, start=1):
        latest = max(latest, time)
        # Just these are shown from the first one on, if the latest of them is that many frames from it.
        if count == video.sample_count or latest < ends[count - 1]:
            yield Cut(count, Fraction(ends[count - 1] - first, video.timescale))


def _last_duration(video: Track) -> int:
    # Muxers write at the last sample what is left, or nothing.
    return video.interval or video.durations[-1].value


def _trimmed_sound(movie: Movie, sound: Track, seconds: Fraction) -> Track:
    """End a sound track with the packet in which the picture ends."""
    begin = sound.pause(movie.timescale) - Fraction(sound.media_start, sound.timescale) - movie.picture_start
    ends = accumulate(expand(sound.durations))
    wanted = ceil((seconds - begin) * sound.timescale)
    count = min(sound.sample_count, bisect_left(list(ends), wanted) + 1)
    trimmed = _shortened(sound, count)
    trimmed.edits = _shortened_edits(sound.edits, seconds + movie.picture_start, movie.timescale, whole=True)
    return trimmed


def _shortened(track: Track, count: int) -> Track:
    """Give a track of the first `count` samples, 1 or more; its edit list is the caller's to mend."""
    chunks = bisect_left(track.chunk_firsts, count)
    return replace(
        track,
        durations=_first_runs(track.durations, count),
        compositions=_first_runs(track.compositions, count),
        sync=None if track.sync is None else array("I", (number for number in track.sync if number <= count)),
        sizes=track.sizes[:count],
        chunk_offsets=track.chunk_offsets[:chunks],
        chunk_firsts=track.chunk_firsts[:chunks] + array(track.chunk_firsts.typecode, [count]),
    )


def _first_runs(runs: list[Run], count: int) -> list[Run]:
    found: list[Run] = []
    for length, value in runs:
        append_run(found, min(length, count), value)
        count -= min(length, count)
    return found


def _shortened_edits(edits: list[Edit], seconds: Fraction, timescale: int, *, whole: bool = False) -> list[Edit]:
    """Let an edit list show so much; its pauses are counted in where `whole` says so."""
    left = round(seconds * timescale)
    found = []
    for edit in edits:
        is_counted = whole or edit.media_time >= 0
        length = min(edit.duration, left) if is_counted else edit.duration
        left -= length if is_counted else 0
        found.append(edit._replace(duration=length))
    return found


def trim(movie: Movie, first_frame: int, frame_count: int) -> Movie:
    """Give the movie as if its file held only some frames in a row, and the sound that goes with them.

    The sound keeps a few packets more on each side, as far as there are any: whoever joins it to what goes on there
    can hear how.

    Args:
        movie: not fragmented, of a constant frame rate.
        first_frame: 0-based, in the order in which frames are shown; a sync sample before and behind which the order
            of decoding is that of showing. `media/clean_cuts.py` knows them.
        frame_count: 1 or more, up to a clean cut.
    """
    video, interval = movie.video, movie.frame_interval
    assert interval is not None
    if first_frame == 0 and frame_count == video.sample_count:
        return movie
    picture = _part(video, first_frame, first_frame + frame_count)
    picture.durations = [Run(frame_count, video.interval or 0)]
    start, end = first_frame * interval, (first_frame + frame_count) * interval
    timescale = lcm(picture.timescale, *(sound.timescale for sound in movie.sound_tracks))
    picture.edits = [Edit(int((end - start) * timescale), picture.first_composition, Fraction(1))]
    sounds = [_part_of_sound(movie, sound, start, end, timescale) for sound in movie.sound_tracks]
    return replace(movie, timescale=timescale, video_tracks=[picture, *movie.video_tracks[1:]], sound_tracks=sounds)


def lead_in(movie: Movie, ticks: int) -> Movie:
    """Give a movie with sound whose sound begins so many ticks of its track earlier, and ends with its picture."""
    sound = movie.sound
    assert sound is not None
    length = round(movie.picture_duration * movie.timescale)
    heard = replace(sound, edits=[Edit(length, sound.media_start + ticks, Fraction(1))])
    return replace(movie, sound_tracks=[heard, *movie.sound_tracks[1:]])


#: Packets of sound that are kept on each side of a part, besides those that are heard with its picture.
_MARGIN_PACKETS = 3


def _part_of_sound(movie: Movie, sound: Track, start: Fraction, end: Fraction, timescale: int) -> Track:
    begin = sound.pause(movie.timescale) - Fraction(sound.media_start, sound.timescale) - movie.picture_start
    packet = Fraction(sound.interval or sound.durations[0].value, sound.timescale)
    first = max(0, min(floor((start - begin) / packet) - _MARGIN_PACKETS, sound.sample_count - 1))
    stop = max(first + 1, min(ceil((end - begin) / packet) + _MARGIN_PACKETS, sound.sample_count))
    part = _part(sound, first, stop)
    late = begin + first * packet - start
    pause = [Edit(round(late * timescale), -1, Fraction(1))] if late > 0 else []
    media_time = max(0, round(-late * sound.timescale))
    length = Fraction(part.duration - media_time, sound.timescale)
    part.edits = [*pause, Edit(round(length * timescale), media_time, Fraction(1))]
    return part


def _part(track: Track, first: int, stop: int) -> Track:
    """Give a track of the samples from `first` to before `stop`; its edit list is the caller's to mend."""
    begin, end = bisect_right(track.chunk_firsts, first) - 1, bisect_left(track.chunk_firsts, stop)
    inner = track.chunk_firsts[begin + 1 : end]
    sync = None if track.sync is None else array("I", (n - first for n in track.sync if first < n <= stop))
    return replace(
        track,
        durations=_runs_between(track.durations, first, stop),
        compositions=_runs_between(track.compositions, first, stop),
        sync=sync,
        sizes=track.sizes[first:stop],
        chunk_offsets=array(
            track.chunk_offsets.typecode, [track.sample_offset(first), *track.chunk_offsets[begin + 1 : end]]
        ),
        chunk_firsts=array(track.chunk_firsts.typecode, [0, *(number - first for number in inner), stop - first]),
    )


def _runs_between(runs: list[Run], first: int, stop: int) -> list[Run]:
    found: list[Run] = []
    at = 0
    for length, value in runs:
        append_run(found, max(0, min(at + length, stop) - max(at, first)), value)
        at += length
    return found
