"""Tiny real clips in which every frame says who it is, made on the spot by the ffmpeg that pip installs."""

from __future__ import annotations

import math
import subprocess
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import av
import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
WIDTH_PX, HEIGHT_PX = 160, 96
#: Seconds into each clip at which its beep starts: away from both ends, so that no join is in the way.
BEEP_AT = 0.5
_BITS = 16
_BLOCK_PX = WIDTH_PX // _BITS


@dataclass(frozen=True)
class Tone:
    """What a clip sounds like."""

    rate_hz: int = 48000
    channels: int = 2
    #: `beep`: 50 ms at BEEP_AT; `tone`: throughout.
    kind: str = "tone"
    frequency_hz: int = 440
    #: Seconds more (or less) than the picture, and of delay.
    longer: float = 0.0
    late: float = 0.0
    encoder: tuple[str, ...] = ("-c:a", "aac", "-b:a", "256k")


@dataclass(frozen=True)
class ClipSpec:
    """A clip to be made."""

    number: int
    frames: int = 24
    fps: str = "24"
    tone: Tone | None = field(default_factory=Tone)
    video: tuple[str, ...] = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "12", "-pix_fmt", "yuv420p")
    muxer: tuple[str, ...] = ()
    size: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
    suffix: str = ".mp4"
    #: (clip, frame) that is seen in place of its own first frame; None for that.
    begins_with: tuple[int, int] | None = None

    @property
    def pictures(self) -> list[tuple[int, int]]:
        """What each frame shows: (clip, frame)."""
        own = [(self.number, i) for i in range(self.frames)]
        return own if self.begins_with is None else [self.begins_with, *own[1:]]

    @property
    def seconds(self) -> float:
        """How long it is."""
        above, _, below = self.fps.partition("/")
        return self.frames * int(below or 1) / int(above)


def make_clip(spec: ClipSpec, output: Path) -> Path:
    """Encode a clip."""
    width, height = spec.size
    raw = output.with_suffix(".yuv")
    raw.write_bytes(b"".join(_frame(clip, i, width, height) for clip, i in spec.pictures))
    args = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", spec.fps, "-i", str(raw)]
    if spec.tone:
        pcm = output.with_suffix(".f32")
        pcm.write_bytes(_samples(spec.tone, spec.seconds).tobytes())
        args += ["-f", "f32le", "-ar", str(spec.tone.rate_hz), "-ac", str(spec.tone.channels), "-i", str(pcm)]
    coded = (*spec.video, "-threads", "1", *(spec.tone.encoder if spec.tone else ()))
    run_ffmpeg([*args, *coded, *spec.muxer, str(output)])
    if spec.tone and spec.tone.late:
        punctual = output.replace(output.with_stem(f"{output.stem}_punctual"))
        delayed = ["-itsoffset", str(spec.tone.late), "-i", str(punctual)]
        run_ffmpeg(["-i", str(punctual), *delayed, "-map", "0:v", "-map", "1:a", "-c", "copy", str(output)])
    raw.unlink()
    output.with_suffix(".f32").unlink(missing_ok=True)
    return output


def run_ffmpeg(args: Sequence[str]) -> bytes:
    """Run ffmpeg and give its standard output; what it complains about fails the test."""
    done = subprocess.run([FFMPEG, "-v", "error", "-y", "-nostdin", *args], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _frame(clip: int, frame: int, width: int, height: int) -> bytes:
    number = clip << 10 | frame
    block = width // _BITS
    row = b"".join((b"\xdc" if number >> bit & 1 else b"\x20") * block for bit in range(_BITS))
    return row.ljust(width, b"\x20") * height + b"\x80" * (width * height // 2)


def _samples(tone: Tone, seconds: float) -> array[float]:
    mono = array("f")
    for i in range(round((seconds + tone.longer) * tone.rate_hz)):
        at = i / tone.rate_hz
        on = tone.kind == "tone" or BEEP_AT <= at < BEEP_AT + 0.05
        mono.append(0.15 * math.sin(2 * math.pi * tone.frequency_hz * at) if on else 0.0)
    return array("f", (sample for sample in mono for _ in range(tone.channels)))


def read_frames(path: Path) -> list[tuple[int, int]]:
    """Decode every frame and give (clip, frame) as written in the picture, in the order in which they are shown."""
    with av.open(str(path)) as opened:
        return [_number_in(frame) for frame in opened.decode(video=0)]


def read_picture(picture: bytes) -> tuple[int, int]:
    """Give (clip, frame) as written in a picture in a file of its own."""
    with av.open(BytesIO(picture), "r") as opened:
        return _number_in(next(opened.decode(video=0)).reformat(format="gray"))


def _number_in(frame: av.VideoFrame) -> tuple[int, int]:
    plane = frame.planes[0]
    line = bytes(plane)[plane.line_size * (frame.height // 2) :]
    block = frame.width // _BITS
    number = sum((line[bit * block + block // 2] > 128) << bit for bit in range(_BITS))
    return number >> 10, number & 1023


def expected_frames(specs: Sequence[ClipSpec]) -> list[tuple[int, int]]:
    """Give what `read_frames` should find in a film of these clips."""
    return [(spec.number, i) for spec in specs for i in range(spec.frames)]


def decode_sound(path: Path, rate_hz: int = 48000) -> array[float]:
    """Decode the sound to one channel, as a player hears it: edit lists honoured, silence where there is none."""
    raw = run_ffmpeg(
        [
            "-i",
            str(path),
            "-map",
            "0:a",
            "-af",
            "aresample=async=1:first_pts=0",
            "-ac",
            "1",
            "-ar",
            str(rate_hz),
            "-f",
            "f32le",
            "-",
        ]
    )
    return array("f", raw)


def rms(samples: array[float], start: int, end: int) -> float:
    """Give the root mean square of some samples."""
    part = samples[max(0, start) : end]
    return math.sqrt(sum(x * x for x in part) / len(part))


def beep_onset(samples: array[float], start: int, end: int) -> int:
    """Give the first sample of a stretch that is louder than half of its loudest."""
    part = samples[start:end]
    half = max(map(abs, part)) / 2
    return start + next(i for i, x in enumerate(part) if abs(x) > half)
