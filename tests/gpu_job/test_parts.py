"""The small parts of the program, each alone."""

from __future__ import annotations

import errno
import json
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import (
    AlreadyRunning,
    BadMedia,
    BadMessage,
    DiskFull,
    LimitExceeded,
    NotAllowed,
    NotFound,
    PipelineError,
    PreconditionFailed,
    StitchFailed,
    Unavailable,
)
from gpu_job.exits import EXITS, NO_FFMPEG, error_of, exit_code_of
from gpu_job.ffmpeg import FFmpeg
from gpu_job.ffmpeg_choice import choose_ffmpeg
from gpu_job.objects import DiskObjects
from gpu_job.reporter import Reporter
from gpu_job.workspace import require_space, workspace


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@given(steps=st.lists(st.tuples(st.integers(-10, 120), st.floats(0, 1))))
def test_progress_rises_and_is_not_chatty(steps: list[tuple[int, float]]) -> None:
    out, clock = StringIO(), Clock()
    reporter = Reporter(out, clock=clock)
    said_at = []
    for percent, wait in steps:
        clock.seconds += wait
        before = len(out.getvalue())
        reporter.progress(percent, "Working…")
        said_at += [clock.seconds] if len(out.getvalue()) > before else []

    percents = [json.loads(line)["percent"] for line in out.getvalue().splitlines()]
    assert percents == sorted(set(percents))
    assert all(0 <= percent <= 100 for percent in percents)
    for second in said_at:
        assert sum(second - 1 < other <= second for other in said_at) <= 7


def test_the_end_is_said_even_right_after_another_line() -> None:
    out = StringIO()
    reporter = Reporter(out, clock=Clock())
    reporter.progress(3, "Working…")
    reporter.progress(100, "Done.")

    assert [json.loads(line)["percent"] for line in out.getvalue().splitlines()] == [3, 100]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadMedia("x"), 65),
        (BadMessage("x"), 65),
        (NotFound("x"), 66),
        (PreconditionFailed("x"), 66),
        (LimitExceeded("x"), 73),
        (DiskFull("x"), 74),
        (NotAllowed("x"), 77),
        (Unavailable("x"), 75),
        (StitchFailed("x"), 70),
        (StitchFailed("x", code=NO_FFMPEG), 69),
        (StitchFailed("x", retryable=True), 75),
        (AlreadyRunning("x", "job_abc123"), 70),
        (PipelineError("x"), 70),
    ],
)
def test_every_error_has_an_exit_code_whose_retryability_is_its_own(error: PipelineError, code: int) -> None:
    assert exit_code_of(error) == code
    assert EXITS[code].retryable is error.retryable


def test_a_full_disk_is_no_reason_to_try_again_and_another_fault_is() -> None:
    assert isinstance(error_of(OSError(errno.ENOSPC, "No space left on device", "film.mp4")), LimitExceeded)
    assert error_of(OSError(errno.EIO, "Input/output error")).retryable


@pytest.mark.parametrize("job_id", ["job_abc123", "../../outside", "a/b", "x" * 5000, "ä\n"])
def test_a_workspace_lies_inside_its_folder_whatever_the_job_is_called(tmp_path: Path, job_id: str) -> None:
    with workspace(tmp_path / "work", job_id) as folder:
        assert folder.parent == tmp_path / "work"
        (folder / "clip").write_bytes(b"x")

    assert not folder.exists()


def test_a_workspace_that_is_in_use_is_refused_for_now(tmp_path: Path) -> None:
    with (
        workspace(tmp_path, "job_abc123"),
        pytest.raises(Unavailable, match="another stitch"),
        workspace(tmp_path, "job_abc123"),
    ):
        pass


def test_jobs_have_workspaces_of_their_own(tmp_path: Path) -> None:
    with workspace(tmp_path, "job_abc123") as one, workspace(tmp_path, "job_abc124") as two:
        assert one != two


def test_what_a_killed_stitch_left_is_removed(tmp_path: Path) -> None:
    with workspace(tmp_path, "job_abc123") as folder:
        name = folder.name
    (tmp_path / name).mkdir()
    (tmp_path / name / "encoded-0.mp4").write_bytes(b"half")

    with workspace(tmp_path, "job_abc123") as folder:
        assert list(folder.iterdir()) == []


def test_room_is_asked_for_with_a_reserve(tmp_path: Path) -> None:
    require_space(tmp_path, 0, "stitch")
    with pytest.raises(LimitExceeded, match="free some space"):
        require_space(tmp_path, 10**18, "stitch")


def test_objects_are_published_all_at_once_and_replace_older_ones(tmp_path: Path) -> None:
    objects = DiskObjects(tmp_path / "objects")
    uri = "gs://films-a/film.mp4"
    assert objects.read(uri) is None
    assert objects.size_bytes(uri) is None

    for content in (b"first", b"second one"):
        made = tmp_path / "made"
        made.write_bytes(content)
        objects.publish(made, uri)
        assert objects.read(uri) == content
        assert objects.size_bytes(uri) == len(content)


@pytest.mark.parametrize("uri", ["gs://films-a/../../etc/passwd", "http://films-a/x", "gs://films-a/"])
def test_no_address_leads_out_of_the_store(tmp_path: Path, uri: str) -> None:
    with pytest.raises(BadMessage):
        DiskObjects(tmp_path).fetch(uri, 1, tmp_path)


def test_the_ffmpeg_of_pip_is_the_default(ffmpeg: FFmpeg) -> None:
    assert choose_ffmpeg(None) == choose_ffmpeg("") == ffmpeg.program


def script(folder: Path, text: str) -> Path:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("echo ffmpeg version 4.3.1-1ubuntu1 Copyright", "too old"),
        ("echo hello", "not FFmpeg"),
        ("echo it broke >&2; exit 3", "it broke"),
        ("echo ffmpeg version 7.1 Copyright", "no libx264 encoder"),
    ],
)
def test_a_program_that_will_not_do_is_refused_with_the_reason(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(StitchFailed, match=word) as caught:
        FFmpeg(script(tmp_path, text))
    assert caught.value.code == NO_FFMPEG


def test_a_build_from_the_development_branch_is_new_enough(tmp_path: Path) -> None:
    listed = "printf ' V....D libx264 x\\n A....D aac x\\n'"
    text = f'case "$1" in -version) echo ffmpeg version N-118-gabc;; *) {listed};; esac'
    assert FFmpeg(script(tmp_path, text)).version == "N-118-gabc"


def test_a_file_that_cannot_be_run_is_no_ffmpeg(tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_text("text")
    with pytest.raises(StitchFailed, match="there is no program"):
        choose_ffmpeg(str(tmp_path / "ffmpeg"))
