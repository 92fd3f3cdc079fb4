"""Clips for the tests of this folder: each is encoded once a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.clips import ClipSpec, make_clip

ClipMaker = Callable[[ClipSpec], Path]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipMaker:
    """Give the file of a clip, encoding it the first time."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[ClipSpec, Path] = {}

    def give(spec: ClipSpec) -> Path:
        if spec not in made:
            made[spec] = make_clip(spec, folder / f"{len(made)}_{spec.number}{spec.suffix}")
        return made[spec]

    return give


@pytest.fixture(scope="session")
def ffprobe() -> str:
    """Give the path of ffprobe, which pip does not install."""
    found = shutil.which("ffprobe")
    if found:
        return found
    reason = "ffprobe is not installed; it comes with FFmpeg: apt-get install ffmpeg, or brew install ffmpeg"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
