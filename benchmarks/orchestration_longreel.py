"""Longreel's embedded engine with a generator and a stitcher that do nothing: the real store, queue, worker, handlers."""

from __future__ import annotations

import sys
import tempfile
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
from pipeline.commands import Outgoing
from pipeline.create import new_job
from pipeline.records import Job, Route, Segment
from pipeline.work_ports import ClipReady, FilmReady, Gone, RenderOrder

_FACTS = ClipFacts(container="mp4", size_bytes=1, duration_ms=1000, width_px=1280, height_px=720, video_codec="h264")
_REPORT = StitchReport(frame_count=1, duration_ms=1000, width_px=1280, height_px=720, size_bytes=1, sound="none")
#: Segments that a job keeps in flight; the default of a stitch request.
WIDTH = 16


@dataclass(frozen=True, slots=True)
class NoGenerator:
    """Says at once that the clip is there."""

    resubmittable: bool = True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> None:
        """Refuse nothing."""

    def submit(self, order: RenderOrder) -> ClipReady:
        """Give a clip that nobody made."""
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


def main() -> None:
    """Run `SHAPE NORMAL|FULL`."""
    shape, synchronous = Shape.parse(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as folder:
        pipeline = open_engine(Path(folder), synchronous)
        worker = Worker(pipeline, threads=1)
        worker.start()
        watch = Stopwatch()
        for number in range(shape.jobs):
            submit(pipeline, f"project_{number}", shape.segments)
        wait_until_completed(pipeline.adapters.database.path, shape.jobs)
        watch.read(shape.total).tell()
        worker.stop()
        pipeline.close()


if __name__ == "__main__":
    main()
