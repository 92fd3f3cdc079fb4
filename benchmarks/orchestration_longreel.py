"""Longreel's embedded engine over a generator and a stitcher that do nothing.

The store, the queue, the worker and the handlers are the real ones.
"""

# ruff: noqa: ARG002 - a port names arguments that nothing here needs

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.config import LocalConfig
from adapters.local import open_home
from benchmarks.orchestration_workload import PROMPT, Shape, Stopwatch, wait_until_completed
from embedded.assembly import Pipeline, assemble
from embedded.worker import Worker
from events.clip import Clip, ClipFacts, StitchReport
from events.messages import Requested
from events.plan import StitchPlan
from events.requests import LongFormRequest, PromptSpec, SegmentSpec, Settings
from functions.api import create_job
from pipeline.commands import Outgoing
from pipeline.create import new_job
from pipeline.records import Job, Route, Segment
from pipeline.work_ports import ClipReady, FilmReady, Gone, Quote, RenderOrder

_FACTS = ClipFacts(container="mp4", size_bytes=1, duration_ms=1000, width_px=1280, height_px=720, video_codec="h264")
_REPORT = StitchReport(frame_count=1, duration_ms=1000, width_px=1280, height_px=720, size_bytes=1, sound="none")
#: Segments that a job keeps in flight; the default of a stitch request.
WIDTH = 16


@dataclass(frozen=True, slots=True)
class NoGenerator:
    """Says at once that the clip is there; on request it takes its time and notes what it made."""

    resubmittable: bool = True
    hold_seconds: float = 0.0
    ledger: Path | None = None

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Refuse nothing; nothing costs anything."""
        return Quote()

    def submit(self, order: RenderOrder) -> ClipReady:
        """Give a clip that nobody made."""
        if self.ledger is not None:
            time.sleep(self.hold_seconds)
            with self.ledger.open("ab", buffering=0) as ledger:
                ledger.write(f"{order.job_id} {order.segment_index}\n".encode())
        return ClipReady(Clip(uri=f"{order.output_prefix}clip.mp4", generation=1, facts=_FACTS))

    def poll(self, operation: str) -> Gone:
        """Know of nothing."""
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing."""


class NoStitcher:
    """Says at once that the film is there."""

    def route(self, plan: StitchPlan) -> Route:
        """Route to itself."""
        return Route("none", "a benchmark needs no film")

    def start(self, plan: StitchPlan, route: Route) -> FilmReady:
        """Give a film that nobody made."""
        return FilmReady(plan.output_uri, 1, _REPORT)

    def poll(self, operation: str) -> Gone:
        """Know of nothing."""
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing."""


def open_engine(home: Path, synchronous: str, generator: NoGenerator | None = None, *, worker: bool = True) -> Pipeline:
    """Open a home whose generator `none` does nothing."""
    pipeline = assemble(open_home(LocalConfig(home, None, 1, synchronous), worker=worker))
    services = replace(pipeline.services, generators={"none": generator or NoGenerator()}, stitcher=NoStitcher())
    return replace(pipeline, services=services)


def submit(pipeline: Pipeline, project_id: str, segments: int) -> str:
    """Create a job of any number of segments (a request may have 200 at most) and publish its start."""
    request = LongFormRequest(project_id=project_id, prompts=[PromptSpec(prompt=PROMPT)], generator="none")
    now = pipeline.services.clock.now()
    job, _ = new_job(request, job_id=pipeline.services.new_job_id(), user_id="benchmark", now=now)
    job = replace(job, segment_count=segments, width=min(WIDTH, segments))
    pipeline.services.jobs.create(job, _segments(job, request.prompts[0]))
    pipeline.services.bus.publish([Outgoing(Requested(job_id=job.job_id))])
    return job.job_id


def _segments(job: Job, scene: PromptSpec) -> list[Segment]:
    spec = SegmentSpec(scene=scene).to_json()
    return [
        Segment(job_id=job.job_id, index=index, spec=spec, updated_at=job.created_at)
        for index in range(job.segment_count)
    ]


@contextmanager
def working(home: Path, synchronous: str, generator: NoGenerator | None = None) -> Iterator[Pipeline]:
    """Open an engine and let it work."""
    pipeline = open_engine(home, synchronous, generator)
    worker = Worker(pipeline, threads=1)
    worker.start()
    yield pipeline
    worker.stop()
    pipeline.close()


def _run(shape: Shape, synchronous: str) -> None:
    with tempfile.TemporaryDirectory() as folder, working(Path(folder), synchronous) as pipeline:
        watch = Stopwatch()
        for number in range(shape.jobs):
            submit(pipeline, f"project_{number}", shape.segments)
        wait_until_completed(pipeline.adapters.database.path, shape.jobs)
        watch.read(shape.total).tell()


def _cold() -> None:
    with tempfile.TemporaryDirectory() as folder, working(Path(folder), "FULL") as pipeline:
        create_job(pipeline.services, {"generator": "none", "prompts": [PROMPT]}, "benchmark")
        wait_until_completed(pipeline.adapters.database.path, 1)
        print("completed", flush=True)


def _idle(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder, working(Path(folder), "FULL"):
        time.sleep(1.0)
        watch = Stopwatch()
        time.sleep(seconds)
        watch.read(1).tell()


def _work(home: Path, hold_seconds: float) -> None:
    with working(home, "FULL", NoGenerator(hold_seconds=hold_seconds, ledger=home / "ledger.txt")):
        print("working", flush=True)
        sys.stdin.read()


def main() -> None:
    """Run one of `run SHAPE NORMAL|FULL`, `cold`, `idle SECONDS`, `work HOME HOLD_SECONDS`."""
    match sys.argv[1:]:
        case ["run", shape, synchronous]:
            _run(Shape.parse(shape), synchronous)
        case ["cold"]:
            _cold()
        case ["idle", seconds]:
            _idle(float(seconds))
        case ["work", home, hold_seconds]:
            _work(Path(home), float(hold_seconds))
        case _:
            sys.exit(main.__doc__)


if __name__ == "__main__":
    main()
