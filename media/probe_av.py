"""Probing what is not a plain MP4, by FFmpeg's demuxers in this process.

The demuxer is forced to the one that the content asks for and is given bytes, not an address: a hostile file can
neither choose the parser nor make it open anything.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from time import thread_time
from typing import TYPE_CHECKING

import av
from av.error import FFmpegError

from events.errors import BadMedia, StitchFailed
from media.colour import Colour
from media.conform import milliseconds, ratio
from media.container import Container
from media.ffmpeg_limits import PICTURE_PX_MAX, STREAMS_MAX
from media.reader import ByteReader

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av.audio.codeccontext import AudioCodecContext
    from av.container import InputContainer

    from events.clip import ClipFacts

_OPTIONS = {
    # How much FFmpeg may look at, and how long a stretch of it, to learn what the streams are.
    "probesize": "5000000",
    "analyzeduration": "5000000",
    "max_streams": str(STREAMS_MAX),
    "max_pixels": str(PICTURE_PX_MAX),
    # It is given bytes. Where a file names another, nothing is there that could open it.
    "protocol_whitelist": "none",
}
#: To read an index only: no picture is decoded to learn more of it.
_INDEX_ONLY = {"skip_frame": "all", "probesize": "32"}
#: FFmpeg's number of the range of colours that leaves no numbers out, `AVCOL_RANGE_JPEG`.
_FULL_RANGE = 2
#: Bytes that FFmpeg may read to tell what a clip is: headers and indexes are far smaller, and a file without any sense
#: is searched no further.
PROBE_BYTES_MAX = 256 * 1024 * 1024
#: CPU seconds that FFmpeg may take to tell it; an honest clip takes hundredths. Matroska may be compressed so that each
#: megabyte takes seconds.
PROBE_SECONDS_MAX = 10.0


class ReaderFile(io.RawIOBase):
    """A `ByteReader` as the file object that PyAV wants.

    Args:
        reader: the bytes.
        bytes_max: how many may be read, those that are read again counted again.
        seconds_max: CPU seconds that may pass in this thread until the last of them is read.
    """

    def __init__(self, reader: ByteReader, bytes_max: int, seconds_max: float) -> None:
        self._reader = reader
        self._position = 0
        self._bytes_left = bytes_max
        self._ends_at = thread_time() + seconds_max

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, and give it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size_bytes}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Give up to `size` bytes from the position on.

        Raises:
            BadMedia: more was read, or it took longer, than any honest file needs.
        """
        if self._bytes_left <= 0:
            raise BadMedia("it is not found out what is in it, however much of it is read")
        if thread_time() > self._ends_at:
            raise BadMedia("it takes too long to find out what is in it")
        left = max(0, self._reader.size_bytes - self._position)
        data = self._reader.read(self._position, left if size < 0 else min(size, left))
        self._position += len(data)
        self._bytes_left -= len(data)
        return data


def open_with_av(
    reader: ByteReader,
    demuxer: str | None,
    bytes_max: int = PROBE_BYTES_MAX,
    seconds_max: float = PROBE_SECONDS_MAX,
    *,
    kinds: Sequence[str] = (),
    index_only: bool = False,
) -> InputContainer:
    """Open bytes with one of FFmpeg's demuxers, chosen by us.

    Args:
        reader: the bytes.
        demuxer: FFmpeg's name of it; None for the one of `kinds` that the content asks for.
        bytes_max: how many bytes may be read until it is closed.
        seconds_max: CPU seconds after which no more is read.
        kinds: FFmpeg's names of the demuxers that there are; empty for all.
        index_only: whether what the index says is enough; else a picture may be decoded to learn how it is coded.

    Raises:
        FFmpegError: it cannot be read so.
        BadMedia: more than `bytes_max` were read, or it took too long, here or later.
    """
    allowed = {"format_whitelist": ",".join(kinds)} if kinds else {}
    options = _OPTIONS | allowed | (_INDEX_ONLY if index_only else {})
    return av.open(ReaderFile(reader, bytes_max, seconds_max), mode="r", format=demuxer, options=options)


def probe_with_av(reader: ByteReader, name: str, container: Container) -> ClipFacts:
    """Read a clip's facts by FFmpeg's demuxer for this kind of container.

    Raises:
        BadMedia: FFmpeg cannot read it, or it has no picture.
    """
    assert container.demuxer is not None
    try:
        with open_with_av(reader, container.demuxer) as opened:
            return _facts(opened, reader.size_bytes, container)
    except BadMedia as exc:
        raise BadMedia(f"read {name}: {exc.message}") from exc
    except (FFmpegError, ValueError, OverflowError) as exc:
        raise BadMedia(f"read {name}: it looks like {container.title} but is damaged ({reason(exc)})") from exc


def reason(exc: Exception) -> str:
    """Give what FFmpeg said, without the number and the function that stand beside it."""
    return (exc.strerror if isinstance(exc, FFmpegError) else None) or str(exc)


def _facts(opened: InputContainer, size_bytes: int, container: Container) -> ClipFacts:
    # Imported only here: whoever only glances at a film needs nothing that crosses a process.
    from events.clip import ClipFacts

    if not opened.streams.video:
        raise BadMedia("it has no picture")
    video = opened.streams.video[0]
    sound = opened.streams.audio[0] if opened.streams.audio else None
    # A stream in a coding that FFmpeg does not know has no codec, whatever PyAV's types say.
    codec: AudioCodecContext | None = sound.codec_context if sound else None
    if video.codec_context is None or not video.width or not video.height:
        raise BadMedia(f"it looks like {container.title} but no picture was found in it")
    return ClipFacts(
        container=container.name,
        size_bytes=size_bytes,
        duration_ms=max(0, milliseconds(_duration(opened))),
        frame_count=video.frames or None,
        picture_late_us=_picture_late_us(video, sound),
        width_px=video.width,
        height_px=video.height,
        frame_rate=ratio(video.average_rate) if video.average_rate else None,
        video_codec=video.codec_context.name,
        audio_codec=codec.name if codec else "unknown" if sound else None,
        sample_rate_hz=codec.sample_rate if codec else None,
        channel_count=codec.channels if codec else None,
        conform={"container": container.name} | _colour(video),
        obstacles=[f"it is {container.title}, and only MP4 can be joined without encoding"]
        if container.name not in ("mp4", "mov")
        else ["its index is spread over the file (fragmented MP4)"],
    )


def _colour(video: VideoStream) -> dict[str, str]:
    """Give what is needed to encode it: its colours, where container or stream say any."""
    codec = video.codec_context
    full_range = codec.color_range == _FULL_RANGE
    colour = Colour(codec.color_primaries, codec.color_trc, codec.colorspace, full_range).without_unknown
    return {} if colour == Colour() else {"color": str(colour)}


def _picture_late_us(video: VideoStream, sound: AudioStream | None) -> int | None:
    if sound is None or video.start_time is None or sound.start_time is None:
        return None
    starts = [Fraction(stream.start_time or 0) * (stream.time_base or 0) for stream in (video, sound)]
    return round((starts[0] - starts[1]) * 1_000_000) or None


def _duration(opened: InputContainer) -> Fraction:
    """Give the length in seconds: of the picture, else of the whole from the picture's start on, else 0."""
    video = opened.streams.video[0]
    if video.duration and video.time_base:
        return video.duration * video.time_base
    late = Fraction(video.start_time or 0) * (video.time_base or 0) - Fraction(opened.start_time or 0, av.time_base)
    return max(Fraction(0), Fraction(opened.duration or 0, av.time_base) - max(Fraction(0), late))


def glance_at_sound(
    reader: ByteReader, kinds: Sequence[str], bytes_max: int, seconds_max: float
) -> tuple[int, int | None] | None:
    """Give what the headers say of a file's first sound: its rate in hertz, 0 for an unknown coding, and milliseconds.

    Args:
        reader: the bytes.
        kinds: FFmpeg's names of the demuxers that may read it.
        bytes_max: how many bytes may be read.
        seconds_max: CPU seconds that it may take.

    Returns:
        None where there is no sound; milliseconds are None where the headers do not tell.

    Raises:
        BadMedia: no such demuxer can read it, or it takes too much.
    """
    try:
        with open_with_av(reader, None, bytes_max, seconds_max, kinds=kinds) as opened:
            if not opened.streams.audio:
                return None
            # A stream in a coding that FFmpeg does not know has no codec, whatever PyAV's types say.
            codec: AudioCodecContext | None = opened.streams.audio[0].codec_context
            length_ms = None if opened.duration is None else milliseconds(Fraction(opened.duration, av.time_base))
            return codec.sample_rate if codec else 0, length_ms
    except (FFmpegError, ValueError, OverflowError) as exc:
        raise BadMedia(reason(exc)) from exc


def chapter_starts(reader: ByteReader, name: str) -> list[Fraction]:
    """Give when the chapters of an MP4 begin, in seconds.

    Raises:
        StitchFailed: FFmpeg cannot read it.
    """
    try:
        with open_with_av(reader, "mov") as opened:
            return [chapter["start"] * (chapter["time_base"] or Fraction(0)) for chapter in opened.chapters()]
    except (FFmpegError, ValueError) as exc:
        raise StitchFailed(f"read back {name}: FFmpeg cannot read it ({reason(exc)})") from exc


def glance(reader: ByteReader, name: str) -> tuple[int, int, Fraction]:
    """Give what FFmpeg sees in an MP4 by its index: tracks of picture and sound, frames, seconds of picture.

    Raises:
        StitchFailed: FFmpeg cannot read it.
    """
    try:
        with open_with_av(reader, "mov", index_only=True) as opened:
            video = opened.streams.video[0]
            played = sum(stream.type in ("video", "audio") for stream in opened.streams)
            return played, video.frames, _duration(opened)
    except (FFmpegError, ValueError, IndexError) as exc:
        raise StitchFailed(f"read back {name}: FFmpeg cannot read it ({reason(exc)})") from exc
