"""The exact last frame of a clip, as PNG: what the next segment of a daisy chain starts from."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

from events.errors import BadMedia
from media.container import MOV, MP4, Container, sniff
from media.fragments import refuse_hostile_fragments
from media.mp4_index import read_movie
from media.reader import ByteReader
from media.trim import nearest_cut

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame, VideoStream
    from av.container import InputContainer

#: Bytes that tell what kind of file it is.
_HEAD_BYTES = 4096
#: The largest picture whose last frame is taken, in pixels: 4096 x 4096. A decoder keeps up to seventeen of them, and
#: this one shares the memory of a function.
FRAME_PX_MAX = 4096 * 4096
#: How much may be decoded to come to the last frame: five minutes of HD at 30 frames a second, and as many frames as
#: ten minutes have at 60. Other clips have a sync sample every few seconds, and only what follows the last is decoded.
DECODED_PX_MAX = 9000 * 1920 * 1080
DECODED_FRAMES_MAX = 36_000
#: Times that each byte of a clip may be read to come to its last frame, and the CPU seconds that it may take.
_READS_MAX = 3
_SECONDS_MAX = 60.0


def last_frame_png(reader: ByteReader, name: str, keep_ms: int | None = None) -> bytes:
    """Decode the last frame that a viewer of the clip sees; only its last group of pictures is decoded.

    Args:
        reader: the clip.
        name: what to call it in an error.
        keep_ms: how much of it is shown; None for all of it.

    Returns:
        A PNG, 8-bit RGB, upright; its pixels are the clip's own, square or not, and so are its colours: those of a
        high dynamic range are not brought to the standard one.

    Raises:
        BadMedia: the clip has no frame that can be decoded.
    """
    from av.error import FFmpegError

    from media.probe_av import PROBE_BYTES_MAX, open_with_av, reason

    container = sniff(reader.read(0, _HEAD_BYTES))
    if container.demuxer is None:
        raise BadMedia(f"take the last frame of {name}: it is {container.title}, not a video")
    bytes_max = PROBE_BYTES_MAX + _READS_MAX * reader.size_bytes
    try:
        end = _shown_seconds(reader, name, container, keep_ms)
        with open_with_av(reader, container.demuxer, bytes_max, _SECONDS_MAX) as opened:
            frame = _last_group(opened, end)
        if frame is None:
            # A transport stream has no index to seek by: the seek may land behind its last sync sample.
            with open_with_av(reader, container.demuxer, bytes_max, _SECONDS_MAX) as opened:
                frame = _last(opened, end, from_start=True)
        png = _png(frame) if frame else None
    except BadMedia as exc:
        why = exc.message.removeprefix(f"read {name}: ")
        raise BadMedia(f"take the last frame of {name}: it cannot be decoded: {why}") from exc
    except (FFmpegError, ValueError, IndexError, OverflowError) as exc:
        raise BadMedia(f"take the last frame of {name}: it cannot be decoded ({reason(exc)})") from exc
    if png is None:
        raise BadMedia(f"take the last frame of {name}: it has no frame that can be decoded")
    return png


def _shown_seconds(reader: ByteReader, name: str, container: Container, keep_ms: int | None) -> Fraction | None:
    """Give where the film leaves the clip: at its clean cut, if it is of a kind that can be cut without encoding.

    Raises:
        BadMedia: its index is damaged, or such that FFmpeg must not see it.
    """
    if container in (MP4, MOV):
        movie = read_movie(reader, name)
        if not movie.is_fragmented:
            return None if keep_ms is None else nearest_cut(movie.video, keep_ms).seconds
        refuse_hostile_fragments(reader, name)
    return None if keep_ms is None else Fraction(keep_ms, 1000)


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
    # A stream in a coding that FFmpeg does not know has none, whatever PyAV's types say.
    if codec := cast("VideoCodecContext | None", stream.codec_context):
        codec.options = {"max_pixels": str(FRAME_PX_MAX)}
    last: VideoFrame | None = None
    decoded_px = 0
    for count, frame in enumerate(opened.decode(stream)):
        decoded_px += frame.width * frame.height
        if decoded_px > DECODED_PX_MAX or count == DECODED_FRAMES_MAX:
            raise BadMedia(f"{count} frames follow its last key frame, too many to decode for one")
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

    picture = _upright(frame.reformat(format="rgb24"), frame.rotation)
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    picture.pts, picture.time_base = 0, Fraction(1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def _upright(picture: VideoFrame, rotation: int) -> VideoFrame:
    """Turn a picture as a player does; of other angles than right ones nothing is known to players either."""
    from av.filter import Graph

    steps = _TURNS.get(rotation % 360)
    if steps is None:
        return picture
    graph = Graph()
    source = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1))
    graph.link_nodes(source, *(graph.add(name, args) for name, args in steps), graph.add("buffersink")).configure()
    graph.vpush(picture)
    return graph.vpull()


#: FFmpeg's filters, with their arguments, for a picture that a player turns by so many degrees counterclockwise.
_TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "clock"),),
}
