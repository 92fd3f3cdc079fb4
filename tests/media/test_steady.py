"""Frame rates that only rounding made uneven are seen through; those that vary are not."""

from __future__ import annotations

from array import array
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.conform import conform, obstacles
from media.movie import Movie, Run, Track, append_run, expand
from media.probe import movie_facts
from media.steady import steadied
from media.write import ClipFile
from tests.media.clips import ClipSpec
from tests.media.conftest import ClipMaker
from tests.media.synthetic import FakeClip, fake_clips

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)]


def coarse(track: Track, rate: Fraction, timescale: int) -> Track:
    """Give a track of an exact rate as a tool writes it that counts in a coarse clock."""
    assert track.interval is not None
    decoded = [round(i * timescale / rate) for i in range(track.sample_count + 1)]
    compositions: list[Run] = []
    if track.compositions:
        offsets = [value // track.interval for value in expand(track.compositions)]
        for i, offset in enumerate(offsets):
            append_run(compositions, 1, round((i + offset) * timescale / rate) - decoded[i])
    start = round(track.media_start // track.interval * timescale / rate)
    return replace(
        track,
        timescale=timescale,
        edits=[edit._replace(media_time=start) for edit in track.edits],
        durations=[Run(1, b - a) for a, b in pairwise(decoded)],
        compositions=compositions,
    )


def shown(track: Track) -> list[Fraction]:
    starts = accumulate(expand(track.durations), initial=-track.media_start)
    offsets = expand(track.compositions) if track.compositions else [0] * track.sample_count
    return [Fraction(time, track.timescale) for time in map(add, starts, offsets)]


@given(fake_clips(has_sound=False), st.sampled_from(RATES), st.sampled_from([1000, 16000, 600, 90000]))
def test_rounded_times_are_read_as_the_rate_that_they_mean(clip: FakeClip, rate: Fraction, timescale: int) -> None:
    exact = clip.movie()[0].video
    track = coarse(exact, rate, timescale)
    if track.sample_count < 3 or track.interval is not None:
        return  # Nothing is uneven.

    found = steadied(track)

    assert found.interval is not None
    measured = Fraction(found.timescale, found.interval)
    # Two rates are told apart as soon as they differ by a tick over the length of the clip.
    assert abs(track.sample_count / measured - track.sample_count / rate) <= Fraction(2, timescale)
    if measured == rate:
        assert shown(found) == [time * 24 / rate for time in shown(exact)]


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001)])
@pytest.mark.parametrize("frame_count", [3, 20, 61, 300])
def test_neighbouring_rates_are_told_apart_or_both_fit(rate: Fraction, frame_count: int) -> None:
    """Twenty frames of 24000/1001 in milliseconds measure nearer to 24, which fits none of them."""
    track = coarse(FakeClip([5] * frame_count).movie()[0].video, rate, 1000)

    assert steadied(track).interval is not None


@given(st.lists(st.integers(300, 900), min_size=3, max_size=30))
def test_times_that_really_vary_are_left_alone(durations: list[int]) -> None:
    track = FakeClip([9] * len(durations)).movie()[0].video
    runs: list[Run] = []
    for value in durations:
        append_run(runs, 1, value)
    track = replace(track, timescale=12288, durations=runs)
    if track.interval is not None or max(durations) - min(durations[:-1]) <= 4:
        return

    assert steadied(track) is track


def test_a_real_clip_in_milliseconds_joins_one_in_a_fine_clock(clip: ClipMaker) -> None:
    coarse_clip = ClipFile(clip(ClipSpec(1, muxer=("-video_track_timescale", "1000"), frames=31))).movie
    fine_clip = ClipFile(clip(ClipSpec(1, frames=31))).movie

    assert obstacles(coarse_clip) == []
    assert conform(coarse_clip) == conform(fine_clip)
    assert movie_facts(coarse_clip).frame_rate == "24/1"
    assert movie_facts(coarse_clip).duration_ms == movie_facts(fine_clip).duration_ms == 1292


@pytest.mark.parametrize("timescale", [24, 48, 100])
def test_a_clock_of_a_few_ticks_a_frame_is_not_trusted(timescale: int) -> None:
    movie: Movie = FakeClip([9] * 20).movie()[0]
    durations = array("I", [timescale // 24, timescale // 24 + 1] * 10)
    track = replace(movie.video, timescale=timescale, durations=[Run(1, value) for value in durations])

    assert steadied(track) is track
