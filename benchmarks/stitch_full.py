"""The full encode by our own program: told of every clip that it cannot be copied, it encodes all as usual."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

from adapters.disk import DiskObjectStore
from events.plan import PlannedClip, StitchPlan
from media.probe import probe
from media.reader import FileReader

REPOSITORY = Path(__file__).parent.parent
#: As a probe says of a clip that cannot be joined with any other.
OBSTACLE = "the benchmark wants it encoded"


def plan_of(paths: Sequence[Path], store: DiskObjectStore, *, obstacle: str = "") -> StitchPlan:
    """Put clips into a store, each once, and plan their film; an obstacle keeps all from being copied."""
    planned: dict[Path, PlannedClip] = {}
    clips = []
    for index, path in enumerate(paths):
        if path not in planned:
            uri = f"gs://films-a/clips/{path.name}"
            generation = store.write(uri, path.read_bytes()).generation
            with FileReader(path) as reader:
                facts = probe(reader, path.name)
            if obstacle:
                facts = facts.model_copy(update={"obstacles": [obstacle]})
            planned[path] = PlannedClip(uri=uri, generation=generation, facts=facts, segment_index=index)
        clips.append(planned[path].model_copy(update={"segment_index": index}))
    return StitchPlan(
        job_id="job_bench",
        attempt=1,
        clips=clips,
        output_uri="gs://films-a/film.mp4",
        report_uri="gs://films-a/report.json",
    )


def main() -> None:
    """Run `OUTPUT FOLDER CLIP...`."""
    output, folder, *clips = map(Path, sys.argv[1:])
    store = DiskObjectStore(folder / "objects")
    plan = plan_of(clips, store, obstacle=OBSTACLE)
    paper = folder / "plan.json"
    paper.write_text(plan.to_json())
    command = [sys.executable, "-m", "gpu_job", "--plan", str(paper), "--work", str(folder / "work")]
    command += ["--objects", str(store.root), "--ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    store.path(plan.output_uri).rename(output)


if __name__ == "__main__":
    main()
