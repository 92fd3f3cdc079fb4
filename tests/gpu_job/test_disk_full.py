"""A disk that really is full: a small file system of its own, under the program's work folder or the store."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.disk import DiskObjectStore
from events.errors import DiskFull
from gpu_job.exits import DISK_FULL
from gpu_job.workspace import RESERVE_BYTES
from tests.gpu_job.bench import HALF_WRITTEN, Bench

MakeClip = Callable[..., Path]
_MIB = 1024 * 1024


@contextmanager
def small_disk(at: Path, size_bytes: int) -> Iterator[Callable[[int], None]]:
    """Mount a file system of its own in memory; give what changes its size."""
    at.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(at)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if mounted is None or mounted.returncode != 0:
        if "CI" in os.environ:
            raise AssertionError("a small disk cannot be mounted here; run the tests as root of a container that may")
        pytest.skip("mounting a small disk needs root; the same tests run in CI")

    def resize(to_bytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to_bytes}", str(at)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", str(at)], check=True)


def error_line(bench: Bench) -> dict[str, object]:
    (line,) = [line for line in bench.lines if line["type"] == "error"]
    return line


def left_in(folder: Path) -> list[str]:
    """Give files that somebody has left, but locks, which are empty."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_film_for_which_there_is_no_room_is_not_begun_and_it_says_where_how_much_is_missing(
    bench: Bench, make_clip: MakeClip
) -> None:
    plan = bench.plan(make_clip(0, frames=12), make_clip(1, rate="30", frames=12))
    with small_disk(bench.work, RESERVE_BYTES // 2) as resize:
        done = bench.run_program(plan)

        assert done.returncode == DISK_FULL
        said = error_line(bench)
        assert (said["code"], said["retryable"]) == ("disk_full", True)
        assert str(bench.work) in str(said["message"])
        assert "MB are missing" in str(said["message"])
        assert left_in(bench.work) == []
        resize(4 * RESERVE_BYTES)
        bench.lines.clear()
        assert bench.run_program(plan).returncode == 0
    assert bench.store.stat(plan.output_uri) is not None


def test_a_disk_that_others_fill_while_a_film_is_made_leaves_nothing_half_written_and_a_second_run_completes(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, ffmpeg_program: str
) -> None:
    plan = bench.plan(make_clip(0, frames=48), make_clip(1, rate="30", frames=48))
    with small_disk(bench.work, 4 * RESERVE_BYTES):
        done = bench.run_program(plan, "--ffmpeg", filling(tmp_path, bench.work, ffmpeg_program))

        assert done.returncode == DISK_FULL, done.stderr
        said = str(error_line(bench)["message"])
        assert "the disk is full: 0 MB are free in" in said
        assert str(bench.work) in said
        others = bench.work / "others"
        assert left_in(bench.work) == [others.name]
        assert bench.store.stat(plan.output_uri) is None
        others.unlink()
        bench.lines.clear()
        assert bench.run_program(plan).returncode == 0
    assert bench.store.stat(plan.output_uri) is not None


def filling(folder: Path, disk: Path, ffmpeg_program: str) -> str:
    """Write an FFmpeg that finds the disk filled to the last byte by somebody else when it begins to encode."""
    script = folder / "filling.sh"
    script.write_text(
        f"""#!/bin/sh
case "$*" in
*-version*|*-encoders*) ;;
*-progress*) cat /dev/zero > '{disk}/others' 2>/dev/null ;;
esac
exec '{ffmpeg_program}' "$@"
"""
    )
    script.chmod(0o755)
    return str(script)


def test_an_object_store_on_a_full_disk_says_so_leaves_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", _MIB) as resize:
        store = DiskObjectStore(tmp_path / "disk" / "objects")
        store.write("gs://films/kept", b"kept")

        with pytest.raises(DiskFull, match=r"write gs://films/film: the disk is full: \d+ MB are free in .*objects"):
            store.write("gs://films/film", bytes(2 * _MIB))

        assert store.stat("gs://films/film") is None
        assert [path for path in store.parts.iterdir() if HALF_WRITTEN.fullmatch(path.name)] == []
        assert store.read("gs://films/kept") == b"kept"
        resize(4 * _MIB)
        store.write("gs://films/film", bytes(2 * _MIB))
    assert not (tmp_path / "disk" / "objects").exists()
