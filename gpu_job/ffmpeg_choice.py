"""Which FFmpeg to run: a named one, or the one that pip installed. The only file that imports `imageio_ffmpeg`."""

from __future__ import annotations

import shutil
from pathlib import Path

from events.errors import StitchFailed
from gpu_job.exits import NO_FFMPEG


def choose_ffmpeg(named: str | None) -> Path:
    """Give the absolute path of the FFmpeg program.

    Args:
        named: a path, or a name to look up in PATH; None or empty for the one that came with `longreel[local]`.

    Raises:
        StitchFailed: `no_ffmpeg`, saying what to install or set.
    """
    if named:
        found = shutil.which(named)
        if found is None:
            raise StitchFailed(
                f"start FFmpeg: there is no program {named!r}; correct --ffmpeg or LONGREEL_FFMPEG", code=NO_FFMPEG
            )
        return Path(found).absolute()
    return _installed_by_pip()


def _installed_by_pip() -> Path:
    try:
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    except (ImportError, RuntimeError) as exc:
        raise StitchFailed(
            "start FFmpeg: none is installed; run `pip install 'longreel[local]'`, "
            "or name one by --ffmpeg or LONGREEL_FFMPEG",
            code=NO_FFMPEG,
        ) from exc
