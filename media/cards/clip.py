"""A card's pictures and sound as one MP4 clip that can be joined to any other card of its size without encoding.

Everything that the parameter sets hold is stated and depends on size and rate alone; no clock, no chance, so the
same card gives the same bytes. The only card file that imports PyAV.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from events.errors import RenderFailed

#: Samples of one AAC frame.
_AAC_FRAME = 1024
_AUDIO_RATE_HZ = 48_000
_AUDIO_BITRATE_BPS = 128_000
_GOP_SECONDS = 2
_B_FRAMES_MAX = 2
#: Fixed, because x264 gives other bytes for another count; one, because cards are made side by side.
_ENCODER_THREADS = 1
#: Constant quality: 18 looks the same, and above 22 slow dark gradients begin to show blocks. The preset `superfast`
#: takes as long on these pictures and three times the bytes. A short lookahead keeps a 3840x2160 card below 500 MB.
_X264 = {
    "preset": "veryfast",
    "crf": "20",
    "x264-params": "scenecut=0:open-gop=0:b-pyramid=none:aq-mode=3:rc-lookahead=4",
}
#: ITU-R BT.709, limited range. Source: ISO/IEC 23091-2, 8.1 to 8.3.
_BT709 = 1
_LIMITED_RANGE = 1
#: Finer movie clocks than this overflow 32 bits within an hour.
_MOVIE_TIMESCALE_MAX = 1_000_000
#: H.264 level → (macroblocks a second, macroblocks a frame, macroblocks in the decoded picture buffer).
#: Source: ITU-T H.264 (08/2021), table A-1.
_LEVELS = (
    ("3.0", 40_500, 1_620, 8_100),
    ("3.1", 108_000, 3_600, 18_000),
    ("4.0", 245_760, 8_192, 32_768),
    ("4.2", 522_240, 8_704, 34_816),
    ("5.0", 589_824, 22_080, 110_400),
    ("5.1", 983_040, 36_864, 184_320),
    ("5.2", 2_073_600, 36_864, 184_320),
    ("6.0", 4_177_920, 139_264, 696_320),
    ("6.1", 8_355_840, 139_264, 696_320),
    ("6.2", 16_711_680, 139_264, 696_320),
)

#: Paints frame number `index` into its luma and two chroma arrays.
Paint = Callable[[int, Any, Any, Any], None]
#: Gives (first sample, sample count) as float32 of shape (2, sample count).
Sound = Callable[[int, int], Any]


@dataclass(frozen=True, slots=True)
class ClipShape:
    """What a clip is, apart from what it shows."""

    width_px: int
    height_px: int
    frame_rate: Fraction
    frame_count: int

    @property
    def sample_count(self) -> int:
        """Give the length of the sound: the picture's, to the nearest sample."""
        return round(self.frame_count / self.frame_rate * _AUDIO_RATE_HZ)


def write_clip(
    output: Path, shape: ClipShape, paint: Paint, sound: Sound, on_frame: Callable[[int], None] | None = None
) -> None:
    """Encode a clip: H.264 High and AAC-LC in MP4, index first.

    Args:
        output: written, or overwritten; removed again when the clip could not be finished.
        shape: its size, rate and length.
        paint: called once a frame, in order.
        sound: called for stretches of sound, in order.
        on_frame: told how many frames have gone to the encoder; what it raises ends the work and is raised here.

    Raises:
        RenderFailed: the encoder or the disk refused.
    """
    import av

    stopped: list[BaseException] = []

    def tell(done: int) -> None:
        try:
            if on_frame is not None:
                on_frame(done)
        except BaseException as exc:
            stopped.append(exc)
            raise

    try:
        _write(output, shape, paint, sound, tell)
    except (av.error.FFmpegError, OSError) as exc:
        _remove(output)
        if stopped:
            raise
        raise _failure(output, exc) from exc
    except BaseException:
        _remove(output)
        raise


def h264_level(width_px: int, height_px: int, frame_rate: Fraction) -> str:
    """Give the lowest H.264 level that holds pictures of this size and rate with the reordering used here.

    Raises:
        RenderFailed: no level does.
    """
    frame = math.ceil(width_px / 16) * math.ceil(height_px / 16)
    for level, per_second, per_frame, buffer in _LEVELS:
        if frame <= per_frame and frame * frame_rate <= per_second and frame * (_B_FRAMES_MAX + 2) <= buffer:
            return level
    raise RenderFailed(
        f"encode a storyboard card: no H.264 level holds {width_px}x{height_px} at {frame_rate} frames a second; "
        "choose a smaller size or rate"
    )


def _write(output: Path, shape: ClipShape, paint: Paint, sound: Sound, on_frame: Callable[[int], None]) -> None:
    import av

    with av.open(str(output), "w", format="mp4", options=_muxer_options(shape.frame_rate)) as container:
        video = _video_stream(container, shape)
        audio = container.add_stream("aac", rate=_AUDIO_RATE_HZ, layout="stereo")
        audio.bit_rate = _AUDIO_BITRATE_BPS
        heard = 0
        for index in range(shape.frame_count):
            container.mux(video.encode(_painted(index, shape, paint)))
            # Sound keeps pace with the picture, so that a player finds both near each other.
            until = min(shape.sample_count, round((index + 1) / shape.frame_rate * _AUDIO_RATE_HZ))
            last = index + 1 == shape.frame_count
            while heard < until and (last or until - heard >= _AAC_FRAME):
                count = min(_AAC_FRAME, until - heard)
                container.mux(audio.encode(_heard(sound(heard, count), heard)))
                heard += count
            on_frame(index + 1)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _muxer_options(rate: Fraction) -> dict[str, str]:
    # Edits are counted in the movie's clock: it must hold whole frames and whole samples, or a length is rounded.
    movie = math.lcm(_AUDIO_RATE_HZ, rate.numerator)
    return {
        "movflags": "+faststart",
        "movie_timescale": str(movie if movie <= _MOVIE_TIMESCALE_MAX else _AUDIO_RATE_HZ),
        "video_track_timescale": str(_video_timescale(rate)),
    }


def _video_timescale(rate: Fraction) -> int:
    """Give ticks a second such that a frame is a whole number of ticks and a tick is short."""
    return rate.numerator if rate.numerator >= 1000 else rate.numerator * 1000


def _video_stream(container: Any, shape: ClipShape) -> Any:
    level = h264_level(shape.width_px, shape.height_px, shape.frame_rate)
    options = {**_X264, "level": level, "threads": str(_ENCODER_THREADS)}
    stream = container.add_stream("libx264", rate=shape.frame_rate, options=options)
    stream.width, stream.height, stream.pix_fmt = shape.width_px, shape.height_px, "yuv420p"
    stream.time_base = 1 / shape.frame_rate
    context = stream.codec_context
    context.time_base = 1 / shape.frame_rate
    context.profile = "High"
    context.max_b_frames = _B_FRAMES_MAX
    context.gop_size = max(1, round(shape.frame_rate * _GOP_SECONDS))
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _painted(index: int, shape: ClipShape, paint: Paint) -> Any:
    import av
    import numpy as np

    frame = av.VideoFrame(shape.width_px, shape.height_px, "yuv420p")
    planes = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
    paint(index, *planes)
    frame.pts = index
    frame.time_base = 1 / shape.frame_rate
    return frame


def _heard(samples: Any, first_sample: int) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate = _AUDIO_RATE_HZ
    frame.pts = first_sample
    frame.time_base = Fraction(1, _AUDIO_RATE_HZ)
    return frame


def _remove(output: Path) -> None:
    # Only a file that we were writing: never a device or a folder of that name.
    if output.is_file():
        output.unlink()


def _failure(output: Path, exc: Exception) -> RenderFailed:
    number = getattr(exc, "errno", None)
    advice = {
        errno.ENOSPC: "the disk is full; free some space and try again",
        errno.EDQUOT: "the disk quota is used up; free some space and try again",
        errno.EACCES: "it may not be written there; choose another folder or change its permissions",
        errno.EROFS: "the disk is read-only; choose another folder",
        errno.ENOENT: "its folder does not exist; make it first",
    }
    return RenderFailed(f"write the storyboard card {output}: {advice.get(number or 0, str(exc))}", retryable=False)
