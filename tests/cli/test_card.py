"""A film for which no card could be used says so on its job, in this machine's own mode as in the cloud."""

from __future__ import annotations

import shlex
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.cli.conftest import Door

TOO_OLD = "Driver does not support the required nvenc API version. Required: 13.1 Found: 12.1"
NO_DRIVER = "Cannot load libcuda.so.1"


@pytest.mark.parametrize(("said", "advice"), [(TOO_OLD, "update the driver"), (NO_DRIVER, "")])
def test_the_reason_for_libx264_is_on_the_job(door: Door, clips: Path, said: str, advice: str) -> None:
    program = door.folder / "my-ffmpeg"
    refusal = f"echo {shlex.quote(f'[h264_nvenc @ 0x55] {said}')} >&2; exit 1"
    real = shlex.quote(imageio_ffmpeg.get_ffmpeg_exe())
    program.write_text(f'#!/bin/sh\ncase "$*" in *"-c:v h264_nvenc"*) {refusal};; *) exec {real} "$@";; esac\n')
    program.chmod(0o755)

    door.ok(
        "stitch", *[clips / "one.mp4"] * 2, "--compression", "small", "-o", "film.mp4", LONGREEL_FFMPEG=str(program)
    )

    [job] = door.jobs()
    [warning] = [each for each in job["warnings"] if "h264_nvenc" in each]
    assert f"(h264_nvenc: {said})" in warning
    assert advice in warning
    assert str(door.folder) not in warning
    assert job["film"]["report"]["encoder"] == "libx264"
