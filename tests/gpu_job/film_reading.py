"""Reading finished films in tests: barcodes out of decoded frames, packets, sound."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from tests.gpu_job.bench import CHROMA


class Barcode(NamedTuple):
    """What a frame says of itself."""

    clip: int
    frame: int


def decode(path: Path) -> list[np.ndarray]:
    """Give every frame as planar YUV 4:2:0: one array of 3/2 height."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="yuv420p") for frame in film.decode(video=0)]


def barcodes(path: Path, window: tuple[float, float, float, float] = (0, 0, 1, 1)) -> list[Barcode]:
    """Read every frame's barcode inside `window`: left, top, right, bottom as shares of the picture."""
    return [read_barcode(frame, window) for frame in decode(path)]


def read_barcode(frame: np.ndarray, window: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Barcode:
    luma, cb, cr = planes(frame)
    left, top, right, bottom = window

    def cut(plane: np.ndarray) -> np.ndarray:
        height, width = plane.shape
        return plane[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]

    bars = np.array_split(cut(luma), 8, axis=1)
    number = 0
    for bar in bars:
        middle = bar[:, bar.shape[1] // 3 : bar.shape[1] - bar.shape[1] // 3]
        number = number << 1 | int(middle.mean() > 125)
    colour = (np.median(cut(cb)), np.median(cut(cr)))
    clip = min(range(len(CHROMA)), key=lambda i: sum((a - b) ** 2 for a, b in zip(colour, CHROMA[i], strict=True)))
    return Barcode(clip, number)


def planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give luma, cb, cr."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    flat = frame.reshape(-1)
    luma, rest = flat[: height * width], flat[height * width :]
    quarter = (height // 2, width // 2)
    return luma.reshape(height, width), rest[: rest.size // 2].reshape(quarter), rest[rest.size // 2 :].reshape(quarter)


def video_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(video=0) if packet.size]


def audio_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]


def sound(path: Path) -> tuple[int, np.ndarray]:
    """Give the sample rate and all samples, channels first."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        parts = [frame.to_ndarray() for frame in film.decode(stream)]
        return stream.rate, np.concatenate(parts, axis=1)


def exact_crossfade(out: str, into: str, first: int, count: int) -> str:
    """Give a graph that fades one picture into the other from a frame on, to the nearest step of every plane.

    FFmpeg's own `xfade` is no measure for colours: it makes them by another format, up to five steps off.
    """
    chains = [
        f"[{out}]settb=1/1000,split[out1][out2];[out1]trim=end_frame={first},setpts=N[before]",
        f"[out2]trim=start_frame={first},setpts=N[below]",
        f"[{into}]settb=1/1000,split[into1][into2];[into1]trim=end_frame={count},setpts=N[above]",
        f"[into2]trim=start_frame={count},setpts=N[behind]",
        f"[below][above]blend=all_expr='A+(B-A)*(N-1)/{count}+0.5'[fade]",
        "[before][fade][behind]concat=n=3",
    ]
    return ";".join(chains)
