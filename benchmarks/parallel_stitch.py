"""Encodes the same film by one FFmpeg and by two at a time, in turns, and prints how many times faster two are.

    python -m benchmarks.parallel_stitch --rounds 5

Two processors that nothing else uses are needed for numbers that mean something. "One" is measured on one processor,
to which it is bound, and on both: an FFmpeg has a thread for each of its steps, so that it uses a little of a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

from adapters.disk import DiskObjectStore
from events.plan import PlannedClip, StitchPlan
from media.probe import probe
from media.reader import FileReader


def main() -> None:
    """Run all rounds and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=24, help="length of the film that is encoded")
    parser.add_argument("--size", default="1280x720")
    options = parser.parse_args()
    processors = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(prefix="longreel-parallel-") as folder:
        plan, store = _film(Path(folder), options.seconds, options.size)
        rounds = [
            (
                _seconds(plan, store, 1, processors[:1]),
                _seconds(plan, store, 1, processors),
                _seconds(plan, store, 2, processors),
            )
            for _ in range(options.rounds)
        ]
    said = {
        "processors": len(processors),
        "oneOnOneProcessorSeconds": statistics.median(each[0] for each in rounds),
        "oneOnBothSeconds": statistics.median(each[1] for each in rounds),
        "twoOnBothSeconds": statistics.median(each[2] for each in rounds),
        "twoAgainstOneOnOneProcessor": statistics.median(each[0] / each[2] for each in rounds),
        "twoAgainstOneOnBoth": statistics.median(each[1] / each[2] for each in rounds),
    }
    print(json.dumps({name: round(value, 2) for name, value in said.items()}, indent=2))


def _film(folder: Path, seconds: int, size: str) -> tuple[StitchPlan, DiskObjectStore]:
    """Make a clip that must be encoded, and plan its film."""
    clip = folder / "clip.mkv"
    source = f"testsrc2=size={size}:rate=24:duration={seconds},noise=alls=12:allf=t"
    made = ["-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", str(clip)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *made], check=True)
    store = DiskObjectStore(folder / "objects")
    info = store.take_in(clip, "gs://clips/clip.mkv")
    with FileReader(clip) as reader:
        facts = probe(reader, clip.name)
    planned = PlannedClip(uri=info.uri, generation=info.generation, facts=facts, segment_index=0)
    home = "gs://films/jobs/job_benchmark"
    plan = StitchPlan(
        job_id="job_benchmark",
        attempt=1,
        clips=[planned],
        output_uri=f"{home}/film.mp4",
        report_uri=f"{home}/report.json",
    )
    return plan, store


def _seconds(plan: StitchPlan, store: DiskObjectStore, processes: int, processors: list[int]) -> float:
    """Make the film as a process of its own on some processors, and give how long it took."""
    paper = store.root / "plan.json"
    paper.write_text(plan.to_json())
    command = [sys.executable, "-m", "gpu_job", "--plan", str(paper), "--objects", str(store.root)]
    command += ["--work", str(store.root.parent / "work"), "--processes", str(processes)]
    bound = ["taskset", "--cpu-list", ",".join(map(str, processors))]
    began = time.monotonic()
    subprocess.run([*bound, *command], check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - began
    for uri in (plan.output_uri, plan.report_uri):
        store.delete(uri)
    return took


if __name__ == "__main__":
    main()
