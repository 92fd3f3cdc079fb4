"""Decodes a film that `benchmarks.stitch` had made: every frame, every sample, edit lists honoured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from benchmarks.stitch_pictures import BARCODE_HEIGHT, CHECK_BITS, CLIP_BITS, FRAME_BITS, checksum

_BLOCKS = CLIP_BITS + FRAME_BITS + CHECK_BITS
#: What is looked at to see the flash: points so far apart, none of the barcode; and how bright they are then.
_POINTS_PX, _WHITE = 40, 200

Samples = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8]
#: Clip and frame.
Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame as it was decoded."""

    #: By its barcode; None where that cannot be read.
    identity: Identity | None
    #: When it is shown, in seconds.
    at: Fraction
    is_flash: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A film, decoded."""

    frames: list[Seen]
    #: One channel from second 0 on; silence where there is none.
    sound: Samples
    rate_hz: int
    #: How long the file says that its sound is; what is decoded may go on to the end of a packet.
    sound_seconds: Fraction
    #: The pictures that were kept to be compared.
    kept: dict[Identity, Luma] = field(default_factory=dict)

    def flash_at(self, clip: int) -> Fraction | None:
        """Say when the flash of a clip is seen first."""
        return next(
            (seen.at for seen in self.frames if seen.is_flash and seen.identity and seen.identity[0] == clip), None
        )

    def starts_at(self, clip: int) -> Fraction | None:
        """Say when the first frame of a clip is seen."""
        return next((seen.at for seen in self.frames if seen.identity and seen.identity[0] == clip), None)


def watch(path: Path, *, keep_every: int = 0) -> Watched:
    """Decode a film.

    Args:
        path: the film.
        keep_every: every so many frames one picture is kept; 0 for none.
    """
    frames: list[Seen] = []
    kept: dict[Identity, Luma] = {}
    with av.open(str(path)) as opened:
        for number, (seen, luma) in enumerate(_see(opened)):
            frames.append(seen)
            if keep_every and number % keep_every == keep_every // 2 and seen.identity:
                kept[seen.identity] = luma.copy()
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        sound = _hear(opened, stream)
        assert stream.duration is not None
        assert stream.time_base is not None
        return Watched(frames, sound, stream.rate, stream.duration * stream.time_base, kept)


def luma_of(frame: av.VideoFrame) -> Luma:
    """Give the brightness of a decoded picture."""
    plane = frame.planes[0]
    luma: Luma = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
    return luma


def _see(opened: av.container.InputContainer) -> Iterator[tuple[Seen, Luma]]:
    stream = opened.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in opened.decode(stream):
        luma = luma_of(frame)
        assert frame.pts is not None
        assert frame.time_base is not None
        code = int(frame.height * BARCODE_HEIGHT)
        points = luma[code + _POINTS_PX // 2 :: _POINTS_PX, ::_POINTS_PX]
        middles = (2 * np.arange(_BLOCKS) + 1) * frame.width // (2 * _BLOCKS)
        seen = Seen(_identity(luma[code // 2, middles]), frame.pts * frame.time_base, bool(points.mean() > _WHITE))
        yield seen, luma


def _identity(blocks: npt.NDArray[Any]) -> Identity | None:
    number = 0
    for block in blocks:
        number = number << 1 | bool(block > 128)
    check, number = number & ((1 << CHECK_BITS) - 1), number >> CHECK_BITS
    return divmod(number, 1 << FRAME_BITS) if check == checksum(number) else None


def _hear(opened: av.container.InputContainer, stream: av.AudioStream) -> Samples:
    pieces: list[tuple[int, Samples]] = []
    for frame in opened.decode(stream):
        assert frame.pts is not None
        assert frame.time_base is not None
        pieces.append((round(frame.pts * frame.time_base * stream.rate), frame.to_ndarray()[0].astype(np.float32)))
    sound = np.zeros(max(start + len(piece) for start, piece in pieces), np.float32)
    for start, piece in pieces:
        sound[max(0, start) : start + len(piece)] = piece[max(0, -start) :]
    return sound
