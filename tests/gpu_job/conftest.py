"""Clips with a barcode of (clip, frame), made on the spot by the FFmpeg of pip, and a store to put them in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

from gpu_job.ffmpeg import FFmpeg
from tests.gpu_job.bench import BARS, CHROMA, Bench, eval_rate, run


@pytest.fixture(scope="session")
def ffmpeg_program() -> str:
    return imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture(scope="session")
def ffmpeg(ffmpeg_program: str) -> FFmpeg:
    return FFmpeg(Path(ffmpeg_program))


@pytest.fixture(scope="session")
def system_ffmpeg() -> FFmpeg:
    """Give the FFmpeg that is in PATH, which is another version than pip's."""
    found = shutil.which("ffmpeg")
    if found is None:
        assert "CI" not in os.environ, "CI must have an ffmpeg in PATH"
        pytest.skip("no ffmpeg in PATH; install your system's ffmpeg package to run this")
    return FFmpeg(Path(found))


@pytest.fixture(scope="session")
def make_clip(ffmpeg_program: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a function that makes a clip, once for each set of arguments."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def make(
        number: int,
        *,
        size: str = "160x96",
        rate: str = "24",
        frames: int = 24,
        sound: str | None = "48000 2",
        video: str = "",
        after: str = "",
        suffix: str = "mp4",
    ) -> Path:
        key = repr((number, size, rate, frames, sound, video, after, suffix))
        if key not in made:
            made[key] = folder / f"clip{len(made)}.{suffix}"
            cb, cr = CHROMA[number]
            args = ["-f", "lavfi", "-i", f"color=gray:size={size}:rate={rate},{BARS.format(cb=cb, cr=cr)}"]
            if sound:
                rate_hz, channels = sound.split()
                args += [
                    "-f",
                    "lavfi",
                    "-i",
                    f"sine=frequency={400 + 100 * number}:sample_rate={rate_hz}:samples_per_frame=512",
                ]
                args += ["-ac", channels, "-c:a", "aac", "-shortest"]
            args += ["-frames:v", str(frames), "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"]
            args += ["-bf", "2", "-g", "12", "-crf", "12", *video.split()]
            if sound:
                args += ["-af", f"apad,atrim=end={frames / eval_rate(rate)}"]
            run(ffmpeg_program, *args, *after.split(), str(made[key]))
        return made[key]

    return make


@pytest.fixture
def bench(tmp_path: Path, ffmpeg: FFmpeg) -> Iterator[Bench]:
    bench = Bench(tmp_path, ffmpeg)
    yield bench
    assert bench.leftovers() == []
