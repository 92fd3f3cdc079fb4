"""The exact last frame of a clip, as PNG: what the next segment of a daisy chain starts from."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from events.errors import BadMedia
from media.container import MOV, MP4, Container, sniff
from media.mp4_index import read_movie
from media.reader import ByteReader
from media.trim import nearest_cut

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

#: Bytes that tell what kind of file it is.
_HEAD_BYTES = 4096


def last_frame_png(reader: ByteReader, name: str, keep_ms: int | None = None) -> bytes:
    """Decode the last frame that a viewer of the clip sees; only its last group of pictures is decoded.

    Args:
        reader: the clip.
        name: what to call it in an error.
        keep_ms: how much of it is shown; None for all of it.

    Returns:
        A PNG, 8-bit RGB, of the picture as coded.

    Raises:
        BadMedia: the clip has no frame that can be decoded.
    """
    from av.error import FFmpegError

    from media.probe_av import open_with_av

    container = sniff(reader.read(0, _HEAD_BYTES))
    if container.demuxer is None:
        raise BadMedia(f"take the last frame of {name}: it is {container.title}, not a video")
    try:
        end = None if keep_ms is None else _shown_seconds(reader, name, container, keep_ms)
        with open_with_av(reader, container.demuxer) as opened:
            frame = _last_group(opened, end)
        if frame is None:
            # A transport stream has no index to seek by: the seek may land behind its last sync sample.
            with open_with_av(reader, container.demuxer) as opened:
                frame = _last(opened, end, from_start=True)
    except (FFmpegError, ValueError, IndexError) as exc:
        raise BadMedia(f"take the last frame of {name}: it cannot be decoded ({exc})") from exc
    if frame is None:
        raise BadMedia(f"take the last frame of {name}: it has no frame that can be decoded")
    return _png(frame)


def _shown_seconds(reader: ByteReader, name: str, container: Container, keep_ms: int) -> Fraction:
    """Give where the film leaves the clip: at its clean cut, if it is of a kind that can be cut without encoding."""
    if container in (MP4, MOV):
        movie = read_movie(reader, name)
        if not movie.is_fragmented:
            return nearest_cut(movie.video, keep_ms).seconds
    return Fraction(keep_ms, 1000)


def _last_group(opened: InputContainer, end: Fraction | None) -> VideoFrame | None:
    stream = opened.streams.video[0]
    if stream.duration and stream.time_base:
        wanted = stream.duration
        if end is not None:
            # Not at the end itself, where a sync sample may stand that is not shown any more.
            wanted = min(wanted, int((end - _half_frame(stream)) / stream.time_base))
        # Backward, to the last sync sample at or before it.
        opened.seek((stream.start_time or 0) + max(0, wanted), stream=stream, backward=True)
    return _last(opened, end)


def _last(opened: InputContainer, end: Fraction | None, *, from_start: bool = False) -> VideoFrame | None:
    """Give the last frame, or the last that is shown before `end`; frames come in the order in which they are shown."""
    stream = opened.streams.video[0]
    last: VideoFrame | None = None
    for frame in opened.decode(stream):
        # The first frame of all is shown, however little is kept.
        if end is not None and _middle(frame, stream) >= end and not (from_start and last is None):
            break
        if last is None or (frame.pts or 0) >= (last.pts or 0):
            last = frame
    return last


def _middle(frame: VideoFrame, stream: VideoStream) -> Fraction:
    """Give the seconds from the clip's start to the middle of a frame, which no rounding moves behind its end."""
    assert stream.time_base is not None
    return ((frame.pts or 0) - (stream.start_time or 0)) * stream.time_base + _half_frame(stream)


def _half_frame(stream: VideoStream) -> Fraction:
    return 1 / stream.average_rate / 2 if stream.average_rate else Fraction(0)


def _png(frame: VideoFrame) -> bytes:
    import av

    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    picture = frame.reformat(format="rgb24")
    picture.pts, picture.time_base = 0, Fraction(1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
