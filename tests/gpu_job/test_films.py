"""Films made of clips that do not conform: every frame there, in order, once; what conforms is left alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from events.plan import Compression, Fit, Orientation
from gpu_job.ffmpeg import FFmpeg
from tests.gpu_job.bench import CHROMA, Bench, run
from tests.gpu_job.film_reading import barcodes, decode, planes, sound, video_packets

MakeClip = Callable[..., Path]

HALF_A_PACKET_US = 10_700


def test_clips_of_other_size_rate_and_sound_become_one_film_with_every_frame_once(
    bench: Bench, make_clip: MakeClip
) -> None:
    plan = bench.plan(
        make_clip(0, frames=30),
        make_clip(1, size="320x192", rate="30", frames=30, sound="44100 1"),
        make_clip(2, rate="25", frames=25, sound=None),
    )

    report = bench.stitch(plan)

    assert [code.clip for code in barcodes(bench.film)] == [0] * 30 + [1] * 24 + [2] * 24
    numbers = [code.frame for code in barcodes(bench.film)]
    assert numbers[:30] == list(range(30))
    for part, source_count in ((numbers[30:54], 30), (numbers[54:], 25)):
        assert part[0] == 0
        assert part[-1] >= source_count - 2
        assert all(a < b for a, b in pairwise(part))
    assert report.frame_count == 78
    assert report.duration_ms == 3250
    assert report.encoded_clips == [1, 2]
    assert report.encoder == "libx264"
    assert all(abs(join.skew_us) <= 21_300 for join in report.joins)
    assert any("frame rate 30/1 instead of 24/1" in warning for warning in report.warnings)


def test_the_systems_own_ffmpeg_makes_the_same_film(bench: Bench, make_clip: MakeClip, system_ffmpeg: FFmpeg) -> None:
    plan = bench.plan(
        make_clip(0),
        make_clip(1, rate="30", frames=30, sound="44100 1"),
        make_clip(2, sound=None),
        make_clip(3, size="96x96"),
    )

    report = bench.stitch(plan, ffmpeg=lambda: system_ffmpeg)

    assert report.encoded_clips == [1, 3]
    assert [code.clip for code in barcodes(bench.film, (0.25, 0, 0.75, 1))] == [0] * 24 + [1] * 24 + [2] * 24 + [3] * 24


def test_what_conforms_is_in_the_film_bit_for_bit(bench: Bench, make_clip: MakeClip) -> None:
    first, last = make_clip(0, frames=30), make_clip(2)
    plan = bench.plan(first, make_clip(1, rate="30"), last)

    report = bench.stitch(plan)

    packets = video_packets(bench.film)
    assert packets[:30] == video_packets(first)
    assert packets[-24:] == video_packets(last)
    assert report.encoded_clips == [1]


def test_a_film_of_conforming_clips_needs_no_ffmpeg_at_all(bench: Bench, make_clip: MakeClip) -> None:
    report = bench.stitch(bench.plan(make_clip(0), make_clip(1)))

    assert bench.program_calls == 0
    assert report.encoder is None
    assert report.encoded_clips == []
    assert report.warnings == []


def test_a_silent_clip_gets_silence_and_keeps_its_picture(bench: Bench, make_clip: MakeClip) -> None:
    silent = make_clip(1, sound=None)
    plan = bench.plan(make_clip(0), silent, make_clip(2))

    report = bench.stitch(plan)

    assert video_packets(bench.film)[24:48] == video_packets(silent)
    assert report.encoded_clips == []
    assert report.warnings == ["clip 11: its sound was encoded: no sound"]
    rate, samples = sound(bench.film)
    middle = samples[:, int(1.2 * rate) : int(1.8 * rate)]
    assert abs(middle).max() < 0.001
    assert abs(samples[:, int(0.2 * rate) : int(0.8 * rate)]).max() > 0.05


def test_mono_at_another_rate_is_as_loud_as_before(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0, frames=48), make_clip(1, sound="44100 1"))

    report = bench.stitch(plan)

    rate, samples = sound(bench.film)
    assert (rate, samples.shape[0]) == (48000, 2)
    assert report.encoded_clips == []
    level = abs(samples[:, int(2.3 * rate) : int(2.7 * rate)]).max(axis=1)
    assert level == pytest.approx([0.125, 0.125], rel=0.1)


def test_sound_and_picture_of_an_encoded_clip_are_equally_long(bench: Bench, make_clip: MakeClip) -> None:
    """Sound that ends early in a clip would pull everything behind it forward."""
    plan = bench.plan(
        make_clip(0),
        make_clip(1, rate="30", frames=37, sound="44100 2"),
        make_clip(2, rate="25", frames=31),
        make_clip(3),
    )

    report = bench.stitch(plan)

    rate, samples = sound(bench.film)
    assert abs(samples.shape[1] / rate - report.duration_ms / 1000) < 0.05
    assert all(abs(join.skew_us) <= 21_300 for join in report.joins)


def test_a_film_without_any_sound_has_no_sound_track(bench: Bench, make_clip: MakeClip) -> None:
    report = bench.stitch(bench.plan(make_clip(0, sound=None), make_clip(1, sound=None, rate="30")))

    assert report.sound == "none"
    with av.open(str(bench.film)) as film:
        assert not film.streams.audio


def test_a_rotated_clip_stands_upright(bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str) -> None:
    turned = tmp_path / "turned.mp4"
    run(ffmpeg_program, "-display_rotation", "-90", "-i", str(make_clip(1)), "-c", "copy", str(turned))
    upright = make_clip(0, size="96x160", frames=48)

    bench.stitch(bench.plan(upright, turned))

    luma, _, _ = planes(decode(bench.film)[48 + 9])
    assert luma.shape == (160, 96)
    # Frame 9 is 00001001: turned clockwise, its bars lie below each other, the most significant on top.
    bars = [bar[:, 20:76].mean() > 125 for bar in (luma[i * 20 + 6 : i * 20 + 14] for i in range(8))]
    assert bars == [False, False, False, False, True, False, False, True]


def test_a_clip_whose_rate_varies_becomes_constant(bench: Bench, make_clip: MakeClip) -> None:
    varying = make_clip(1, rate="30", frames=40, video="-vf setpts='PTS+floor(N/10)*0.04/TB' -fps_mode vfr", sound=None)
    plan = bench.plan(make_clip(0), varying)
    assert plan.clips[1].facts.frame_rate is None

    report = bench.stitch(plan)

    numbers = [code.frame for code in barcodes(bench.film)[24:]]
    assert all(a <= b for a, b in pairwise(numbers))
    assert (numbers[0], numbers[-1] >= 38) == (0, True)
    assert report.frame_count == 24 + round(plan.clips[1].facts.duration_ms * 24 / 1000)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "mov"])
def test_other_containers_are_taken_in(bench: Bench, make_clip: MakeClip, suffix: str) -> None:
    # An AVI tells no order of showing, so that clips with B-frames are a frame off in every program.
    plan = bench.plan(make_clip(0), make_clip(1, rate="30", frames=30, suffix=suffix, video="-bf 0"))

    report = bench.stitch(plan)

    codes = barcodes(bench.film)[24:]
    assert {code.clip for code in codes} == {1}
    assert 23 <= len(codes) <= 26
    assert report.frame_count == 24 + len(codes)
    assert (codes[0].frame, codes[-1].frame >= 28) == (0, True)


def test_a_recording_that_does_not_know_its_own_length_is_taken_in(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str
) -> None:
    """What a browser records live has no length in its headers."""
    live = tmp_path / "live.mkv"
    run(ffmpeg_program, "-i", str(make_clip(1)), "-c", "copy", "-live", "1", "-f", "matroska", str(live))
    plan = bench.plan(make_clip(0), live)

    report = bench.stitch(plan)

    assert [code.frame for code in barcodes(bench.film)[24:]] == list(range(24)), plan.clips[1].facts
    assert report.frame_count == 48


def test_a_small_film_is_encoded_whole_and_smaller(bench: Bench, make_clip: MakeClip) -> None:
    clips = [make_clip(i, video="-vf noise=alls=12:allf=t") for i in (0, 1)]

    report = bench.stitch(bench.plan(*clips, compression=Compression.SMALL))

    assert report.encoded_clips == [0, 1]
    assert [code.frame for code in barcodes(bench.film)] == [*range(24), *range(24)]
    assert bench.film.stat().st_size < sum(clip.stat().st_size for clip in clips)


def test_clips_that_cannot_be_a_measure_are_all_encoded_alike(bench: Bench, make_clip: MakeClip) -> None:
    deep = make_clip(0, video="-pix_fmt yuv420p10le -profile:v high10")

    report = bench.stitch(bench.plan(deep, make_clip(1, rate="30", frames=15)))

    assert report.encoded_clips in ([0], [0, 1])
    assert [code.clip for code in barcodes(bench.film)] in ([0] * 24 + [1] * 12, [0] * 30 + [1] * 15)


@pytest.mark.parametrize("depth", ["-bf 0", "-bf 2 -x264-params b-pyramid=none", "-bf 3 -x264-params b-pyramid=normal"])
@pytest.mark.parametrize("profile", ["main", "high"])
def test_an_encoded_clip_is_made_like_the_reference(
    bench: Bench, make_clip: MakeClip, depth: str, profile: str
) -> None:
    reference = make_clip(0, video=f"-preset veryfast {depth} -profile:v {profile}")

    report = bench.stitch(bench.plan(reference, make_clip(1, rate="30", frames=30)))

    assert report.encoded_clips == [1]
    assert [code.clip for code in barcodes(bench.film)] == [0] * 24 + [1] * 24


@pytest.mark.parametrize("colour", ["bt709", "smpte170m"])
def test_colours_are_kept_across_tags(bench: Bench, make_clip: MakeClip, colour: str) -> None:
    """An untagged small clip means BT.601 numbers: beside a BT.709 film they must be converted, else be left alone.

    FFmpeg has converted the tagged clip's already, so that both show the same colours.
    """
    tags = f"-colorspace {colour} -color_primaries {colour} -color_trc {colour} -color_range tv"
    tagged = make_clip(0, video=f"{tags} -x264-params colorprim={colour}:transfer={colour}:colormatrix={colour}")
    plan = bench.plan(tagged, make_clip(0, rate="30", frames=30))

    report = bench.stitch(plan)

    assert report.encoded_clips == [1]
    frames = decode(bench.film)
    kept = [float(plane.mean()) for plane in planes(frames[0])[1:]]
    made = [float(plane.mean()) for plane in planes(frames[24])[1:]]
    assert max(abs(a - b) for a, b in zip(kept, made, strict=True)) < 3
    shift = max(abs(a - b) for a, b in zip(CHROMA[0], made, strict=True))
    assert shift < 3 if colour == "smpte170m" else shift > 3


def test_a_clip_of_colours_that_ffmpeg_cannot_be_told_is_encoded(bench: Bench, make_clip: MakeClip) -> None:
    said = "colour_primaries=1:transfer_characteristics=1:matrix_coefficients=17"
    new = make_clip(0, frames=48, video=f"-bsf:v h264_metadata={said}")

    report = bench.stitch(bench.plan(new, make_clip(1, rate="30", frames=30)))

    assert report.encoded_clips == [0]
    assert {code.clip for code in barcodes(bench.film)} == {0, 1}


def corner_and_middle(bench: Bench, number: int) -> tuple[list[float], list[float]]:
    """Give mean (luma, cb, cr) of the left edge's middle, and of the picture's middle."""
    luma, cb, cr = planes(decode(bench.film)[number])
    height, width = luma.shape
    edge = [float(luma[height // 2 - 8 : height // 2 + 8, :6].mean())]
    edge += [float(plane[height // 4 - 4 : height // 4 + 4, :3].mean()) for plane in (cb, cr)]
    centre = [float(luma[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8].mean())]
    centre += [
        float(plane[height // 4 - 4 : height // 4 + 4, width // 4 - 4 : width // 4 + 4].mean()) for plane in (cb, cr)
    ]
    return edge, centre


@pytest.mark.parametrize("fit", list(Fit))
def test_a_clip_of_another_shape_is_fitted_as_asked(bench: Bench, make_clip: MakeClip, fit: Fit) -> None:
    plan = bench.plan(make_clip(0, frames=36), make_clip(1, size="96x96"), fit=fit)

    bench.stitch(plan)

    edge, centre = corner_and_middle(bench, 36 + 5)
    assert centre[1:] == pytest.approx([88, 168], abs=6)
    if fit is Fit.PAD:
        assert edge == pytest.approx([16, 128, 128], abs=4)
    else:
        assert edge[1:] == pytest.approx([88, 168], abs=12)
    window = {Fit.PAD: (0.2, 0, 0.8, 1), Fit.BLUR: (0.2, 0, 0.8, 1), Fit.CROP: (0, 0, 1, 1)}[fit]
    assert [code.frame for code in barcodes(bench.film, window)[36:]] == list(range(24))


def test_pixels_that_are_not_square_are_stretched(bench: Bench, make_clip: MakeClip) -> None:
    wide = make_clip(1, size="96x96", video="-vf setsar=5/3")

    bench.stitch(bench.plan(make_clip(0, frames=36), wide))

    edge, _ = corner_and_middle(bench, 36)
    assert edge[1:] == pytest.approx([88, 168], abs=6)
    assert [code.frame for code in barcodes(bench.film)[36:]] == list(range(24))


def test_a_portrait_film_of_landscape_clips(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0), make_clip(1), orientation=Orientation.PORTRAIT, fit=Fit.CROP)

    report = bench.stitch(plan)

    assert (report.width_px, report.height_px) == (96, 170)
    assert [code.clip for code in barcodes(bench.film)] == [0] * 24 + [1] * 24


def test_hostile_names_are_only_names(bench: Bench, make_clip: MakeClip, tmp_path: Path) -> None:
    names = ["-i http:x|y %03d.mp4", "concat:a;$(touch pwned) 'quoted\".mp4"]
    clips = []
    for number, name in enumerate(names):
        clips.append(tmp_path / name)
        clips[-1].write_bytes(make_clip(number, rate=str(24 + number * 6)).read_bytes())

    report = bench.stitch(bench.plan(*clips))

    assert report.encoded_clips == [1]
    assert not (tmp_path / "pwned").exists()


def test_hevc_among_h264_is_encoded_and_the_rest_is_not(bench: Bench, make_clip: MakeClip) -> None:
    hevc = make_clip(1, video="-c:v libx265 -x265-params log-level=none -tag:v hvc1")

    report = bench.stitch(bench.plan(make_clip(0), hevc, make_clip(2)))

    assert report.encoded_clips == [1]
    assert [code.frame for code in barcodes(bench.film)] == [*range(24), *range(24), *range(24)]


@pytest.mark.parametrize("transfer", ["arib-std-b67", "smpte2084"])
def test_a_high_dynamic_range_clip_is_brought_to_the_standard_range(
    bench: Bench, make_clip: MakeClip, transfer: str
) -> None:
    """Telephones record so; taken as it is it would be grey, and its tags would be wrong."""
    # Only what the filters say gets into the file's header.
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    # A grey one: colours as strong as the other clips' would be as bright as no screen is.
    deep = make_clip(4, frames=12, video=f"-vf format=yuv420p10le,{tags} -pix_fmt yuv420p10le -profile:v high10")
    plan = bench.plan(make_clip(0), deep)

    report = bench.stitch(plan)

    assert plan.clips[1].facts.conform["color"] in ("9/16/9 tv", "9/18/9 tv")
    assert report.encoded_clips == [1]
    assert [code.frame for code in barcodes(bench.film)] == [*range(24), *range(12)]


def test_a_cover_picture_is_not_taken_for_the_clip(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str
) -> None:
    cover, covered = tmp_path / "cover.png", tmp_path / "covered.mkv"
    run(ffmpeg_program, "-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1", str(cover))
    run(ffmpeg_program, "-i", str(make_clip(1)), "-attach", str(cover), "-metadata:s:t", "mimetype=image/png",
        "-c", "copy", str(covered))  # fmt: skip

    bench.stitch(bench.plan(make_clip(0), covered))

    codes = barcodes(bench.film)[24:]
    assert {code.clip for code in codes} == {1}
    assert [code.frame for code in codes[:24]] == list(range(24))


def test_sound_that_starts_late_stays_late(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str
) -> None:
    late = tmp_path / "late.mp4"
    run(ffmpeg_program, "-i", str(make_clip(1)), "-itsoffset", "0.3", "-i", str(make_clip(1)),
        "-map", "0:v", "-map", "1:a", "-c", "copy", "-t", "1", str(late))  # fmt: skip

    report = bench.stitch(bench.plan(make_clip(0), late))

    assert report.encoded_clips == []
    rate, samples = sound(bench.film)
    assert abs(samples[:, int(1.05 * rate) : int(1.25 * rate)]).max() < 0.01
    assert abs(samples[:, int(1.35 * rate) : int(1.9 * rate)]).max() > 0.05


def test_surround_sound_beside_stereo_becomes_stereo(bench: Bench, make_clip: MakeClip) -> None:
    report = bench.stitch(bench.plan(make_clip(0, frames=30), make_clip(1, sound="48000 6")))

    assert report.encoded_clips == []
    assert sound(bench.film)[1].shape[0] == 2
