"""Writes what `benchmarks.stitch_memory` measured as Markdown: memory and disk from few clips to many, and in 4K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docs.marked import table

_Row = Mapping[str, Any]


def memory_figures(measured: Mapping[str, Any]) -> str:
    """Give both tables, and what is not met, of a document of `benchmarks.stitch_memory`."""
    rows: Mapping[str, Mapping[str, _Row]] = measured["rows"]
    counts = sorted({int(count) for by_count in rows.values() for count in by_count})[-3:]
    growing = {name: by_count for name, by_count in rows.items() if str(counts[-1]) in by_count}
    large = [[name, _mib(*by_count.values())] for name, by_count in rows.items() if name not in growing]
    head = ["film", *(f"{count} clips: MiB" for count in counts), "film MB", "disk beside the clips"]
    body = [_growing(name, by_count, counts) for name, by_count in growing.items()]
    intro = (
        "Peak memory of `longreel stitch` with all FFmpegs below it, and the most that lay on the disk beside the "
        f"clips, as times the longest film ({measured['machine']['processors']} cores):"
    )
    tables = [table(head, body), table(["large pictures", "peak MiB"], large)]
    return "\n\n".join([intro, *tables, _verdicts(measured["verdicts"])]) + "\n"


def _verdicts(said: Sequence[Mapping[str, Any]]) -> str:
    missed = [f"- **not met:** {each['target']}: {each['found']}" for each in said if not each["is_met"]]
    met = (
        "Of the targets (memory within 50 MiB of the shortest film's, 4K below 1 GiB, no more disk than was said "
        f"before the start), {len(said) - len(missed)} of {len(said)} are met{':' if missed else '.'}"
    )
    return "\n".join([met, *(["", *missed] if missed else [])])


def _growing(name: str, by_count: Mapping[str, _Row], counts: list[int]) -> list[str]:
    last = by_count[str(counts[-1])]
    peaks = [_mib(by_count[str(count)]) for count in counts]
    return [name, *peaks, f"{last['film_bytes'] / 1e6:.0f}", f"{last['disk_peak_bytes'] / last['film_bytes']:.2f}×"]


def _mib(*rows: _Row) -> str:
    return f"{max(row['peak_mib'] for row in rows):.0f}"
