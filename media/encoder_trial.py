"""The one frame by which an encoder is tried: FFmpeg's arguments to make it and to read it back, and what it must be.

A listed encoder may still not work here, and one that works may make rubbish. Pure.
"""

from __future__ import annotations

from media.ffmpeg_limits import PROGRAM_LIMITS
from media.filters import colour_tags
from media.treatment import Target
from media.video_encoders import VIDEO_ENCODERS

#: Luma and chroma of `gray` in BT.601's limited range, and how far a decoder's may be off: less than black or green is.
_LUMA, _CHROMA, _TOLERANCE = 126, 128, 12

_QUIET = (*PROGRAM_LIMITS, "-loglevel", "error")


def trial_args(encoder: str, target: Target) -> list[str]:
    """Give the arguments that encode one grey frame of the film and write it to standard output as plain H.264.

    At the film's own size and with its own arguments and colours, since encoders in hardware have limits of their own.
    """
    picture = target.picture
    size = f"{picture.width_px}x{picture.height_px}"
    frame = ["-f", "lavfi", "-i", f"color=gray:size={size}:rate={picture.frame_rate}", "-frames:v", "1"]
    frame += ["-vf", f"format=yuv420p,{colour_tags(picture.colour)}"]
    return [*_QUIET, *frame, *VIDEO_ENCODERS[encoder](picture, target.quality), "-f", "h264", "pipe:1"]


def trial_reading_args() -> list[str]:
    """Give the arguments that decode what `trial_args` has made, from standard input to planes on standard output."""
    quiet = [word for word in _QUIET if word != "-nostdin"]
    return [*quiet, "-f", "h264", "-i", "pipe:0", "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1"]


def trial_fault(planes: bytes, target: Target) -> str | None:
    """Say what is wrong with the frame that was read back; None where it is the one that went in.

    Args:
        planes: of all frames that came, one after the other, 8 bits 4:2:0.
        target: the film.
    """
    luma = target.picture.width_px * target.picture.height_px
    if not planes:
        return "no frame came out"
    if len(planes) != luma * 3 // 2:
        return "what came out is not one frame of the film's size"
    is_grey = _is_near(planes[:luma], _LUMA) and _is_near(planes[luma:], _CHROMA)
    return None if is_grey else "another picture came out than went in"


def _is_near(plane: bytes, value: int) -> bool:
    return value - _TOLERANCE <= min(plane) and max(plane) <= value + _TOLERANCE
