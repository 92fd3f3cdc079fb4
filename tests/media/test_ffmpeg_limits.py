"""Everything that Longreel tells an FFmpeg program is within the same limits, whatever file it is about."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from events.clip import ClipFacts
from events.plan import Fit, Transition
from media.colour import Colour
from media.encoder import DEMUXERS, ClipEncode, chunk_args, count_args, sound_args
from media.encoder_trial import trial_args, trial_reading_args
from media.ffmpeg_limits import INPUT_LIMITS, PICTURE_PX_MAX, PIECE_BYTES_MAX, PROGRAM_LIMITS, STREAMS_MAX
from media.loudness import Bed, Gain
from media.sound_args import FilmInput, finish_args, measure_args, mix_graph
from media.transition import fade_of
from media.treatment import Picture, Quality, SoundFormat, Target
from media.video_encoders import VIDEO_ENCODERS
from media.window_args import WindowClip, WindowEncode, WindowSound, decode_args, window_args

PICTURE = Picture(160, 96, Fraction(24), "high", 2, 0, Colour())
TARGET = Target(PICTURE, SoundFormat(48_000, 2), Quality(20, "veryfast"), Fit.PAD, (), None)
WINDOW = WindowEncode(
    WindowClip(Path("/out.mp4"), 0, 24),
    WindowClip(Path("/into.mp4"), 0, 24),
    fade_of(Transition.CROSSFADE, 12),
    36,
    WindowSound(72 * 1024, 0, 100, 0, 100),
)
FILM = FilmInput(Path("/film.mp4"), True, 48_000, 2, Fraction(10), Path("/bed.mp3"))
OUTPUT = Path("/made.mp4")


def of_clip(container: str) -> ClipEncode:
    facts = ClipFacts(
        container=container, size_bytes=1, duration_ms=9000, width_px=160, height_px=96, video_codec="h264",
        audio_codec="aac", channel_count=2,
    )  # fmt: skip
    return ClipEncode(facts, Path("/clip"), 48, None)


ORDERS = {
    **{f"chunk of {kind}": chunk_args(of_clip(kind), TARGET, range(48, 96), OUTPUT, seek=True) for kind in DEMUXERS},
    **{f"sound of {kind}": sound_args(of_clip(kind), TARGET, OUTPUT) for kind in DEMUXERS},
    **{f"count of {kind}": count_args(of_clip(kind), Fraction(24)) for kind in DEMUXERS},
    "window": window_args(WINDOW, TARGET, OUTPUT),
    "excerpt": decode_args(Path("/out.mp4"), has_sound=True),
    "measure": measure_args(FILM, mix_graph(FILM, Bed(-18, 0.1))),
    "finish": finish_args(FILM, mix_graph(FILM, Bed(-18, 0.1)), Gain(3, limits_peaks=True), OUTPUT),
}


def values(args: list[str], option: str) -> list[str]:
    return [args[at + 1] for at, word in enumerate(args) if word == option]


@pytest.mark.parametrize("name", ORDERS)
def test_every_order_begins_with_the_limits_and_each_file_has_them(name: str) -> None:
    args = ORDERS[name]

    assert tuple(args[: len(PROGRAM_LIMITS)]) == PROGRAM_LIMITS
    start, files = len(PROGRAM_LIMITS), 0
    for at, word in enumerate(args):
        if word != "-i":
            continue
        before, source = args[start:at], args[at + 1]
        start = at + 2
        if source.startswith("file:"):
            files += 1
            assert [values(before, option) for option in INPUT_LIMITS[::2]] == [[value] for value in INPUT_LIMITS[1::2]]
            assert values(before, "-f") or values(before, "-format_whitelist"), "nobody chooses how it is read"
        else:
            assert values(before, "-f") == ["lavfi"], "what is read is a file or made of nothing"
    assert files >= 1


@pytest.mark.parametrize("encoder", VIDEO_ENCODERS)
def test_the_trial_of_an_encoder_is_within_the_limits_too(encoder: str) -> None:
    assert tuple(trial_args(encoder, TARGET)[: len(PROGRAM_LIMITS)]) == PROGRAM_LIMITS
    assert values(trial_reading_args(), "-max_alloc") == [str(PIECE_BYTES_MAX)]


def test_the_limits_say_what_the_numbers_say() -> None:
    assert values(list(PROGRAM_LIMITS), "-max_alloc") == [str(PIECE_BYTES_MAX)]
    assert values(list(INPUT_LIMITS), "-max_pixels") == [str(PICTURE_PX_MAX)]
    assert values(list(INPUT_LIMITS), "-max_streams") == [str(STREAMS_MAX)]
    assert values(list(INPUT_LIMITS), "-protocol_whitelist") == ["file"]


def test_no_other_file_of_the_program_makes_orders_for_ffmpeg() -> None:
    """Whoever adds one adds it above: a file with an input for FFmpeg in it is one of these."""
    root = Path(__file__).parents[2]
    makers = {
        str(path.relative_to(root))
        for folder in ("media", "gpu_job", "adapters", "functions", "embedded", "doors", "pipeline")
        for path in (root / folder).rglob("*.py")
        if '"-i"' in path.read_text(encoding="utf-8")
    }

    # The trial reads nothing but the frame that it has made itself.
    assert makers == {"media/encoder.py", "media/window_args.py", "media/sound_args.py", "media/encoder_trial.py"}
