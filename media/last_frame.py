"""The exact last frame of a clip, as PNG: what the next segment of a daisy chain starts from."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from events.errors import BadMedia
from media.container import sniff
from media.reader import ByteReader

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

#: Bytes that tell what kind of file it is.
_HEAD_BYTES = 4096


def last_frame_png(reader: ByteReader, name: str) -> bytes:
    """Decode the last frame that a viewer of the clip sees; only its last group of pictures is decoded.

    Args:
        reader: the clip.
        name: what to call it in an error.

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
        with open_with_av(reader, container.demuxer) as opened:
            frame = _last_group(opened)
        if frame is None:
            # A transport stream has no index to seek by: the seek may land behind its last sync sample.
            with open_with_av(reader, container.demuxer) as opened:
                frame = _last(opened)
    except (FFmpegError, ValueError, IndexError) as exc:
        raise BadMedia(f"take the last frame of {name}: it cannot be decoded ({exc})") from exc
    if frame is None:
        raise BadMedia(f"take the last frame of {name}: it has no frame that can be decoded")
    return _png(frame)


def _last_group(opened: InputContainer) -> VideoFrame | None:
    stream = opened.streams.video[0]
    if stream.duration:
        # Backward, to the last sync sample at or before the end.
        opened.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
    return _last(opened)


def _last(opened: InputContainer) -> VideoFrame | None:
    last: VideoFrame | None = None
    for frame in opened.decode(opened.streams.video[0]):
        if last is None or (frame.pts or 0) >= (last.pts or 0):
            last = frame
    return last


def _png(frame: VideoFrame) -> bytes:
    import av

    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    picture = frame.reformat(format="rgb24")
    picture.pts, picture.time_base = 0, Fraction(1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
