"""FFmpeg argument lists for one clip: pure, nothing is run here (`gpu_job/ffmpeg.py` runs them).

A clip's bytes are hostile: the file is opened as the kind that it was found to be, by the file protocol
alone, and only its first picture and its first sound are read.
Source: https://ffmpeg.org/ffmpeg.html; the meaning of x264's words: `x264 --fullhelp`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from events.clip import ClipFacts
from events.errors import BadMedia
from media.ffmpeg_limits import PICTURE_PX_MAX, PIECE_BYTES_MAX, STREAMS_MAX
from media.filters import at_rate, audio_filter, silence_source, video_filter
from media.treatment import Colour, Picture, Quality, Target

#: FFmpeg's demuxer for each kind of file that a probe names.
DEMUXERS: Mapping[str, str] = {
    "mp4": "mov",
    "mov": "mov",
    "matroska": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "flv": "flv",
    "ogg": "ogg",
    "asf": "asf",
}

#: Share of packets that may fail to decode before a clip counts as broken: one bad frame of a long take is
#: hidden by the decoder, more is seen.
BROKEN_MAX = Fraction(1, 50)

#: Bits per second of AAC-LC for each channel: transparent to most ears at 96 kb/s.
AUDIO_BITRATE_BPS = 96_000

#: Seconds between the key frames of an encoded clip: players seek to them; streaming services ask for two.
_KEYFRAME_INTERVAL_SECONDS = 2

#: How far behind the planned end a clip is still read: sound and picture are not stored side by side.
_LATE_SECONDS = 1

#: How far before its first frame a chunk is read: a decoder needs some pictures until it gives them in order.
_SEEK_MARGIN_SECONDS = 2

#: Pictures larger than this are few at a time in memory; those of 1440p are not.
_LARGE_PX = 2560 * 1440
#: Of an encoder of large pictures: a fixed number, since what x264 makes hangs on it.
_LARGE_THREADS = 2
#: x264 looks ahead so far as `veryfast` does, also where another preset would look further.
_LARGE_PARAMS: Mapping[str, int | str] = {"rc-lookahead": 10, "sync-lookahead": 0}

#: B-frames in a row where the film has any; x264's default.
_B_FRAMES = 3


@dataclass(frozen=True, slots=True)
class ClipEncode:
    """One clip to be made anew."""

    facts: ClipFacts
    #: Absolute.
    source: Path
    #: How many frames come out at most.
    frame_count: int
    #: Of the clip; None where its headers were not read for it, so that FFmpeg must find out.
    colour: Colour | None
    square_pixels: bool = True


def chunk_args(
    clip: ClipEncode, target: Target, frames: range, output: Path, encoder: str = "libx264", *, seek: bool = False
) -> list[str]:
    """Give the arguments, without the program's name, that make the picture of some of a clip's frames fit the film.

    Args:
        clip: what to encode.
        target: the film.
        frames: which frames, counted from 0 at the film's rate; the first one becomes a key frame.
        output: an MP4 without sound is written here; absolute.
        encoder: a key of `VIDEO_ENCODERS`.
        seek: begin to read near the first frame; True only for containers with an index of good times.

    Raises:
        BadMedia: the clip is of a kind that is not opened.
    """
    rate = target.picture.frame_rate
    near = frames.start / rate - _SEEK_MARGIN_SECONDS
    is_sought = seek and near > 0
    # Frames keep their numbers: the times stay those of the file, and all that the decoder gives is looked at.
    start = ["-copyts", "-start_at_zero", "-noaccurate_seek", "-ss", f"{float(near):.3f}"] if is_sought else []
    graph = video_filter(
        target.picture,
        target.fit,
        source_size=(clip.facts.width_px, clip.facts.height_px),
        source_colour=clip.colour,
        square_pixels=clip.square_pixels,
        frames=frames,
        from_start=not is_sought,
    )
    args = [*START_ARGS, *start, *_input_args(clip), "-map", "0:V:0", "-vf", graph]
    return [*args, *VIDEO_ENCODERS[encoder](target.picture, target.quality), *_mp4_args(output)]


def sound_args(clip: ClipEncode, target: Target, output: Path) -> list[str]:
    """Give the arguments that make the sound of a clip, as long as its `frame_count`; silence where it has none.

    What is written is an MP4 with that sound and a black picture of one frame, since what has no picture is no film.
    """
    assert target.sound is not None
    has_sound = clip.facts.audio_codec is not None
    graph = audio_filter(
        target.sound,
        frame_count=clip.frame_count,
        frame_rate=target.picture.frame_rate,
        source_channels=clip.facts.channel_count if has_sound else target.sound.channel_count,
    )
    # What lies behind the planned end is not even read: a packet an hour late would be met by an hour of silence.
    length = f"{float(clip.frame_count / target.picture.frame_rate) + _LATE_SECONDS:.3f}"
    source = _input_args(clip, "-t", length) if has_sound else ["-f", "lavfi", "-i", silence_source(target.sound)]
    black = ["-f", "lavfi", "-i", "color=black:size=16x16:rate=1:duration=1"]
    args = [*START_ARGS, *source, *black, "-map", "1:v:0", "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1"]
    bitrate_bps = AUDIO_BITRATE_BPS * target.sound.channel_count
    args += ["-map", "0:a:0", "-af", graph, "-c:a", "aac", "-profile:a", "aac_low", "-b:a", str(bitrate_bps)]
    return [*args, *_mp4_args(output)]


#: Quiet but for errors and progress lines, which come four times a second; asks nothing. One thread for each step:
#: many programs at a time share the processors better than many threads of one do, and the same frames give the same
#: bytes on every machine, since x264's choices depend on how many threads it has.
START_ARGS = (
    *("-nostdin", "-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1", "-stats_period", "0.25"),
    *("-y", "-max_error_rate", f"{float(BROKEN_MAX):.2f}", "-filter_threads", "1"),
    *("-max_alloc", str(PIECE_BYTES_MAX)),
)


def count_args(clip: ClipEncode, frame_rate: Fraction) -> list[str]:
    """Give the arguments that only count a clip's frames at a rate, `frame_count` at most; nothing is written."""
    picture = ["-map", "0:V:0", "-vf", f"{at_rate(frame_rate)},scale=16:16", "-frames:v", str(clip.frame_count)]
    return [*START_ARGS, *_input_args(clip), *picture, "-f", "null", "-"]


def file_url(path: Path) -> str:
    """Give a path so that FFmpeg can take it for nothing but a file: no option, protocol or pattern.

    >>> file_url(Path("/clips/http:-x %d.mp4"))
    'file:/clips/http:-x %d.mp4'
    """
    if not path.is_absolute():
        raise ValueError(f"an absolute path is needed, not {path}")
    return f"file:{path}"


def _input_args(clip: ClipEncode, *more: str) -> list[str]:
    demuxer = DEMUXERS.get(clip.facts.container)
    if demuxer is None:
        raise BadMedia(
            f"open {clip.source.name}: a file of kind {clip.facts.container} is not read; "
            f"convert it to one of {', '.join(sorted(DEMUXERS))}"
        )
    # An MP4 may name other files as its data; FFmpeg must not follow them.
    references = ["-enable_drefs", "0", "-use_absolute_path", "0"] if demuxer == "mov" else []
    # The picture may be larger than its container says.
    source = ["-threads", "1", "-max_pixels", str(PICTURE_PX_MAX), *more, "-i", file_url(clip.source)]
    limits = ["-protocol_whitelist", "file", "-max_streams", str(STREAMS_MAX)]
    return [*limits, "-f", demuxer, *references, *source]


def _mp4_args(output: Path) -> list[str]:
    plain = ["-max_muxing_queue_size", "4096", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]
    return [*plain, "-f", "mp4", file_url(output)]


def x264_args(picture: Picture, quality: Quality) -> list[str]:
    """Give libx264's arguments; the same picture and quality always give the same parameter sets."""
    interval = keyframe_interval(picture.frame_rate)
    params = {
        "keyint": interval,
        "min-keyint": min(interval, max(1, interval // 10)),
        "scenecut": 40,
        "open-gop": 0,
        # Parameter sets that are the same for every quality: parts of one film share them.
        "stitchable": 1,
        "force-cfr": 1,
        "sps-id": picture.sps_id,
        **_B_FRAME_PARAMS[picture.reorder_depth],
        **(_LARGE_PARAMS if is_large(picture) else {}),
    }
    text = ":".join(f"{name}={value}" for name, value in params.items())
    args = [
        "-c:v",
        "libx264",
        "-preset",
        quality.preset,
        "-crf",
        str(quality.crf),
        "-profile:v",
        picture.profile,
    ]
    return [*args, "-threads", str(_LARGE_THREADS if is_large(picture) else 1), "-x264-params", text]


def is_large(picture: Picture) -> bool:
    """Tell whether pictures are so large that one encoder takes most of the memory; then it has several threads."""
    return picture.width_px * picture.height_px > _LARGE_PX


#: x264's B-frame structure for each reorder depth: none; plain ones; ones that others refer to.
_B_FRAME_PARAMS: Mapping[int, dict[str, int | str]] = {
    0: {"bframes": 0},
    1: {"bframes": _B_FRAMES, "b-pyramid": "none"},
    2: {"bframes": _B_FRAMES, "b-pyramid": "normal"},
}


def nvenc_args(picture: Picture, quality: Quality) -> list[str]:
    """Give h264_nvenc's arguments; it cannot number its parameter sets: only for films encoded whole."""
    b_frames = ["-bf", "0" if picture.reorder_depth == 0 else str(_B_FRAMES)]
    b_frames += ["-b_ref_mode", "middle" if picture.reorder_depth == 2 else "disabled"]
    args = [
        "-c:v",
        "h264_nvenc",
        "-preset",
        "p5",
        "-tune",
        "hq",
        "-rc",
        "vbr",
        "-cq",
        str(quality.crf),
        "-b:v",
        "0",
    ]
    args += [
        "-profile:v",
        picture.profile,
        "-g",
        str(keyframe_interval(picture.frame_rate)),
        "-strict_gop",
        "1",
    ]
    return [*args, *b_frames]


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


def keyframe_interval(frame_rate: Fraction) -> int:
    """Give the largest distance of key frames, in frames.

    >>> keyframe_interval(Fraction(24000, 1001))
    48
    """
    return max(1, round(frame_rate * _KEYFRAME_INTERVAL_SECONDS))


def trial_args(encoder: str, target: Target) -> list[str]:
    """Give the arguments that encode a black frame of the film to nowhere: a listed encoder may still not work here.

    At the film's own size and with its own arguments, since encoders in hardware have limits of their own.
    """
    size = f"{target.picture.width_px}x{target.picture.height_px}"
    frame = ["-f", "lavfi", "-i", f"color=black:size={size}:rate=25", "-frames:v", "1", "-pix_fmt", "yuv420p"]
    encode = VIDEO_ENCODERS[encoder](target.picture, target.quality)
    return ["-nostdin", "-hide_banner", "-loglevel", "error", *frame, *encode, "-f", "null", "-"]
