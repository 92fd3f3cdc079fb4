"""Measures memory and disk from films of a few clips to films of hundreds: `python -m benchmarks.stitch_memory`.

Each run is `python -m gpu_job` on a folder as object store, as the embedded mode starts it. Memory is the peak of the
program and all FFmpegs below it together, see `benchmarks.stitch_measure`. Disk is what lies in the work folder and is
new in the store, looked at as often as can be; beside it stands what the program said before it began, see
`gpu_job.room`. Clips that are copied are 2 to 6 s long; ones that are encoded are shorter, since it is their number
that could make memory grow. Takes some fifteen minutes of two quiet cores; `--quick` takes less than one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from adapters.disk import DiskObjectStore
from benchmarks.stitch_measure import Cost, run
from benchmarks.stitch_memory_clips import Kind, clip_file
from events.plan import PlannedClip, StitchPlan, Transition
from gpu_job.objects import DiskObjects
from gpu_job.room import disk_bytes
from media.probe import probe
from media.reader import FileReader
from media.target import choose_target

RESULTS = Path(__file__).parent / "results" / "stitch_memory.json"
COUNTS = (15, 100, 500)
#: Promised: by how much memory may grow between films of the fewest and of the most clips, and what 4K may take.
GROWTH_MIB_MAX, LARGE_MIB_MAX = 50, 1024
_LOOK_EVERY_SECONDS = 0.02
#: What a file's blocks are counted in, whatever the file system's own are.
_BLOCK_BYTES = 512
_MUSIC = "gs://films/clips/music.mp4"

KEPT = (Kind(2), Kind(3), Kind(4), Kind(5), Kind(6))
SHORT = (Kind(0.5, gop=6), Kind(0.75, gop=6))
ODD = (
    Kind(0.5, size="640x360", rate="30", sound="44100 1"),
    Kind(0.5, size="720x1280", rate="25", sound="48000 2"),
    Kind(0.5, size="1920x1080", rate="24000/1001", sound=None),
    Kind(0.5, size="854x480", rate="50", sound="32000 2", codec="mpeg4"),
    Kind(0.5, size="1280x720", rate="60", sound="48000 6"),
)


@dataclass(frozen=True)
class Case:
    """A kind of film: which clip comes at each place, and what else is wished."""

    kind: Callable[[int], Kind]
    wishes: Mapping[str, Any] = field(default_factory=dict)
    counts: Sequence[int] = COUNTS


def _of(*kinds: Kind) -> Callable[[int], Kind]:
    return lambda index: kinds[index % len(kinds)]


def _tenth_odd(index: int) -> Kind:
    # The shortest film has both kinds, so that films differ in nothing but their number of clips.
    return (ODD[0], ODD[2])[index // 10 % 2] if index % 10 == 0 else KEPT[index % len(KEPT)]


_FADES: Mapping[str, Any] = {"transition": Transition.CROSSFADE, "transition_ms": 250}
_4K, _4K60 = Kind(1, size="3840x2160"), Kind(1, size="3840x2160", rate="60")
_HEVC = Kind(1, size="3840x2160", rate="60", codec="libx265 10")
_8K = Kind(0.5, size="7680x4320")

#: A film of any case shows its clips as chapters with titles and is looked at at every join that is affordable.
GROWING: dict[str, Case] = {
    "conforming": Case(_of(*KEPT)),
    "all joins looked at": Case(_of(*KEPT), {"fail_on_seams": True}),
    "loudness and music": Case(_of(*KEPT), {"loudness": "r128", "music": _MUSIC}),
    "one-tenth odd": Case(_tenth_odd),
    "all different": Case(_of(*ODD)),
    "crossfades": Case(_of(*SHORT), _FADES),
}
LARGE: dict[str, Case] = {
    "4K H.264 24 fps, odd among 720p": Case(_of(KEPT[0], _4K, KEPT[0]), counts=(3,)),
    "4K H.264 60 fps, crossfades": Case(_of(_4K60), _FADES, (3,)),
    "4K HEVC 10 bit 60 fps, odd among 4K": Case(_of(_4K, _4K, _HEVC), counts=(3,)),
    "4K all different": Case(_of(_4K, _HEVC, _4K60), {"compression": "small"}, (3,)),
    "8K H.264 among 720p": Case(_of(KEPT[0], _8K, KEPT[0]), counts=(3,)),
    "8K H.264, crossfades": Case(_of(_8K), {**_FADES, "transition_ms": 100}, (2,)),
}


def main() -> None:
    """Measure what is asked for, and write it down after every run."""
    options = _parser().parse_args()
    cases = {name: case for name, case in (GROWING | LARGE).items() if not options.cases or name in options.cases}
    results = json.loads(options.results.read_text()) if options.only_missing and options.results.exists() else {}
    rows = results.setdefault("rows", {})
    results["machine"] = {
        "system": platform.platform(),
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
    }
    for name, case in cases.items():
        for count in [3] if options.quick else options.counts or case.counts:
            if str(count) in rows.get(name, {}):
                continue
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                row = measure(case, count, Path(folder), options.clips)
            rows.setdefault(name, {})[str(count)] = row
            print(f"{name}, {count} clips: {json.dumps(row)}", flush=True)
            _write(options.results, results)
    for each in _write(options.results, results):
        print(f"{'met' if each['is_met'] else 'NOT MET'}: {each['target']}: {each['found']}")


def _write(path: Path, results: dict[str, Any]) -> list[dict[str, Any]]:
    said = verdicts(results["rows"])
    path.write_text(json.dumps({**results, "verdicts": said}, indent=1) + "\n")
    return said


def measure(case: Case, count: int, folder: Path, clips: Path) -> dict[str, Any]:
    """Make one film and say what it took."""
    store = DiskObjectStore(folder / "objects")
    plan = _plan(case, count, store, clips)
    work = folder / "work"
    work.mkdir()
    paper = folder / "plan.json"
    paper.write_text(plan.to_json())
    command = [sys.executable, "-m", "gpu_job", "--plan", str(paper), "--work", str(work), "--objects"]
    told = disk_bytes(plan, choose_target(plan), DiskObjects(store.root))
    inputs = _bytes_below(folder)
    with _watched(folder) as peak:
        cost = run([*command, str(store.root)], Path(__file__).parents[1], folder / "log")
    film = store.path(plan.output_uri).stat().st_size
    return _row(plan, cost) | {
        "inputs_bytes": inputs,
        "film_bytes": film,
        "disk_peak_bytes": peak[0] - inputs,
        "disk_told_bytes": told,
    }


def _row(plan: StitchPlan, cost: Cost) -> dict[str, Any]:
    return {
        "clips_seconds": round(sum(clip.facts.duration_ms for clip in plan.clips) / 1000, 1),
        "peak_mib": round(cost.peak_mib, 1),
        "cpu_seconds": round(cost.cpu_seconds, 2),
        "wall_seconds": round(cost.wall_seconds, 2),
    }


def _plan(case: Case, count: int, store: DiskObjectStore, clips: Path) -> StitchPlan:
    if case.wishes.get("music"):
        store.write(_MUSIC, clip_file(Kind(20, size="160x96"), clips).read_bytes())
    planned = []
    for index in range(count):
        path = clip_file(case.kind(index), clips)
        uri = f"gs://films/clips/{index}/clip.mp4"
        info = store.write(uri, path.read_bytes())
        with FileReader(path) as reader:
            facts = probe(reader, path.name)
        title = f"What clip {index + 1} is about"
        clip = PlannedClip(uri=uri, generation=info.generation, facts=facts, segment_index=index, title=title)
        planned.append(clip)
    said: dict[str, Any] = {"job_id": "job_memory", "attempt": 1, "clips": planned, **case.wishes}
    return StitchPlan(output_uri="gs://films/film.mp4", report_uri="gs://films/report.json", **said)


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """Look at how many bytes lie in a folder, again and again; the list holds the most that were seen."""
    peak, is_over = [0], threading.Event()

    def look() -> None:
        while not is_over.wait(_LOOK_EVERY_SECONDS):
            peak[0] = max(peak[0], _bytes_below(folder))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()
        peak[0] = max(peak[0], _bytes_below(folder))


def _bytes_below(folder: Path | str) -> int:
    """Sum up what all files take, a file of several names once, and of one with holes what is there of it."""
    found: dict[int, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                seen = (Path(place) / name).lstat()
            except FileNotFoundError:  # moved or deleted since
                continue
            found[seen.st_ino] = min(seen.st_size, seen.st_blocks * _BLOCK_BYTES)
    return sum(found.values())


def verdicts(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Say of every promise whether it is kept, and by how much: lists of `target`, `found` and `is_met`."""
    said = [_memory_verdict(name, [row["peak_mib"] for row in by_count.values()]) for name, by_count in rows.items()]
    for name, by_count in rows.items():
        for count, row in by_count.items():
            used, told = row["disk_peak_bytes"], row["disk_told_bytes"]
            found = f"{used:,} bytes of {told:,}"
            said.append(_verdict(f"{name}, {count} clips: no more disk than was told before", found, used <= told))
    return said


def _memory_verdict(name: str, peaks_mib: Sequence[float]) -> dict[str, Any]:
    if name in LARGE:
        found = f"{max(peaks_mib):.0f} MiB"
        return _verdict(f"{name}: below {LARGE_MIB_MAX} MiB", found, max(peaks_mib) < LARGE_MIB_MAX)
    growth = max(peaks_mib) - peaks_mib[0]
    found = f"{', '.join(f'{each:.0f}' for each in peaks_mib)} MiB"
    return _verdict(f"{name}: within {GROWTH_MIB_MAX} MiB of the shortest film", found, growth <= GROWTH_MIB_MAX)


def _verdict(target: str, found: str, is_met: bool) -> dict[str, Any]:
    return {"target": target, "found": found, "is_met": is_met}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stitch_memory", description=__doc__)
    kept = Path(tempfile.gettempdir()) / f"longreel-benchmark-{os.getuid()}" / "memory"
    parser.add_argument("--clips", type=Path, default=kept, help=f"folder in which clips are kept (default {kept})")
    parser.add_argument("--folder", type=Path, help="folder for stores and films (default: the place for such files)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file to write")
    parser.add_argument("--cases", nargs="*", help=f"of: {', '.join(GROWING | LARGE)}")
    parser.add_argument("--counts", nargs="*", type=int, help="how many clips (default 15 100 500)")
    parser.add_argument("--only-missing", action="store_true", help="keep what the results already have")
    parser.add_argument("--quick", action="store_true", help="three clips in every case")
    return parser


if __name__ == "__main__":
    main()
