"""The real embedded engine over a generator that notes what it was asked for, as a program that can be killed.

`python -m tests.embedded.engine HOME LEDGER HOLD_MS` works until its standard input ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.config import LocalConfig
from adapters.local import open_home
from embedded.assembly import Pipeline, assemble
from embedded.worker import Worker
from events.clip import Clip, ClipFacts, StitchReport
from events.plan import StitchPlan
from events.requests import PromptSpec, Settings
from functions.api import create_job
from pipeline.records import Job, JobState, Route, SegmentState
from pipeline.work_ports import ClipReady, FilmReady, Gone, Quote, RenderOrder

#: Longest that a test waits for what should take a moment.
PATIENCE_SECONDS = 60.0
#: (job, segment, attempt).
Made = tuple[str, int, int]

_FACTS = ClipFacts(container="mp4", size_bytes=1, duration_ms=1000, width_px=1280, height_px=720, video_codec="h264")
_REPORT = StitchReport(frame_count=1, duration_ms=1000, width_px=1280, height_px=720, size_bytes=1, sound="none")


@dataclass(frozen=True, slots=True)
class NotingGenerator:
    """Says at once that the clip is there, and notes that it has made it."""

    ledger: Path
    hold_ms: int = 0
    resubmittable: bool = True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Refuse nothing; nothing costs anything."""
        return Quote()

    def submit(self, order: RenderOrder) -> ClipReady:
        time.sleep(self.hold_ms / 1000)
        # One write of a short line is whole or not there, whoever else writes.
        with self.ledger.open("ab", buffering=0) as ledger:
            ledger.write(f"{order.job_id} {order.segment_index} {order.attempt}\n".encode())
        return ClipReady(Clip(uri=f"{order.output_prefix}clip.mp4", generation=1, facts=_FACTS))

    def poll(self, operation: str) -> Gone:
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing."""


class NoStitcher:
    """Says at once that the film is there."""

    def route(self, plan: StitchPlan) -> Route:
        return Route("none", "a test of the engine needs no film")

    def start(self, plan: StitchPlan, route: Route) -> FilmReady:
        return FilmReady(plan.output_uri, 1, _REPORT)

    def poll(self, operation: str) -> Gone:
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Home:
    """A home folder and its ledger."""

    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.txt"

    def made(self) -> Counter[Made]:
        """Give what generators have made, and how often."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return Counter((job_id, int(index), int(attempt)) for job_id, index, attempt in map(str.split, lines))

    @contextmanager
    def open(self, *, worker: bool = False, hold_ms: int = 0) -> Iterator[Pipeline]:
        """Open the home in this process."""
        pipeline = assemble(open_home(LocalConfig(self.folder, None, 1, "NORMAL"), worker=worker))
        generators = {**pipeline.services.generators, "noting": NotingGenerator(self.ledger, hold_ms)}
        try:
            yield replace(pipeline, services=replace(pipeline.services, generators=generators, stitcher=NoStitcher()))
        finally:
            pipeline.close()

    @contextmanager
    def process(self, hold_ms: int = 0) -> Iterator[subprocess.Popen[str]]:
        """Run a worker in a process of its own; it is killed at the end if it still lives."""
        command = [sys.executable, "-m", "tests.embedded.engine", str(self.folder), str(hold_ms)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "working\n"
            try:
                yield child
            finally:
                child.kill()


def submit(pipeline: Pipeline, project_id: str, segments: int, generator: str = "noting") -> Job:
    """Ask for a job as a user does."""
    request = {"projectId": project_id, "generator": generator, "prompts": [f"scene {n}" for n in range(segments)]}
    return create_job(pipeline.services, {**request, "maxParallelSegments": 8}, "someone").job


def wait_for(what: Callable[[], bool], why: str) -> None:
    """Look often until it is so."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not what():
        if time.monotonic() > until:
            raise TimeoutError(f"it never happened that {why}")
        time.sleep(0.005)


def all_completed(pipeline: Pipeline) -> bool:
    """Tell whether no job is left to do."""
    return all(job.state is JobState.COMPLETED for job in pipeline.services.jobs.jobs())


def done_segments(pipeline: Pipeline, job: Job) -> set[int]:
    """Give the segments that are recorded as done."""
    return {each.index for each in pipeline.services.jobs.segments(job.job_id, frozenset({SegmentState.DONE}))}


def main() -> None:
    home, hold_ms = Home(Path(sys.argv[1])), int(sys.argv[2])
    with home.open(worker=True, hold_ms=hold_ms) as pipeline:
        worker = Worker(pipeline, threads=1)
        worker.start()
        os.write(1, b"working\n")
        sys.stdin.read()
        worker.stop()


if __name__ == "__main__":
    main()
