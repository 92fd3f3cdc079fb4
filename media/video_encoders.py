"""What is asked of a video encoder, once, in the words of each: libx264's and NVENC's stand side by side in one table.

Pure. Source: `x264 --fullhelp`; `ffmpeg -h encoder=h264_nvenc` of FFmpeg 5.1 and 9.0; FFmpeg's libavcodec/nvenc.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from media.treatment import Picture, Quality, Target

#: Seconds between the key frames of an encoded clip: players seek to them; streaming services ask for two.
_KEYFRAME_INTERVAL_SECONDS = 2

#: Pictures larger than this are few at a time in memory; those of 1440p are not.
_LARGE_PX = 2560 * 1440
#: Of an encoder of large pictures: a fixed number, since what x264 makes hangs on it.
_LARGE_THREADS = 2
#: x264 looks ahead so far as `veryfast` does, also where another preset would look further.
_LARGE_PARAMS: Mapping[str, int | str] = {"rc-lookahead": 10, "sync-lookahead": 0}

#: B-frames in a row where the film has any; x264's default.
_B_FRAMES = 3

#: Words of FFmpeg where they begin with a dash; others are x264's own, which it takes as one text.
Words = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that is asked, in the words of both encoders."""

    meaning: str
    x264: Words
    nvenc: Words


def wishes_for(picture: Picture, quality: Quality) -> tuple[Wish, ...]:
    """Give the table for one film. Colours are in neither column: both encoders take them from the frames' own tags.

    All that chunks of a film must share hangs on `picture` alone, never on what is seen: each encoder writes the same
    parameter sets for every chunk, so that nothing but an index joins them.
    """
    interval = keyframe_interval(picture.frame_rate)
    threads = _LARGE_THREADS if is_large(picture) else 1
    return (
        Wish("the codec", {"-c:v": "libx264"}, {"-c:v": "h264_nvenc"}),
        Wish("how long to look for small bytes", {"-preset": quality.preset}, {"-preset": "p5", "-tune": "hq"}),
        Wish(
            "one quality throughout, of as many bits as it takes",
            {"-crf": quality.crf},
            {"-rc": "vbr", "-cq": quality.crf, "-b:v": 0},
        ),
        Wish(
            "the profile, and the lowest level that its size and rate allow",
            {"-profile:v": picture.profile},
            {"-profile:v": picture.profile, "-level:v": "auto"},
        ),
        # x264 puts a key frame on a cut as well. NVENC would only do so if it looked ahead, which no chunk needs.
        Wish(
            "key frames that a player can begin at, all of them IDR, in closed groups of at most two seconds",
            {"keyint": interval, "min-keyint": min(interval, max(1, interval // 10)), "scenecut": 40, "open-gop": 0},
            {"-g": interval, "-strict_gop": 1, "-no-scenecut": 1, "-forced-idr": 1},
        ),
        # What x264 calls stitchable: parameter sets that are the same for every quality. NVENC's hold no quality; it
        # cannot number them, though, so that it is only asked for films that are encoded whole (`encoders_for`).
        Wish(
            "parameter sets that all chunks share",
            {"stitchable": 1, "force-cfr": 1, "sps-id": picture.sps_id},
            {"-weighted_pred": 0, "-rc-lookahead": 0},
        ),
        Wish("B-frames, and whether others refer to them", *_B_FRAME_WORDS[picture.reorder_depth]),
        Wish(
            "where the work is done",
            {"-threads": threads, **(_LARGE_PARAMS if is_large(picture) else {})},
            {"-gpu": "any"},
        ),
    )


#: For each reorder depth: no B-frames; plain ones; ones that others refer to.
_B_FRAME_WORDS: Mapping[int, tuple[Words, Words]] = {
    0: ({"bframes": 0}, {"-bf": 0, "-b_ref_mode": "disabled"}),
    1: ({"bframes": _B_FRAMES, "b-pyramid": "none"}, {"-bf": _B_FRAMES, "-b_ref_mode": "disabled"}),
    2: ({"bframes": _B_FRAMES, "b-pyramid": "normal"}, {"-bf": _B_FRAMES, "-b_ref_mode": "middle"}),
}


def x264_args(picture: Picture, quality: Quality) -> list[str]:
    """Give libx264's arguments; the same picture and quality always give the same parameter sets."""
    words = [item for wish in wishes_for(picture, quality) for item in wish.x264.items()]
    params = ":".join(f"{name}={value}" for name, value in words if not name.startswith("-"))
    return [*_options(words), "-x264-params", params]


def nvenc_args(picture: Picture, quality: Quality) -> list[str]:
    """Give h264_nvenc's arguments."""
    return _options([item for wish in wishes_for(picture, quality) for item in wish.nvenc.items()])


def _options(words: list[tuple[str, str | int]]) -> list[str]:
    return [text for name, value in words if name.startswith("-") for text in (name, str(value))]


#: FFmpeg's name of an encoder → its arguments.
VIDEO_ENCODERS: Mapping[str, Callable[[Picture, Quality], list[str]]] = {
    "libx264": x264_args,
    "h264_nvenc": nvenc_args,
}


def encoders_for(target: Target) -> tuple[str, ...]:
    """Give the encoders that can make this film's odd clips, the fastest first."""
    if target.picture.sps_id != 0:
        return ("libx264",)
    return ("h264_nvenc", "libx264")


def is_large(picture: Picture) -> bool:
    """Tell whether pictures are so large that one encoder takes most of the memory; then it has several threads."""
    return picture.width_px * picture.height_px > _LARGE_PX


def keyframe_interval(frame_rate: Fraction) -> int:
    """Give the largest distance of key frames, in frames.

    >>> keyframe_interval(Fraction(24000, 1001))
    48
    """
    return max(1, round(frame_rate * _KEYFRAME_INTERVAL_SECONDS))
