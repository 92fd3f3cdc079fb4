"""What `make cloud-demo` tells of its film: the film, the route, the cost, and the counts of what was done for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from media.probe import probe
from media.reader import FileReader
from pipeline.records import Job
from tests.cloud.host import CALLABLES, FUNCTIONS
from tests.cloud.stack import LocalCloud
from tests.media.clips import read_frames

#: The functions that every segment passes; the others work for the job as a whole.
SEGMENT_FUNCTIONS = ("on_segment_requested", "on_object_finalized", "on_segment_done")


@dataclass
class Figures:
    """What the film is and what it took."""

    film: str
    seconds: float
    frames: int
    #: Numbers of the segments in the order in which their frames are shown, 0-based.
    scenes: list[int]
    route: dict[str, Any]
    cost: dict[str, int]
    #: Function → calls, calls that were refused, documents read and written.
    functions: dict[str, dict[str, int]]
    reads_of_a_segment: float
    writes_of_a_segment: float
    #: Questions to Vertex whether a clip is there.
    polls: int
    film_bytes: int
    #: What the stitch read of clips and film, and what it wrote.
    stitch_read_bytes: int
    stitch_wrote_bytes: int
    #: Documents that the page's listener was sent.
    heard: int
    called_by: str
    start_seconds: float
    film_seconds: float


def figures_of(
    cloud: LocalCloud, job: Job, output: Path, heard: int, called_by: str, start_seconds: float, film_seconds: float
) -> Figures:
    """Download the film, decode every frame of it, and count what was done for it."""
    assert job.film is not None
    assert job.route is not None
    functions = by_function(cloud.meter())
    read_bytes, wrote_bytes = bytes_of_stitch(cloud, job.job_id)
    output.write_bytes(cloud.adapters.objects.read(job.film.uri))
    with FileReader(output) as reader:
        seen = probe(reader, output.name)
    shown = [number for number, _frame in read_frames(output)]
    of_segments = [functions[name] for name in SEGMENT_FUNCTIONS]
    return Figures(
        film=str(output),
        seconds=seen.duration_ms / 1000,
        frames=len(shown),
        scenes=list(dict.fromkeys(shown)),
        route={**asdict(job.route), "losers": list(job.route.losers), "warnings": list(job.route.warnings)},
        cost=asdict(job.cost),
        functions=functions,
        reads_of_a_segment=sum(each["reads"] for each in of_segments) / job.segment_count,
        writes_of_a_segment=sum(each["writes"] for each in of_segments) / job.segment_count,
        polls=cloud.vertex.polls.total(),
        film_bytes=seen.size_bytes,
        stitch_read_bytes=read_bytes,
        stitch_wrote_bytes=wrote_bytes,
        heard=heard,
        called_by=called_by,
        start_seconds=start_seconds,
        film_seconds=film_seconds,
    )


def by_function(meter: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Give what each function was called and asked of Firestore."""
    found = {}
    for name in (*CALLABLES.values(), *FUNCTIONS.values()):
        calls = {key.split()[1]: count for key, count in meter["calls"].items() if key.split()[0] == name}
        asked = meter["of"].get(name, {})
        found[name] = {
            "calls": sum(calls.values()),
            "refused": sum(count for status, count in calls.items() if not status.startswith("2")),
            "reads": asked.get("reads", 0),
            "writes": asked.get("writes", 0),
        }
    return found


def bytes_of_stitch(cloud: LocalCloud, job_id: str) -> tuple[int, int]:
    """Give the bytes of objects that were read and written while the film was made: nobody else was at work then."""
    log = list(cloud.storage.log.requests)
    of_film = f"jobs/{job_id}/output/"
    first = next(at for at, each in enumerate(log) if each.kind == "list" and each.query.get("prefix") == of_film)
    last = next(at for at, each in enumerate(log) if each.kind == "compose" and "%2Foutput%2F" in each.path)
    made = log[first : last + 1]
    return sum(each.sent_bytes for each in made if each.kind == "download"), sum(each.received_bytes for each in made)


def words_of(figures: Figures) -> str:
    """Give what a person reads at the end."""
    return "\n".join([*_of_film(figures), "", *_of_counts(figures), "", *_of_time(figures)])


def _of_film(figures: Figures) -> Iterator[str]:
    route, cost = figures.route, figures.cost
    scenes = ", ".join(str(index + 1) for index in figures.scenes)
    yield f"Film    {figures.film}, {_size(figures.film_bytes)}"
    yield f"        {figures.seconds:g} s; all its {figures.frames} frames were decoded: scenes {scenes}, in this order"
    yield f"Route   {route['stitcher']} for {_usd(route['price_micro_usd'])}: {route['reason']}"
    yield from (f"        not {loser}" for loser in route["losers"])
    estimated, spent, wasted = (f"${cost[f'{name}_micro_usd'] / 1e6:.2f}" for name in ("estimated", "spent", "wasted"))
    yield f"Cost    {estimated} estimated, {spent} spent, {wasted} wasted, at Google's prices"
    read, wrote = _size(figures.stitch_read_bytes), _size(figures.stitch_wrote_bytes)
    yield f"Stitch  read {read} from Cloud Storage and wrote {wrote} for a film of {_size(figures.film_bytes)}"


def _of_counts(figures: Figures) -> Iterator[str]:
    rows = {name: row for name, row in figures.functions.items() if row["calls"]}
    messages = {name: row["calls"] for name, row in rows.items() if name not in CALLABLES.values()}
    reads, writes = (sum(row[key] for row in rows.values()) for key in ("reads", "writes"))
    yield f"        {'function':<22}{'messages':>9}{'Firestore reads':>17}{'writes':>8}"
    for name, row in rows.items():
        yield f"        {name:<22}{messages.get(name, '(called)'):>9}{row['reads']:>17}{row['writes']:>8}"
    yield f"        {'together':<22}{sum(messages.values()):>9}{reads:>17}{writes:>8}"
    of_segment = f"{figures.reads_of_a_segment:>17.1f}{figures.writes_of_a_segment:>8.1f}"
    yield f"        {'for each segment':<31}{of_segment}"
    yield f"        polls: {figures.polls}; the page's listener was sent {figures.heard} documents"


def _of_time(figures: Figures) -> Iterator[str]:
    yield f"Up in {figures.start_seconds:.1f} s; {figures.film_seconds:.1f} s from the call to the finished film."


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB"


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1e6:.6f}"
