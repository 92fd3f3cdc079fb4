"""FFmpeg argument lists for one clip: pure, nothing is run here (`gpu_job/ffmpeg.py` runs them).

A clip's bytes are hostile: the file is opened as the kind that it was found to be, by the file protocol
alone, and only its first picture and its first sound are read.
Source: https://ffmpeg.org/ffmpeg.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from events.clip import ClipFacts
from events.errors import BadMedia
from media.colour import Colour
from media.ffmpeg_limits import INPUT_LIMITS, PROGRAM_LIMITS
from media.filters import at_rate, audio_filter, silence_source, video_filter
from media.treatment import Target
from media.video_encoders import VIDEO_ENCODERS

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

#: Containers whose index counts the frames.
EXACT_CONTAINERS = frozenset({"mp4", "mov"})

#: Of these FFmpeg counts the time from the first of the streams that it uses: picture and sound, made apart, both begin
#: at 0. Source: "Correcting start time of Input" in FFmpeg's `fftools/ffmpeg_demux.c`.
_RESTARTING = frozenset({"mpegts", "mpeg", "flv"})

#: Share of packets that may fail to decode before a clip counts as broken: one bad frame of a long take is
#: hidden by the decoder, more is seen.
BROKEN_MAX = Fraction(1, 50)

#: Bits per second of AAC-LC for each channel: transparent to most ears at 96 kb/s.
AUDIO_BITRATE_BPS = 96_000

#: How far behind the planned end a clip is still read: sound and picture are not stored side by side.
_LATE_SECONDS = 1

#: How far before its first frame a chunk is read: a decoder needs some pictures until it gives them in order.
_SEEK_MARGIN_SECONDS = 2


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
    near = frames.start / rate + _picture_start(clip) - _SEEK_MARGIN_SECONDS
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
        starts_at=_picture_start(clip),
        # The others tell their length roughly; how many frames they have is seen when they are read.
        is_held=clip.facts.container in EXACT_CONTAINERS,
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
        first_sample=round(_sound_ahead(clip) * target.sound.sample_rate_hz),
    )
    # What lies behind the planned end is not even read: a packet an hour late would be met by an hour of silence.
    length = f"{float(clip.frame_count / target.picture.frame_rate + abs(_sound_ahead(clip))) + _LATE_SECONDS:.3f}"
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
    *PROGRAM_LIMITS,
    *("-loglevel", "error", "-nostats", "-progress", "pipe:1", "-stats_period", "0.25"),
    *("-y", "-max_error_rate", f"{float(BROKEN_MAX):.2f}", "-filter_threads", "1"),
)


def count_args(clip: ClipEncode, frame_rate: Fraction) -> list[str]:
    """Give the arguments that only count a clip's frames at a rate, `frame_count` at most; nothing is written."""
    graph = f"{at_rate(frame_rate, _picture_start(clip))},scale=16:16"
    picture = ["-map", "0:V:0", "-vf", graph, "-frames:v", str(clip.frame_count)]
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
    return [*INPUT_LIMITS, "-f", demuxer, *references, *more, "-i", file_url(clip.source)]


def _picture_start(clip: ClipEncode) -> Fraction:
    """Give at which second FFmpeg shows the first frame: it counts from what begins first, be it the sound."""
    if clip.facts.container in _RESTARTING:
        return Fraction(0)
    return Fraction(max(0, clip.facts.picture_late_us or 0), 1_000_000)


def _sound_ahead(clip: ClipEncode) -> Fraction:
    """Give how many seconds of what FFmpeg gives of the sound lie before the first frame; negative for too few."""
    if clip.facts.container in _RESTARTING:
        return Fraction(clip.facts.picture_late_us or 0, 1_000_000)
    return _picture_start(clip)


def _mp4_args(output: Path) -> list[str]:
    plain = ["-max_muxing_queue_size", "4096", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]
    return [*plain, "-f", "mp4", file_url(output)]
