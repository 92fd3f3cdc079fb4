"""The picture track of a film: the sample tables of its clips, one after the other, in one clock."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from events.errors import StitchFailed
from media.colour import read_colour
from media.movie import Movie, Run, Track, append_run
from media.mp4_build import FilmTrack
from media.parameter_sets import clashes, merge, parse_avc_config
from media.sample_entry import VideoEntry

#: The largest clock that players hold in a signed number of 32 bits.
_TIMESCALE_MAX = 2**31 - 1


@dataclass(frozen=True)
class PlacedClip:
    """Where a clip stands in the film."""

    #: 0-based number of its first frame in the film.
    first_frame: int
    frame_count: int
    #: Seconds from the film's start to its first frame and behind its last.
    start: Fraction
    end: Fraction


def place_clips(movies: Sequence[Movie]) -> list[PlacedClip]:
    """Set the clips one behind the other; each lasts its frames times the frame interval, exactly."""
    placed: list[PlacedClip] = []
    frame, at = 0, Fraction(0)
    for movie in movies:
        assert movie.frame_interval is not None
        count = movie.video.sample_count
        end = at + count * movie.frame_interval
        placed.append(PlacedClip(frame, count, at, end))
        frame, at = frame + count, end
    return placed


def join_pictures(movies: Sequence[Movie]) -> FilmTrack:
    """Make the picture track, without its chunks.

    Args:
        movies: in the film's order; conforming.

    Raises:
        StitchFailed: no clock fits all clips, or their parameter sets cannot share a film.
    """
    timescale = _common_timescale([movie.video for movie in movies])
    delay = max(Fraction(movie.video.composition_delay, movie.video.timescale) for movie in movies)
    durations: list[Run] = []
    compositions: list[Run] = []
    sizes = array("I")
    sync = array("I")
    for movie in movies:
        video = movie.video
        assert video.interval is not None
        scale = Fraction(timescale, video.timescale)
        # A clip that needs less delay than another waits, so that its first frame is shown when its turn comes.
        shift = delay * timescale - video.first_composition * scale
        append_run(durations, video.sample_count, int(video.interval * scale))
        runs = video.compositions or [Run(video.sample_count, 0)]
        # There are many runs, but few different times.
        moved = {value: int(value * scale + shift) for value in {run.value for run in runs}}
        for length, value in runs:
            append_run(compositions, length, moved[value])
        first = len(sizes)
        numbers = range(1, video.sample_count + 1) if video.sync is None else video.sync
        sync.extend(number + first for number in numbers)
        sizes.extend(video.sizes)
    first_track = movies[0].video
    return FilmTrack(
        is_sound=False,
        timescale=timescale,
        entry=shared_entry([movie.video for movie in movies]).to_bytes(),
        durations=durations,
        compositions=compositions,
        sync=sync if len(sync) < len(sizes) else None,
        sizes=sizes,
        chunks=[],
        media_start=int(delay * timescale),
        matrix=first_track.matrix,
        display_size=first_track.display_size,
    )


def _common_timescale(tracks: Sequence[Track]) -> int:
    """Choose a clock in which every time of every clip is a whole number."""
    needed = lcm(*{_smallest_timescale(track) for track in tracks})
    if needed > _TIMESCALE_MAX:
        raise StitchFailed(
            f"join the pictures: their clocks need {needed} ticks a second together; no player counts so far"
        )
    first = tracks[0].timescale
    if first % needed == 0:
        return first
    # Some players count in milliseconds inside; a coarse clock gains nothing.
    return needed * max(1, min(-(-10_000 // needed), _TIMESCALE_MAX // needed))


def _smallest_timescale(track: Track) -> int:
    values = {track.interval or 0, track.first_composition, *(run.value for run in track.compositions)}
    return track.timescale // gcd(track.timescale, *values)


def shared_entry(tracks: Sequence[Track]) -> VideoEntry:
    """Give the one sample entry for all: the first clip's, with the H.264 parameter sets of all.

    Raises:
        StitchFailed: two clips use one id for different parameter sets.
    """
    entries = [track.entry for track in tracks]
    first = _with_shared_colour([entry for entry in entries if isinstance(entry, VideoEntry)])
    bodies = dict.fromkeys(e.children.get(b"avcC", b"") for e in entries if isinstance(e, VideoEntry))
    if len(bodies) == 1:
        return first
    configs = [parse_avc_config(body) for body in bodies]
    merged = configs[0]
    for config in configs[1:]:
        if reasons := clashes(merged, config):
            raise StitchFailed(f"join the pictures: {'; '.join(reasons)}")
        merged = merge([merged, config])
    return first.with_child(b"avcC", merged.to_bytes())


def _with_shared_colour(entries: Sequence[VideoEntry]) -> VideoEntry:
    """Give the first entry with a `colr` box that is true of all: the box of one clip counts for the streams of all."""
    first = entries[0]
    colour = read_colour(first.color)
    if colour is None or len({entry.children.get(b"colr") for entry in entries}) == 1:
        return first
    return first.with_child(b"colr", colour.to_box())
