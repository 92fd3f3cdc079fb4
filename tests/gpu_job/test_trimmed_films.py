"""Films that show only the beginning of some clips, however those come into the film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from events.plan import Compression, StitchPlan
from media.mp4_index import read_movie
from media.reader import FileReader
from media.trim import nearest_cut
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import Barcode, barcodes, sound

MakeClip = Callable[..., Path]


def keeping(plan: StitchPlan, *keep_ms: int | None) -> StitchPlan:
    clips = [clip.model_copy(update={"keep_ms": keep}) for clip, keep in zip(plan.clips, keep_ms, strict=True)]
    return plan.model_copy(update={"clips": clips})


def cut_of(path: Path, keep_ms: int) -> int:
    with FileReader(path) as reader:
        return nearest_cut(read_movie(reader, path.name).video, keep_ms).frame_count


def part(clip: int, count: int) -> list[Barcode]:
    return [Barcode(clip, frame) for frame in range(count)]


def test_copied_clips_are_cut_where_they_can_be_cut(bench: Bench, make_clip: MakeClip) -> None:
    first, second = make_clip(0), make_clip(1)
    plan = keeping(bench.plan(first, second), 700, 300)

    report = bench.stitch(plan)

    assert barcodes(bench.film) == part(0, cut_of(first, 700)) + part(1, cut_of(second, 300))
    assert report.encoded_clips == []
    assert bench.program_calls == 0


def test_a_clip_whose_sound_is_encoded_is_cut_as_if_it_were_copied(bench: Bench, make_clip: MakeClip) -> None:
    first, silent = make_clip(0, frames=36), make_clip(1, sound=None)
    plan = keeping(bench.plan(first, silent), None, 500)

    report = bench.stitch(plan)

    assert barcodes(bench.film) == part(0, 36) + part(1, cut_of(silent, 500))
    assert report.encoded_clips == []
    assert any("its sound was encoded" in warning for warning in report.warnings)


def test_an_encoded_clip_is_cut_to_the_frame(bench: Bench, make_clip: MakeClip) -> None:
    plan = keeping(bench.plan(make_clip(0, frames=36), make_clip(1, rate="30", frames=30)), None, 500)

    report = bench.stitch(plan)

    found = barcodes(bench.film)
    assert found[:36] == part(0, 36)
    assert [code.clip for code in found[36:]] == [1] * 12
    assert found[36] == (1, 0)
    assert found[-1].frame in (13, 14)
    assert report.encoded_clips == [1]
    assert report.frame_count == 48


@pytest.mark.parametrize("copy", [True, False])
def test_sound_and_picture_of_a_trimmed_film_are_equally_long(bench: Bench, make_clip: MakeClip, copy: bool) -> None:
    wishes = {} if copy else {"compression": Compression.SMALL}
    plan = keeping(bench.plan(make_clip(0), make_clip(2), **wishes), 500, None)

    report = bench.stitch(plan)

    rate_hz, samples = sound(bench.film)
    assert abs(samples.shape[1] / rate_hz - report.duration_ms / 1000) < 0.05
    assert report.joins[0].at_ms == pytest.approx(500, abs=84 if copy else 1)


def test_a_clip_of_unknown_length_is_cut_too(bench: Bench, make_clip: MakeClip) -> None:
    live = make_clip(1, suffix="mkv", after="-live 1")
    plan = keeping(bench.plan(make_clip(0, frames=36), live), None, 500)
    assert plan.clips[1].facts.duration_ms == 0

    report = bench.stitch(plan)

    assert barcodes(bench.film) == part(0, 36) + part(1, 12)
    assert report.encoded_clips == [1]


def test_keeping_more_than_there_is_changes_nothing(bench: Bench, make_clip: MakeClip) -> None:
    plan = keeping(bench.plan(make_clip(0), make_clip(1, rate="30", frames=30)), 5000, 5000)

    assert bench.stitch(plan).frame_count == 48
