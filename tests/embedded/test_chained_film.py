"""A film of a daisy chain, made by the embedded pipeline from the request on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.config import LocalConfig
from adapters.local import open_home
from embedded.assembly import Pipeline, assemble
from embedded.worker import Worker
from events.clip import Clip
from events.plan import Engine
from events.requests import PromptSpec, Settings
from functions.api import create_job
from media.probe import probe
from media.reader import BytesReader
from pipeline.object_port import ObjectStore
from pipeline.records import Job, JobState
from pipeline.work_ports import ClipReady, Gone, Quote, RenderOrder
from tests.contract import local_rigs
from tests.contract.test_stitcher import plan_of
from tests.embedded.engine import wait_for
from tests.media.clips import ClipSpec, make_clip, read_frames, read_picture

FRAMES = 24


@dataclass(frozen=True, slots=True)
class ContinuingGenerator:
    """Makes clips whose first frame is the picture that they are to start from."""

    objects: ObjectStore
    folder: Path
    resubmittable: bool = True

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        """Refuse nothing; nothing costs anything."""
        return Quote()

    def submit(self, order: RenderOrder) -> ClipReady:
        begins_with = read_picture(self.objects.read(order.start_image)) if order.start_image else None
        spec = ClipSpec(order.segment_index, FRAMES, begins_with=begins_with)
        content = make_clip(spec, self.folder / f"clip-{order.segment_index}.mp4").read_bytes()
        info = self.objects.write(f"{order.output_prefix}clip.mp4", content)
        facts = probe(BytesReader(content), "clip.mp4")
        return ClipReady(Clip(uri=info.uri, generation=info.generation, facts=facts))

    def poll(self, operation: str) -> Gone:
        return Gone()

    def cancel(self, operation: str) -> None:
        """Do nothing."""


@contextmanager
def working(folder: Path) -> Iterator[Pipeline]:
    """Open a home with a worker."""
    pipeline = assemble(open_home(LocalConfig(folder / "home", None, 1, "NORMAL"), worker=True))
    continuing = ContinuingGenerator(pipeline.services.objects, folder)
    generators = {**pipeline.services.generators, "continuing": continuing}
    worker = Worker(replace(pipeline, services=replace(pipeline.services, generators=generators)), threads=1)
    worker.start()
    try:
        yield replace(pipeline, services=replace(pipeline.services, generators=generators))
    finally:
        worker.stop()
        pipeline.close()


def made(pipeline: Pipeline, request: dict[str, Any]) -> Job:
    job = create_job(pipeline.services, {"projectId": "chain", "daisyChain": True, **request}, "someone").job

    def found() -> Job:
        return pipeline.services.jobs.load(job.job_id)

    wait_for(lambda: not found().active, f"{job.job_id} ended")
    assert found().state is JobState.COMPLETED, found()
    return found()


def test_a_chain_shows_every_picture_once(tmp_path: Path) -> None:
    with working(tmp_path) as pipeline:
        prompts = [f"scene {number}" for number in range(3)]
        job = made(pipeline, {"prompts": prompts, "generator": "continuing"})
        film = tmp_path / "film.mp4"
        assert job.film is not None
        film.write_bytes(pipeline.services.objects.read(job.film.uri))

    shown = [(0, frame) for frame in range(FRAMES)]
    assert read_frames(film) == shown + [(number, frame) for number in (1, 2) for frame in range(1, FRAMES)]
    assert [join.dropped_frames for join in job.film.report.joins] == [1, 1]
    assert job.warnings == ()
    assert job.route is not None
    assert job.route.stitcher == Engine.CPU


def test_a_chain_of_cards_which_start_from_no_picture_stays_whole(tmp_path: Path) -> None:
    with working(tmp_path) as pipeline:
        prompts = [{"prompt": f"card {number}", "durationMs": 500} for number in range(2)]
        job = made(pipeline, {"prompts": prompts, "generator": "storyboard"})

    assert job.film is not None
    assert job.film.report.frame_count == 24
    assert [join.dropped_frames for join in job.film.report.joins] == [0]


@pytest.mark.parametrize(
    ("engine", "continues", "stitcher", "is_warned"),
    [
        (None, False, Engine.SPLICE, False),
        (None, True, Engine.CPU, False),
        (Engine.SPLICE, True, Engine.SPLICE, True),
        (Engine.CPU, True, Engine.CPU, False),
    ],
)
def test_a_chain_goes_to_the_program_unless_a_splice_is_asked_for(
    tmp_path: Path, engine: Engine | None, continues: bool, stitcher: Engine, is_warned: bool
) -> None:
    for rig in local_rigs.stitcher(tmp_path):
        plan = plan_of(rig)
        clips = [plan.clips[0], plan.clips[1].model_copy(update={"continues": continues})]

        route = rig.stitcher.route(plan.model_copy(update={"clips": clips, "engine": engine}))

        assert route.stitcher == stitcher
        assert bool(route.warnings) == is_warned
        assert all("twice" in warning for warning in route.warnings)
