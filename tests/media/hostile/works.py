"""What is done with a hostile file: each is one of the places where strangers' bytes come into Longreel."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from random import Random
from time import process_time

import av.audio
import av.video

import gpu_job.__main__ as program
import media.probe_av
from adapters.disk import DiskObjectStore
from events.clip import ClipFacts
from events.errors import BadMedia, PipelineError, StitchFailed
from events.plan import PlannedClip, StitchPlan, Transition
from media.last_frame import last_frame_png
from media.mp4_index import read_movie
from media.probe import probe
from media.reader import BytesReader, FileReader
from media.splice import Source, splice

#: Imported here so that no fork pays for it.
_WARM = (av.audio, av.video, media.probe_av)


def look(path: str) -> str:
    """Probe a file, and give its facts."""
    with FileReader(Path(path)) as reader:
        return probe(reader, "clip.mp4").to_json()


def last_frame(path: str) -> str:
    """Take the last frame, and give the length of its picture."""
    with FileReader(Path(path)) as reader:
        return f"PNG of {len(last_frame_png(reader, 'clip.mp4'))} bytes"


def seam(path: str) -> str:
    """Join a file to itself, so that its sound is decoded at the join, and give the length of the film."""
    with FileReader(Path(path)) as reader:
        movie = read_movie(reader, "clip.mp4")
        return f"film of {splice([Source(movie, reader)] * 3).size_bytes} bytes"


class _Told(PipelineError):
    """What the stitch program said when it failed."""

    def __init__(self, message: str, segment_index: int | None) -> None:
        super().__init__(message)
        self.segment_index = segment_index


def film(path: str, beside: str, folder: str, transition: str = "cut") -> str:
    """Stitch a file beside a good one by the whole program, and give its report."""
    plan = _plan([Path(path), Path(beside)], Path(folder), transition)
    sys.stdout = said = StringIO()
    code = program.main(
        ["--plan", str(plan), "--work", f"{folder}/work", "--objects", f"{folder}/objects", "--stall-seconds", "20"]
    )
    last = json.loads(said.getvalue().splitlines()[-1])
    if code == 0:
        return json.dumps(last)
    raise _Told(f"exit {code}: {last.get('message')}", last.get("segmentIndex"))


def _plan(clips: list[Path], folder: Path, transition: str) -> Path:
    """Write a plan; the hostile clip is segment 7."""
    planned = []
    for index, clip in enumerate(clips):
        with FileReader(clip) as reader:
            facts = probe(reader, clip.name)
        planned.append((clip, facts, 7 + index))
    return _written(planned, folder, Transition(transition))


def _written(planned: list[tuple[Path, ClipFacts, int]], folder: Path, transition: Transition) -> Path:
    store = DiskObjectStore(folder / "objects")
    clips = []
    for clip, facts, index in planned:
        uri = f"gs://clips/{index}/clip.mp4"
        info = store.take_in(clip, uri)
        clips.append(PlannedClip(uri=uri, generation=info.generation, facts=facts, segment_index=index))
    plan = StitchPlan(
        job_id="job_hostile",
        attempt=1,
        clips=clips,
        output_uri="gs://films/film.mp4",
        report_uri="gs://films/report.json",
        transition=transition,
        transition_ms=300,
    )
    paper = folder / "plan.json"
    paper.write_text(plan.to_json())
    return paper


def _everything(data: bytes, *, is_decoded: bool) -> bool:
    """Do with bytes what is done in this process; True where they passed for a clip."""
    reader = BytesReader(data)
    try:
        probe(reader, "clip.mp4")
    except BadMedia:
        return False
    if not is_decoded:
        return True
    with suppress(BadMedia):
        last_frame_png(reader, "clip.mp4")
    with suppress(BadMedia, StitchFailed):
        movie = read_movie(reader, "clip.mp4")
        splice([Source(movie, reader)] * 3)
    return True


def _many(data: Iterable[tuple[str, bytes]]) -> str:
    """Do everything with each of many; every fifth that passes is decoded, since that takes most of the time."""
    tried, passed, slowest = 0, 0, 0.0
    for tried, (what, damaged) in enumerate(data, start=1):
        started = process_time()
        try:
            passed += _everything(damaged, is_decoded=tried % 5 == 0)
        except Exception as exc:
            raise RuntimeError(f"with {what}") from exc
        slowest = max(slowest, process_time() - started)
    return json.dumps({"tried": tried, "passed": passed, "slowest_s": round(slowest, 2)})


def cut_off(path: str, first: str, count: str) -> str:
    """Cut a file off at seeded places, and do everything with what is left."""
    data = Path(path).read_bytes()
    ends = Random(f"{Path(path).name} {first}").choices(range(len(data)), k=int(count))
    return _many((f"its first {end} bytes", data[:end]) for end in ends)


def bits_turned(path: str, first: str, count: str) -> str:
    """Turn bits at seeded places: one in all of the file, or one to four in its index."""
    data = Path(path).read_bytes()
    return _many((f"seed {seed}", with_bits_turned(data, seed)) for seed in range(int(first), int(first) + int(count)))


def with_bits_turned(data: bytes, seed: int) -> bytes:
    """Give a file with a few bits turned; half of the seeds aim at the index."""
    chance = Random(seed)
    index = data.find(b"moov") - 4
    first, count = (max(0, index), chance.randint(1, 4)) if seed % 2 else (0, 1)
    damaged = bytearray(data)
    for _ in range(count):
        damaged[chance.randrange(first, len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


WORKS: Mapping[str, Callable[..., str]] = {
    "probe": look,
    "last_frame": last_frame,
    "seam": seam,
    "film": film,
    "cut_off": cut_off,
    "bits_turned": bits_turned,
}
