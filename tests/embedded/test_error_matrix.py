"""What goes wrong while a film is made on one machine, made to happen by an FFmpeg that does it at the right moment.

The cloud's half is tests/cloud/test_error_matrix.py; what is true of both is in docs/operating.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import pytest

from adapters.config import LocalConfig
from adapters.local import open_home
from embedded.assembly import Pipeline, assemble
from embedded.worker import Worker
from events.names import parse_uri
from events.plan import StitchPlan
from functions.api import create_job, resume_job
from pipeline import limits
from pipeline.records import Job
from tests.embedded.engine import wait_for
from tests.media.clips import ClipSpec, expected_frames, make_clip, read_frames

#: Runs the real program, but does something else first when it is to encode a piece; `$N` counts those calls from 1,
#: and `$PPID` is the stitch program. A line a call is kept of what was to be made.
_WRAPPER = """#!/bin/sh
case "$*" in
*-version*|*-encoders*) ;;
*/clip-*.mp4)
    for last; do :; done
    echo "$last" >> '{calls}'
    N=$(wc -l < '{calls}')
    {what}
    ;;
esac
exec '{ffmpeg}' "$@"
"""


@dataclass
class Desk:
    """A home, clips of three kinds, and an FFmpeg that can be told to misbehave."""

    folder: Path

    @property
    def script(self) -> Path:
        return self.folder / "ffmpeg.sh"

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    def misbehave(self, what: str) -> None:
        """Say in words of a shell what happens when FFmpeg is to encode."""
        self.calls.touch()
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        # A folder is made once, whoever tries at the same time.
        what = what.format(once=f"'{self.folder}/once'")
        self.script.write_text(_WRAPPER.format(calls=self.calls, what=what, ffmpeg=ffmpeg))
        self.script.chmod(0o755)

    @contextmanager
    def open(self) -> Iterator[Pipeline]:
        """Open the home with a worker at work."""
        pipeline = assemble(open_home(LocalConfig(self.folder / "home", str(self.script), 1, "NORMAL"), worker=True))
        worker = Worker(pipeline, threads=1)
        worker.start()
        try:
            yield pipeline
        finally:
            worker.stop()
            pipeline.close()

    def clips(self, pipeline: Pipeline, specs: list[ClipSpec | bytes]) -> list[str]:
        uris = []
        for number, spec in enumerate(specs):
            uri = f"gs://longreel/clips/{number}.mp4"
            content = spec if isinstance(spec, bytes) else self.content_of(spec)
            pipeline.adapters.objects.write(uri, content)
            uris.append(uri)
        return uris

    def content_of(self, spec: ClipSpec) -> bytes:
        return make_clip(spec, self.folder / f"made-{spec.number}.mp4").read_bytes()

    def made(self, pipeline: Pipeline, specs: list[ClipSpec | bytes], **wishes: object) -> tuple[Job, list[str]]:
        """Make a reel to its end; give the job, and the codes of what failed on the way."""
        request = {"clips": self.clips(pipeline, specs), "projectId": "matrix", "engine": "cpu", **wishes}
        return over(pipeline, create_job(pipeline.services, request, "someone").job.job_id)

    def shown(self, pipeline: Pipeline, job: Job) -> list[tuple[int, int]]:
        assert job.film is not None, job
        path = self.folder / "film.mp4"
        path.write_bytes(pipeline.adapters.objects.read(job.film.uri))
        return read_frames(path)

    def plan(self, pipeline: Pipeline, job: Job, attempt: int) -> StitchPlan:
        text = pipeline.adapters.objects.read(f"gs://longreel/jobs/{job.job_id}/stitch/{attempt}/plan.json")
        return StitchPlan.from_json(text)

    def half_written(self, pipeline: Pipeline) -> list[str]:
        """Name what somebody has left beside the objects, but empty locks."""
        parts = pipeline.adapters.objects.parts
        return [str(path) for path in parts.rglob("*") if path.is_file() and path.stat().st_size]


def over(pipeline: Pipeline, job_id: str) -> tuple[Job, list[str]]:
    """Wait until a job is over; give it, and the codes of what failed on the way."""
    seen: dict[int, str] = {}

    def is_over() -> bool:
        job = pipeline.services.jobs.load(job_id)
        if job.stitch_error is not None and not job.stitch.claimed:
            seen[job.stitch.attempt] = job.stitch_error.code
        return not job.active

    wait_for(is_over, "the job ended")
    return pipeline.services.jobs.load(job_id), list(seen.values())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.misbehave(":")
    return desk


def some(count: int) -> list[ClipSpec | bytes]:
    """Describe clips that are all encoded where the film is to be small."""
    return [ClipSpec(number, frames=12) for number in range(1, count + 1)]


SMALL = {"compression": "small"}


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param("mkdir {once} 2>/dev/null && kill -9 $$", id="one FFmpeg"),
        pytest.param("mkdir {once} 2>/dev/null && kill -9 $PPID", id="the whole program"),
    ],
)
def test_a_film_that_ran_out_of_memory_is_made_with_less_at_a_time_and_the_job_says_so(desk: Desk, kill: str) -> None:
    desk.misbehave(kill)
    with desk.open() as pipeline:
        job, seen = desk.made(pipeline, some(2), **SMALL)

        assert (job.state, seen, job.stitch.attempt) == ("completed", ["out_of_memory"], 2)
        assert [each for each in job.warnings if each.startswith("Memory ran out")]
        assert [desk.plan(pipeline, job, attempt).larger for attempt in (1, 2)] == [False, True]
        assert desk.shown(pipeline, job) == expected_frames([ClipSpec(1, frames=12), ClipSpec(2, frames=12)])
        assert desk.half_written(pipeline) == []


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_a_clip_that_cannot_be_decoded_is_left_out_where_allowed_and_else_named(desk: Desk, policy: str) -> None:
    content = desk.content_of(ClipSpec(2, frames=12))
    start = content.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(content[start - 8 : start - 4])
    bad = content[:start] + b"\xff" * (end - start) + content[end:]
    good = [ClipSpec(1, frames=12), ClipSpec(3, frames=12)]
    with desk.open() as pipeline:
        job, _ = desk.made(pipeline, [good[0], bad, good[1]], onSegmentFailure=policy, **SMALL)

        if policy == "skip":
            assert (job.state, job.skipped_count) == ("completed", 1)
            assert [each for each in job.warnings if each.startswith("Clip 2 is left out: ")]
            assert desk.shown(pipeline, job) == expected_frames(good)
        else:
            assert job.error is not None
            assert (job.state, job.error.code, job.error.segment_index) == ("failed", "bad_media", 1)
            assert job.stitch.attempt == 1


def test_a_disk_that_is_full_for_a_moment_is_tried_again_and_nothing_is_left(desk: Desk) -> None:
    desk.misbehave("mkdir {once} 2>/dev/null && {{ echo 'x: No space left on device' >&2; exit 1; }}")
    with desk.open() as pipeline:
        job, seen = desk.made(pipeline, some(2), **SMALL)

        assert (job.state, seen) == ("completed", ["disk_full"])
        assert desk.half_written(pipeline) == []


def test_a_disk_that_stays_full_fails_the_job_with_the_folder_and_a_resume_completes_when_there_is_room(
    desk: Desk,
) -> None:
    desk.misbehave("echo 'x: No space left on device' >&2; exit 1")
    with desk.open() as pipeline:
        job, _ = desk.made(pipeline, some(2), **SMALL)

        assert job.error is not None
        assert (job.state, job.error.code, job.stitch.attempt) == ("failed", "disk_full", limits.TRIES_MAX)
        assert str(desk.folder / "home") in job.error.message
        assert "MB are free" in job.error.message
        assert desk.half_written(pipeline) == []
        desk.misbehave(":")
        resume_job(pipeline.services, job.job_id)
        again, _ = over(pipeline, job.job_id)
        assert again.state == "completed"


def test_a_program_that_is_stopped_more_often_than_there_are_tries_goes_on_each_time_and_encodes_no_piece_twice(
    desk: Desk,
) -> None:
    """As by a time limit: SIGTERM, when a second piece is begun. With one FFmpeg at a time, one more is done each."""
    stops, clips = limits.TRIES_MAX + 1, limits.TRIES_MAX + 3
    desk.misbehave(f"[ $((N % 2)) -eq 1 ] || [ $N -gt {2 * stops} ] || {{{{ kill -TERM $PPID; sleep 5; }}}}")
    with one_at_a_time(), desk.open() as pipeline:
        started = time.monotonic()
        job, seen = desk.made(pipeline, some(clips), **SMALL)

        assert (job.state, seen) == ("completed", ["program_stopped"] * stops)
        assert job.film is not None
        assert job.film.report.resumed_count == stops
        begun = [line.rpartition("/")[2] for line in desk.calls.read_text().splitlines()]
        assert len(begun) - len(set(begun)) == stops, "each stop costs what was under way, and no more"
        assert desk.half_written(pipeline) == []
        assert time.monotonic() - started < 120


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let the threads that are started meanwhile, and their programs, have one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def test_a_lost_object_store_name_is_no_network_here(desk: Desk) -> None:
    """There is no line between machines in the embedded mode: a clip that is gone is said, and not waited for."""
    with desk.open() as pipeline:
        request = {"clips": desk.clips(pipeline, some(2)), "projectId": "matrix", "engine": "cpu"}
        gone = pipeline.adapters.objects.path(request["clips"][1])
        assert parse_uri(request["clips"][1]).name == "clips/1.mp4"
        gone.unlink()
        job, _ = over(pipeline, create_job(pipeline.services, request, "someone").job.job_id)

        assert job.error is not None
        assert (job.state, job.error.segment_index) == ("failed", 1)
