"""Cloud Run and Cloud Storage on this machine, with clips to stitch; for tests and for the contract."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.cloud_run import CloudRunEngine
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.plan import Engine, PlannedClip, StitchPlan
from media.probe import probe
from media.reader import FileReader
from tests.cloud.servers.run import RunJob, RunServer
from tests.cloud.servers.storage import StorageServer
from tests.contract.rigs import VirtualClock
from tests.media.clips import ClipSpec, make_clip

PROJECT, REGION, BUCKET = "demo-run", "us-east4", "films-of-tests"
GPU_JOB, CPU_JOB = "stitch-gpu", "stitch-cpu"
JOB_ID = "job_abc123"

#: Two that conform and, between them, one that does not: another frame rate.
MIXED = (ClipSpec(1, frames=12), ClipSpec(2, frames=15, fps="30"), ClipSpec(3, frames=12))
ALIKE = (ClipSpec(1, frames=12), ClipSpec(2, frames=12))


@dataclass
class RunBench:
    """Both servers, and an engine on them."""

    run: RunServer
    storage: StorageServer
    objects: CloudObjectStore
    folder: Path
    clock: VirtualClock = field(default_factory=VirtualClock)

    def engine(self, name: Engine = Engine.CPU) -> CloudRunEngine:
        job = GPU_JOB if name is Engine.GPU else CPU_JOB
        return CloudRunEngine(name, PROJECT, REGION, job, self.objects, self.run.url, clock=self.clock)

    def deploy(self, name: str = CPU_JOB, **changes: Any) -> None:
        env = {
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "LONGREEL_EMULATED": "on",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        }
        self.run.deploy(RunJob(name, **{"env": env, **changes}))

    def plan(self, specs: Sequence[ClipSpec] = ALIKE, attempt: int = 1, **wishes: Any) -> StitchPlan:
        """Store clips, and plan their film."""
        home = f"gs://{BUCKET}/jobs/{JOB_ID}"
        clips = [self._stored(index, spec, f"{home}/segments/{index}/1/clip.mp4") for index, spec in enumerate(specs)]
        return StitchPlan(
            job_id=JOB_ID,
            attempt=attempt,
            clips=clips,
            output_uri=f"{home}/output/{attempt}/film.mp4",
            report_uri=f"{home}/stitch/{attempt}/report.json",
            **wishes,
        )

    def fetch(self, uri: str) -> Path:
        path = self.folder / "fetched.mp4"
        self.objects.download_to(uri, path)
        return path

    def _stored(self, index: int, spec: ClipSpec, uri: str) -> PlannedClip:
        path = clip_of(spec, self.folder)
        info = self.objects.stat(uri) or self.objects.upload_from(path, uri)
        with FileReader(path) as reader:
            facts = probe(reader, path.name)
        return PlannedClip(uri=uri, generation=info.generation, facts=facts, segment_index=index)


_made: dict[ClipSpec, bytes] = {}


def clip_of(spec: ClipSpec, folder: Path) -> Path:
    """Give a clip, made once in a session."""
    path = folder / f"clip{spec.number}-{spec.frames}{spec.suffix}"
    if spec not in _made:
        _made[spec] = make_clip(spec, path).read_bytes()
    path.write_bytes(_made[spec])
    return path


@contextmanager
def run_bench(folder: Path) -> Iterator[RunBench]:
    """Start both servers with both jobs deployed; everything that was started is ended."""
    with (
        StorageServer(folder / "storage", [BUCKET]) as storage,
        RunServer() as run,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        bench = RunBench(run, storage, CloudObjectStore(partial(storage_client, PROJECT)), folder)
        for name in (GPU_JOB, CPU_JOB):
            bench.deploy(name)
        yield bench
