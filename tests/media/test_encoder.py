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
from media.colour import Colour
from media.encoder import DEMUXERS, ClipEncode, chunk_args, file_url, sound_args
from media.encoder_trial import trial_args, trial_fault
from media.shape import STANDARD_FRAME_RATES
from media.treatment import Picture, Quality, SoundFormat, Target
from media.video_encoders import VIDEO_ENCODERS, encoders_for, is_large, keyframe_interval, wishes_for

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
def test_a_trial_encodes_one_frame_of_the_film_as_the_film_and_stores_nothing(encoder: str, target: Target) -> None:
    args = trial_args(encoder, target)

    assert args[args.index("-frames:v") + 1] == "1"
    assert f":size={target.picture.width_px}x{target.picture.height_px}:" in args[args.index("-i") + 1]
    wanted = VIDEO_ENCODERS[encoder](target.picture, target.quality)
    assert args[args.index("-c:v") : args.index("-c:v") + len(wanted)] == wanted
    assert args[-3:] == ["-f", "h264", "pipe:1"]


SMALL = Target(Picture(4, 2, Fraction(24), "high", 2, 0, Colour()), None, Quality(20, "veryfast"), Fit.PAD, (), None)
GREY = bytes([126] * 8 + [128] * 4)


@pytest.mark.parametrize("off", [-10, 0, 10])
def test_a_frame_that_comes_back_nearly_as_it_went_in_is_right(off: int) -> None:
    assert trial_fault(bytes(value + off for value in GREY), SMALL) is None


@pytest.mark.parametrize(
    ("planes", "word"),
    [
        (b"", "no frame"),
        (GREY[:-1], "not one frame of the film's size"),
        (GREY * 2, "not one frame of the film's size"),
        (bytes(12), "another picture"),
        (bytes([16] * 8 + [128] * 4), "another picture"),
        (bytes([126] * 7 + [255] + [128] * 4), "another picture"),
        (bytes([126] * 8 + [128] * 3 + [0]), "another picture"),
    ],
    ids=["empty", "cut off", "twice", "green", "black", "a bright spot", "a spot of colour"],
)
def test_a_frame_that_comes_back_otherwise_is_told(planes: bytes, word: str) -> None:
    fault = trial_fault(planes, SMALL)
    assert fault is not None
    assert word in fault


@given(target=TARGETS)
def test_everything_asked_of_one_encoder_is_asked_of_the_other(target: Target) -> None:
    wishes = wishes_for(target.picture, target.quality)

    for wish in wishes:
        assert wish.x264, wish.meaning
        assert wish.nvenc, wish.meaning
    for column in ("x264", "nvenc"):
        words = [word for wish in wishes for word in getattr(wish, column)]
        assert len(words) == len(set(words)), "a word that is said twice hides one of its values"
    # Both begin where others end: nothing says the codec but the table.
    assert all(args(target.picture, target.quality)[:2] == ["-c:v", name] for name, args in VIDEO_ENCODERS.items())


def words_of(encoder: str, target: Target) -> dict[str, str]:
    """Give what an encoder is told, x264's own words among FFmpeg's."""
    args = VIDEO_ENCODERS[encoder](target.picture, target.quality)
    words = dict(zip(args[::2], args[1::2], strict=True))
    params = words.pop("-x264-params", "")
    return words | dict(each.split("=") for each in params.split(":") if each)


@given(target=TARGETS)
def test_both_encoders_are_told_the_same_in_their_own_words(target: Target) -> None:
    x264, nvenc = words_of("libx264", target), words_of("h264_nvenc", target)

    # Quality: constant, on the same scale, and no bit rate that would bound it.
    assert (nvenc["-rc"], nvenc["-cq"], nvenc["-b:v"]) == ("vbr", x264["-crf"], "0")
    assert "-b:v" not in x264
    assert "-maxrate" not in x264 | nvenc
    assert nvenc["-profile:v"] == x264["-profile:v"] == target.picture.profile
    # Unless told a level, x264 takes the lowest that will do; so does NVENC.
    assert (nvenc["-level:v"], x264.get("level")) == ("auto", None)
    assert nvenc["-g"] == x264["keyint"] == str(keyframe_interval(target.picture.frame_rate))
    assert x264["open-gop"] == "0"
    assert (nvenc["-bf"], nvenc["-b_ref_mode"]) == {
        ("0", None): ("0", "disabled"),
        ("3", "none"): ("3", "disabled"),
        ("3", "normal"): ("3", "middle"),
    }[x264["bframes"], x264.get("b-pyramid")]
    assert int(nvenc["-bf"]) >= target.picture.reorder_depth
    # Colours come from the frames' tags, which the filters set, for both.
    assert not {"-colorspace", "-color_primaries", "-color_trc", "-color_range", "colormatrix"} & {*x264, *nvenc}


@given(target=TARGETS)
def test_chunks_of_nvenc_hang_on_nothing_that_is_seen(target: Target) -> None:
    """As far as arguments tell: what differs from chunk to chunk would be in parameter sets, and break their join."""
    nvenc = words_of("h264_nvenc", target)

    fixed = {"-strict_gop": "1", "-no-scenecut": "1", "-forced-idr": "1", "-rc-lookahead": "0", "-weighted_pred": "0"}
    assert fixed.items() <= nvenc.items()
    again = Target(target.picture, target.sound, Quality(51, "medium"), target.fit, (), None)
    assert {word for word, value in words_of("h264_nvenc", again).items() if nvenc[word] != value} <= {"-cq"}
