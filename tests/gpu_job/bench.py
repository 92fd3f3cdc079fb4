"""What the tests of the stitch program work with: a store, a work folder, and ways to stitch there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from adapters.disk import DiskObjectStore
from events.clip import StitchReport
from events.plan import PlannedClip, StitchPlan
from gpu_job.ffmpeg import FFmpeg
from gpu_job.objects import DiskObjects
from gpu_job.reporter import Reporter
from gpu_job.stitch import Tools, stitch
from media.probe import probe
from media.reader import FileReader

REPOSITORY = Path(__file__).parents[2]

#: Luma of eight bars tells the frame's number in bits, the most significant at the left; chroma tells the clip.
BARS = "geq=lum='if(mod(floor(N/pow(2,7-floor(X*8/W))),2),170,80)':cb={cb}:cr={cr}"
#: (cb, cr) of each clip: far apart, so that they survive encoding, and colours that exist, so that no conversion clips.
CHROMA = [(88, 88), (88, 168), (168, 88), (168, 168), (128, 128)]

#: What the store's writer calls an object's file until it is whole.
HALF_WRITTEN = re.compile(r"\d+-[0-9a-f]{16}\.(json|mp4)")


def eval_rate(rate: str) -> float:
    above, _, below = rate.partition("/")
    return int(above) / int(below or 1)


def run(program: str, *args: str) -> None:
    done = subprocess.run(
        [program, "-nostdin", "-v", "error", "-y", *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Bench:
    """A store, a work folder, and ways to stitch there."""

    folder: Path
    ffmpeg: FFmpeg
    lines: list[dict[str, Any]] = field(default_factory=list)
    program_calls: int = 0
    #: Whether the program was killed by -9 here: it may have left a small object half-written, which time tidies away.
    killed: bool = False

    def __post_init__(self) -> None:
        self.store = DiskObjectStore(self.folder / "objects")
        self.work = self.folder / "work"
        self.work.mkdir()

    def plan(self, *clips: Path, **wishes: Any) -> StitchPlan:
        """Put clips into the store, probe them, and plan their film; segment indexes have gaps: 0, 10, 20, …"""
        planned = []
        for index, clip in enumerate(clips):
            uri = f"gs://clips-a/{index}/{clip.name}"
            info = self.store.write(uri, clip.read_bytes())
            with FileReader(self.store.path(uri)) as reader:
                facts = probe(reader, clip.name)
            planned.append(PlannedClip(uri=uri, generation=info.generation, facts=facts, segment_index=10 * index))
        return StitchPlan(
            job_id="job_abc123",
            attempt=1,
            clips=planned,
            output_uri="gs://films-a/film.mp4",
            report_uri="gs://films-a/report.json",
            **wishes,
        )

    def stitch(self, plan: StitchPlan, **changes: Any) -> StitchReport:
        """Stitch in this process; `lines` has what was said."""
        said = StringIO()
        tools = {
            "objects": DiskObjects(self.store.root),
            "reporter": Reporter(said),
            "ffmpeg": self._count,
            "work": self.work,
            "stall_seconds": 60,
        }
        try:
            return stitch(plan, Tools(**(tools | changes)))
        finally:
            self.lines = [json.loads(line) for line in said.getvalue().splitlines()]

    def _count(self) -> FFmpeg:
        self.program_calls += 1
        return self.ffmpeg

    @property
    def film(self) -> Path:
        return self.store.path("gs://films-a/film.mp4")

    @property
    def report(self) -> Path:
        return self.store.path("gs://films-a/report.json")

    def command(self, plan: StitchPlan, *more: str) -> list[str]:
        """Give the command line of the program."""
        paper = self.folder / "plan.json"
        paper.write_text(plan.to_json())
        command = [sys.executable, "-m", "gpu_job", "--plan", str(paper), "--work", str(self.work)]
        return [*command, "--objects", str(self.store.root), *more]

    def run_program(self, plan: StitchPlan, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        done = subprocess.run(
            self.command(plan, *more),
            capture_output=True,
            text=True,
            check=False,
            cwd=REPOSITORY,
            env=clean_environment(),
        )
        self.lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done

    def leftovers(self) -> list[str]:
        """Name what lies where nothing should lie after the end, locks apart."""
        lying = [*self.work.iterdir(), *(self.store.root / ".parts").iterdir()]
        names = [path.name for path in lying if path.suffix != ".lock" and path.name != "turn"]
        return [name for name in names if not (self.killed and HALF_WRITTEN.fullmatch(name))]


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LONGREEL_")}
