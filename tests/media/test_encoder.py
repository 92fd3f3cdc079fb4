"""What holds for the arguments of every clip is checked over many; what FFmpeg makes of them, in tests/gpu_job."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.clip import ClipFacts
from events.errors import BadMedia
from events.plan import Fit
from media.encoder import (
    DEMUXERS,
    VIDEO_ENCODERS,
    ClipEncode,
    chunk_args,
    encoders_for,
    file_url,
    is_large,
    keyframe_interval,
    sound_args,
    trial_args,
)
from media.shape import STANDARD_FRAME_RATES
from media.treatment import Colour, Picture, Quality, SoundFormat, Target

COLOURS = st.builds(Colour, st.integers(0, 22), st.integers(0, 18), st.integers(0, 14), full_range=st.booleans())
PICTURES = st.builds(
    Picture,
    width_px=st.integers(1, 1920).map(lambda half: 2 * half),
    height_px=st.integers(1, 1920).map(lambda half: 2 * half),
    frame_rate=st.sampled_from(STANDARD_FRAME_RATES),
    profile=st.sampled_from(["baseline", "main", "high"]),
    reorder_depth=st.integers(0, 2),
    sps_id=st.integers(0, 31),
    colour=COLOURS,
)
TARGETS = st.builds(
    Target,
    picture=PICTURES,
    sound=st.none() | st.builds(SoundFormat, st.sampled_from([44100, 48000]), st.sampled_from([1, 2, 6])),
    quality=st.builds(Quality, st.integers(10, 30), st.sampled_from(["veryfast", "medium"])),
    fit=st.sampled_from(Fit),
    clips=st.just(()),
    reference_index=st.none(),
)
FACTS = st.builds(
    ClipFacts,
    container=st.sampled_from(sorted(DEMUXERS)),
    size_bytes=st.integers(0, 10**12),
    duration_ms=st.integers(0, 10**7),
    width_px=st.integers(1, 8192),
    height_px=st.integers(1, 8192),
    video_codec=st.just("h264"),
    audio_codec=st.none() | st.sampled_from(["aac", "mp3"]),
    channel_count=st.none() | st.integers(1, 8),
)
PATHS = st.text(st.characters(exclude_characters="\x00/", exclude_categories=["Cs"]), min_size=1).map(
    lambda name: Path("/clips") / name
)
CLIPS = st.builds(
    ClipEncode,
    facts=FACTS,
    source=PATHS,
    frame_count=st.integers(1, 10**6),
    colour=st.none() | COLOURS,
    square_pixels=st.booleans(),
)


FRAMES = st.builds(lambda start, count: range(start, start + count), st.integers(0, 10**6), st.integers(1, 300))
ENCODERS = st.sampled_from(sorted(VIDEO_ENCODERS))


def all_args(clip: ClipEncode, target: Target, frames: range, output: Path, encoder: str) -> list[list[str]]:
    """Give everything that FFmpeg is told for one clip."""
    pictures = [chunk_args(clip, target, frames, output, encoder, seek=seek) for seek in (False, True)]
    return [*pictures, *([sound_args(clip, target, output)] if target.sound else [])]


@given(clip=CLIPS, target=TARGETS, frames=FRAMES, output=PATHS, encoder=ENCODERS)
def test_a_path_is_never_anything_but_a_file(
    clip: ClipEncode, target: Target, frames: range, output: Path, encoder: str
) -> None:
    for args in all_args(clip, target, frames, output, encoder):
        assert args[-1] == f"file:{output}"
        if "-vf" in args or clip.facts.audio_codec:
            assert args[args.index("-i") + 1] == f"file:{clip.source}"
            assert args[args.index("-protocol_whitelist") + 1] == "file"
            assert args[args.index("-f") + 1] == DEMUXERS[clip.facts.container]
            assert args.index("-protocol_whitelist") < args.index("-i")


@given(clip=CLIPS, target=TARGETS, frames=FRAMES, output=PATHS, encoder=ENCODERS)
def test_nothing_but_the_picture_or_the_sound_is_mapped(
    clip: ClipEncode, target: Target, frames: range, output: Path, encoder: str
) -> None:
    *pictures, sound = [*all_args(clip, target, frames, output, encoder), []][:3]
    for args in pictures:
        assert [args[i + 1] for i, arg in enumerate(args) if arg == "-map"] == ["0:V:0"]
        assert "-nostdin" in args
        assert args[args.index("-map_metadata") + 1] == "-1"
    # The other picture is our own: what has none is no film.
    assert [sound[i + 1] for i, arg in enumerate(sound) if arg == "-map"] == (["1:v:0", "0:a:0"] if sound else [])


@given(clip=CLIPS, target=TARGETS, frames=FRAMES, seek=st.booleans())
def test_a_chunk_has_just_its_frames_and_every_step_has_one_thread(
    clip: ClipEncode, target: Target, frames: range, seek: bool
) -> None:
    """The same frames must give the same bytes on every machine, and x264's choices depend on its threads."""
    args = chunk_args(clip, target, frames, Path("/out"), seek=seek)

    assert f",trim=start_pts={frames.start}:end_pts={frames.stop}," in args[args.index("-vf") + 1]
    encoder = "2" if is_large(target.picture) else "1"
    assert [args[i + 1] for i, arg in enumerate(args) if arg in ("-threads", "-filter_threads")] == ["1", "1", encoder]
    assert ("-ss" in args) == (seek and frames.start / target.picture.frame_rate > 2)


def test_all_clips_of_a_film_get_the_same_encoder_arguments() -> None:
    """Equal arguments give equal parameter sets, without which encoded clips could not be spliced with each other."""
    target = Target(
        Picture(2, 2, Fraction(24), "high", 2, 0, Colour()), None, Quality(20, "veryfast"), Fit.PAD, (), None
    )
    for encoder, arguments in VIDEO_ENCODERS.items():
        assert arguments(target.picture, target.quality) == arguments(target.picture, target.quality), encoder


def test_a_relative_path_is_refused_because_it_could_begin_with_a_dash() -> None:
    with pytest.raises(ValueError, match="absolute"):
        file_url(Path("-i.mp4"))


def test_a_kind_of_file_that_is_no_clip_is_refused_by_name() -> None:
    facts = ClipFacts(container="hls", size_bytes=1, duration_ms=1, width_px=2, height_px=2, video_codec="h264")
    clip = ClipEncode(facts, Path("/a"), 1, Colour())
    picture = Picture(2, 2, Fraction(24), "high", 2, 0, Colour())
    target = Target(picture, None, Quality(20, "veryfast"), Fit.PAD, (), None)

    with pytest.raises(BadMedia, match="kind hls is not read"):
        chunk_args(clip, target, range(1), Path("/b"))


@given(rate=st.sampled_from(STANDARD_FRAME_RATES))
def test_key_frames_are_two_seconds_apart(rate: Fraction) -> None:
    assert abs(keyframe_interval(rate) / rate - 2) < Fraction(1, 20)


@given(target=TARGETS)
def test_an_encoder_that_cannot_number_its_parameter_sets_is_only_asked_for_whole_films(target: Target) -> None:
    assert encoders_for(target)[-1] == "libx264"
    assert ("h264_nvenc" in encoders_for(target)) == (target.picture.sps_id == 0)


@pytest.mark.parametrize("encoder", sorted(VIDEO_ENCODERS))
@given(target=TARGETS)
def test_a_trial_encodes_one_frame_of_the_film_to_nowhere(encoder: str, target: Target) -> None:
    args = trial_args(encoder, target)

    assert args[args.index("-c:v") + 1] == encoder
    assert args[args.index("-frames:v") + 1] == "1"
    assert args[-3:] == ["-f", "null", "-"]
