"""Films with fades made by the whole stitch program: kept clips, odd ones, resumed ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from events.plan import Compression, Transition
from gpu_job.tasks import ClipFailed
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import barcodes, sound, video_packets

MakeClip = Callable[..., Path]


def run_of(clip: int, first: int, end: int) -> list[tuple[int, int]]:
    return [(clip, frame) for frame in range(first, end)]


def test_clips_that_conform_are_copied_up_to_their_fades(bench: Bench, make_clip: MakeClip) -> None:
    clips = [make_clip(number, frames=48) for number in range(3)]
    plan = bench.plan(*clips, transition=Transition.CROSSFADE, transition_ms=250, title="Three")

    report = bench.stitch(plan)

    assert report is not None
    assert report.frame_count == 132
    assert report.encoded_clips == []
    assert report.encoder == "libx264"
    assert report.encoded_frame_count is not None
    assert 24 <= report.encoded_frame_count <= 2 * 20
    assert [join.at_ms for join in report.joins] == [1875, 3625]
    shown = barcodes(bench.film)
    assert shown[:42] == run_of(0, 0, 42)
    assert shown[48:84] == run_of(1, 6, 42)
    assert shown[90:] == run_of(2, 6, 48)
    assert video_packets(bench.film)[:40] == video_packets(clips[0])[:40]
    assert bench.stitch(plan) == report


def test_an_odd_clip_is_made_to_fit_and_fades_like_the_others(bench: Bench, make_clip: MakeClip) -> None:
    clips = [
        make_clip(0, frames=48),
        make_clip(1, frames=60, rate="30", size="200x96"),
        make_clip(2, frames=48, sound=None),
        make_clip(3, frames=48),
    ]

    report = bench.stitch(bench.plan(*clips, transition=Transition.FADE_BLACK, transition_ms=250))

    assert report is not None
    assert report.frame_count == 192
    assert report.encoded_clips == [1]
    shown = barcodes(bench.film)
    assert shown[:45] == run_of(0, 0, 45)
    assert {code.clip for code in shown[51:93]} == {1}
    assert shown[99:141] == run_of(2, 3, 45)
    assert shown[147:] == run_of(3, 3, 48)
    rate_hz, samples = sound(bench.film)
    assert abs(samples.shape[1] / rate_hz - 8) < 0.05


def test_a_film_that_is_encoded_whole_has_its_fades_too(bench: Bench, make_clip: MakeClip) -> None:
    clips = [make_clip(0, frames=48), make_clip(1, frames=48)]
    wishes = {"transition": Transition.CROSSFADE, "compression": Compression.SMALL}

    report = bench.stitch(bench.plan(*clips, **wishes))

    assert report is not None
    assert report.encoded_clips == [0, 1]
    assert report.frame_count == 84
    assert barcodes(bench.film)[:36] == run_of(0, 0, 36)


def test_the_chapters_begin_in_the_middle_of_the_fades(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(*(make_clip(number, frames=48) for number in range(3)), transition=Transition.CROSSFADE)

    bench.stitch(plan)

    with av.open(str(bench.film)) as film:
        starts = [float(chapter["start"] * chapter["time_base"]) for chapter in film.chapters()]
    assert starts == pytest.approx([0, 1.75, 3.25], abs=0.001)


def test_a_film_of_one_clip_has_no_fade(bench: Bench, make_clip: MakeClip) -> None:
    report = bench.stitch(bench.plan(make_clip(0), transition=Transition.CROSSFADE, transition_ms=2000))

    assert report is not None
    assert report.frame_count == 24
    assert bench.program_calls == 0


def test_a_clip_too_short_for_its_fade_is_named(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0, frames=48), make_clip(1, frames=24), transition="crossfade", transition_ms=1000)

    with pytest.raises(ClipFailed, match="longer than half") as refused:
        bench.stitch(plan)

    assert refused.value.segment_index == 10
