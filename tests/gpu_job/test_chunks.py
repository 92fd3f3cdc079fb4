"""How the work is cut, and that no cut is seen: every frame once, in order, whatever a clip's clock does."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.plan import Fit
from gpu_job.chunks import FRAMES_MAX, PIXELS_PER_SECOND, SECONDS_MAX, Cut, Share, chunks_of, cut_of
from gpu_job.ffmpeg import FFmpeg
from media.colour import Colour
from media.shape import STANDARD_FRAME_RATES
from media.treatment import Picture, Quality, Target
from media.video_encoders import keyframe_interval
from tests.gpu_job.bench import Bench, run
from tests.gpu_job.film_reading import barcodes, decode, sound

MakeClip = Callable[..., Path]


def target(width_px: int, height_px: int, rate: Fraction, preset: str = "veryfast") -> Target:
    picture = Picture(width_px, height_px, rate, "high", 2, 0, Colour())
    return Target(picture, None, Quality(20, preset), Fit.PAD, (), None)


TARGETS = st.builds(
    target,
    st.integers(1, 4096).map(lambda half: 2 * half),
    st.integers(1, 4096).map(lambda half: 2 * half),
    st.sampled_from(STANDARD_FRAME_RATES),
    st.sampled_from(["veryfast", "medium"]),
)


@given(count=st.integers(1, 50), tasks=st.integers(0, 400))
def test_every_chunk_belongs_to_exactly_one_worker(count: int, tasks: int) -> None:
    shares = [Share(index, count).of(range(tasks)) for index in range(count)]

    assert sorted(task for share in shares for task in share) == list(range(tasks))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_every_chunk_belongs_to_exactly_one_worker_for_all_counts_from_1_to_50() -> None:
    for count in range(1, 51):
        for tasks in (0, 1, 2, count - 1, count, count + 1, 7 * count + 3):
            shares = [Share(index, count).of(range(tasks)) for index in range(count)]
            assert sorted(task for share in shares for task in share) == list(range(tasks))


CUTS = TARGETS.map(cut_of)
#: What `cut_of` gives for films of 24 frames a second.
SMALL = Cut(most=288, least=48, interval=48)


@given(frame_count=st.integers(1, 10**5), cut=CUTS, later_count=st.integers(0, 10**5), has_index=st.booleans())
def test_chunks_have_every_frame_once_and_none_is_too_long(
    frame_count: int, cut: Cut, later_count: int, has_index: bool
) -> None:
    chunks = chunks_of(frame_count, cut, later_count=later_count, has_index=has_index)

    assert (chunks[0].start, chunks[-1].stop) == (0, frame_count)
    assert all(before.stop == after.start for before, after in pairwise(chunks))
    lengths = list(map(len, chunks))
    assert min(lengths) >= 1
    assert len(chunks) <= 12 if not has_index else max(lengths) <= cut.most


@given(target=TARGETS)
def test_a_chunk_is_300_frames_or_30_seconds_of_a_slow_processor_at_most(target: Target) -> None:
    cut = cut_of(target)

    picture, interval = target.picture, keyframe_interval(target.picture.frame_rate)
    seconds = cut.most * picture.width_px * picture.height_px / PIXELS_PER_SECOND[target.quality.preset]
    assert 1 <= cut.least <= cut.most <= FRAMES_MAX
    # Of the largest pictures half a key frame interval takes longer; shorter chunks would waste too many bytes.
    assert seconds <= SECONDS_MAX or cut.most == interval // 2
    assert cut.most < interval or cut.most % interval == 0


def test_how_long_a_chunk_is_does_not_hang_on_the_machine() -> None:
    assert cut_of(target(640, 360, Fraction(24))) == cut_of(target(1920, 1080, Fraction(24))) == SMALL
    assert cut_of(target(3840, 2160, Fraction(24))) == Cut(most=96, least=48, interval=48)


def test_clips_stay_whole_but_for_the_last_ones_whose_parts_keep_all_processors_busy() -> None:
    later = range(10 * 192, -1, -192)

    counts = [len(chunks_of(192, SMALL, later_count=count)) for count in later]

    assert counts == [1] * 9 + [2, 3]


def test_a_single_long_clip_is_cut_into_chunks_that_become_shorter() -> None:
    lengths = [len(chunk) for chunk in chunks_of(1440, SMALL)]

    assert lengths == sorted(lengths, reverse=True)
    assert (lengths[0], lengths[-1]) == (288, 48)


GAP = "-vf setpts='PTS+gte(N,70)*1.5/TB' -fps_mode vfr"
VARYING = "-vf setpts='PTS+floor(N/10)*0.04/TB' -fps_mode vfr"


@pytest.mark.parametrize(
    ("rate", "video", "suffix"),
    [
        ("30", "", "mp4"),
        ("25", "-x264-params open-gop=1", "mp4"),
        ("30000/1001", "-g 100", "mov"),
        ("30", "", "mkv"),
        ("30", "-bf 0", "ts"),
        ("30", VARYING, "mp4"),
        ("30", GAP, "mp4"),
    ],
)
def test_a_clip_in_chunks_shows_the_same_frames_as_one_that_is_encoded_in_one_go(
    bench: Bench, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, rate: str, video: str, suffix: str
) -> None:
    plan = bench.plan(
        make_clip(0, frames=250), make_clip(1, rate=rate, frames=150, video=video, suffix=suffix, sound=None)
    )
    monkeypatch.setattr("gpu_job.clips.cut_of", lambda target: Cut(48, 48, 48))
    report = bench.stitch(plan)
    chunked = [code.frame for code in barcodes(bench.film)]
    pieces = [line["message"] for line in bench.lines if "chunk" in line.get("message", "")]
    bench.store.delete(plan.output_uri)
    monkeypatch.setattr("gpu_job.clips.cut_of", lambda target: Cut(10_000, 10_000, 48))

    whole = bench.stitch(plan)

    assert len(pieces) >= 3, "it was cut"
    assert chunked == [code.frame for code in barcodes(bench.film)]
    assert report.frame_count == whole.frame_count == report.encoded_frame_count + 250


def test_the_ffmpeg_of_this_system_cuts_at_the_same_frames(
    bench: Bench, make_clip: MakeClip, system_ffmpeg: FFmpeg
) -> None:
    plan = bench.plan(make_clip(0, frames=250), make_clip(1, rate="30", frames=150, video=VARYING, sound=None))
    bench.stitch(plan)
    ours = [code.frame for code in barcodes(bench.film)]
    bench.store.delete(plan.output_uri)

    bench.stitch(plan, ffmpeg=lambda: system_ffmpeg)

    assert [code.frame for code in barcodes(bench.film)] == ours


def test_sound_goes_on_over_chunks_without_a_gap_or_a_click(bench: Bench, make_clip: MakeClip) -> None:
    """It is one piece, whatever becomes of the picture: a steady tone stays steady."""
    bench.stitch(bench.plan(make_clip(0, frames=250), make_clip(1, rate="30", frames=180)))

    rate, samples = sound(bench.film)
    tone = samples[0, int(10.6 * rate) : int(16.3 * rate)]
    window = rate // 100
    loudest = [float(abs(tone[at : at + window]).max()) for at in range(0, len(tone) - window, window)]
    assert max(loudest) - min(loudest) < 0.02
    assert float(abs(tone[1:] - tone[:-1]).max()) < 0.02


def test_the_same_film_is_made_of_the_same_bytes_however_many_work_at_it(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0, frames=250), make_clip(1, rate="30", frames=150))
    films = []
    for processes in (1, 3):
        bench.stitch(plan, processes=processes)
        films.append(bench.film.read_bytes())
        bench.store.delete(plan.output_uri)

    assert films[0] == films[1]


def test_an_index_that_leads_behind_the_frames_is_not_trusted(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str
) -> None:
    """The picture begins late: what is sought lies before it, so the chunk is made again from the start."""
    late = tmp_path / "late.mkv"
    clip = make_clip(1, rate="30", frames=150)
    run(ffmpeg_program, "-itsoffset", "4", "-i", str(make_clip(1, rate="30", frames=60, sound=None)), "-i", str(clip),
        "-map", "0:v", "-map", "1:a", "-c", "copy", str(late))  # fmt: skip

    report = bench.stitch(bench.plan(make_clip(0, frames=250), late))

    assert report.frame_count == len(decode(bench.film))
    shown = [code.frame for code in barcodes(bench.film)][250:]
    assert shown == sorted(shown)
    assert shown[-1] >= 57
