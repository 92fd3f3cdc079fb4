"""Turns what `benchmarks.stitch` measured into rows, verdicts, a table to read and a document for other programs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import imageio_ffmpeg

from benchmarks.stitch_checks import Findings
from benchmarks.stitch_contenders import Contender
from benchmarks.stitch_measure import Cost

#: What the splice has to reach: CPU beside the cheaper of ffmpeg's copies (grid audio has to need less than that);
#: memory, in 1,000,000 bytes; and half an AAC packet at 48 kHz, beyond which nothing may drift.
SMART_AT_MOST, PEAK_MB_AT_MOST, SKEW_MS_AT_MOST = 1.5, 100, 10.7


@dataclass(slots=True)
class Row:
    """One contender and its runs, by round."""

    contender: Contender
    runs: dict[int, Cost] = field(default_factory=dict)
    findings: list[Findings] = field(default_factory=list)
    #: Why it has not run, or not to the end: what is missing here, or what it said as it failed.
    trouble: str = ""

    @property
    def worst(self) -> Findings | None:
        """What was found in the worst of its films."""
        return max(self.findings, key=lambda found: found.badness, default=None)

    def median(self, what: str) -> float:
        """Give the median over its runs of a field of `Cost`."""
        return float(median(getattr(cost, what) for cost in self.runs.values()))

    def cpu_times(self, other: Row) -> float | None:
        """Give its processor time over another's, as the median of the ratios of the same rounds."""
        both = self.runs.keys() & other.runs.keys()
        return median(self.runs[r].cpu_seconds / other.runs[r].cpu_seconds for r in both) if both else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something that was set out to be reached is."""

    target: str
    is_met: bool
    found: str


def verdicts(rows: Sequence[Row]) -> Iterator[Verdict]:
    """Say what is reached by those that ran; a machine with another cost of starting a process may answer otherwise."""
    copies = [row for row in rows if row.contender.is_copy and row.runs]
    ours = [row for row in rows if row.contender.is_ours and row.runs]
    for row in ours:
        ratios = {copy.contender.name: row.cpu_times(copy) for copy in copies}
        known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        found = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in known.items())
        if known and row.contender.key == "splice_grid":
            yield Verdict(f"{row.contender.name}: less CPU than ffmpeg's copy", max(known.values()) < 1, found)
        elif known:
            is_met = max(known.values()) <= SMART_AT_MOST
            yield Verdict(f"{row.contender.name}: at most {SMART_AT_MOST:g} x ffmpeg's copy in CPU", is_met, found)
    peak_mb = max((cost.peak_mib for row in ours for cost in row.runs.values()), default=0) * 1.048576
    yield Verdict(f"ours: within {PEAK_MB_AT_MOST} MB of memory", peak_mb <= PEAK_MB_AT_MOST, f"{peak_mb:.0f} MB")
    films = [found for row in ours for found in row.findings]
    wrong = sum(found.frames_wrong for found in films)
    yield Verdict("ours: every frame once, in order, on time", wrong == 0, f"{wrong} wrong")
    apart = [found.skew_ms if found.skew_ms is not None else inf for found in films]
    largest = max(apart, default=0)
    text = f"sound within {SKEW_MS_AT_MOST} ms of the picture at every join"
    yield Verdict(f"ours: {text}", largest <= SKEW_MS_AT_MOST, f"{largest:.1f} ms")


def table(rows: Sequence[Row], copy: Row) -> str:
    """Draw the table."""
    head = ["", "CPU s", "CPU x copy", "wall s", "peak MiB", "frames", "duration s", "skew ms", "dip ms", "click dB"]
    cells = [head, *(_cells(row, copy) for row in rows if row.runs)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    ]
    return "\n".join([*lines, *(f"{row.contender.name}: {row.trouble}" for row in rows if row.trouble)])


def _cells(row: Row, copy: Row) -> list[str]:
    times = row.cpu_times(copy)
    costs = [
        row.contender.name,
        f"{row.median('cpu_seconds'):.2f}",
        "" if times is None else f"{times:.2f}",
        f"{row.median('wall_seconds'):.2f}",
        f"{max(cost.peak_mib for cost in row.runs.values()):.0f}",
    ]
    found = row.worst
    if found is None:
        return costs + ["-"] * 5
    skew = "none heard" if found.skew_ms is None else f"{found.skew_ms:.1f}"
    seconds = f"{max(found.picture_ms, found.sound_ms) / 1000:.3f}"
    return [*costs, _frames(found), seconds, skew, f"{found.dip_ms:.1f}", f"{max(0.0, found.click_db):.0f}"]


def _frames(found: Findings) -> str:
    words = [f"{found.frames_right}/{found.frames_expected}"]
    for what in ("missing", "repeated", "misplaced", "unreadable", "uneven"):
        if count := getattr(found, f"frames_{what}"):
            words.append(f"{count} {what}")
    return ", ".join(words)


def machine() -> dict[str, Any]:
    """Say what the numbers were measured on; no name of a host, no path."""
    system = shutil.which("ffmpeg")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "longreel": version("longreel"),
        "pyav": version("av"),
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
        "system_ffmpeg": _ffmpeg_version(system) if system else None,
    }


def machine_line(facts: Mapping[str, Any]) -> str:
    """Say the same in one line."""
    named = [
        f"{key.replace('_', ' ')} {value}" for key, value in facts.items() if value and key not in ("cpu", "cores")
    ]
    return f"{facts['cpu']}, {facts['cores']} cores; " + ", ".join(named)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _ffmpeg_version(program: str) -> str:
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout
    return told.split()[2]


def document(rows: Sequence[Row], copy: Row, corpus: Mapping[str, Any], quick: bool) -> dict[str, Any]:
    """Give everything as JSON; `rows` in the order of the table."""
    return {
        "benchmark": "stitch",
        "quick": quick,
        "machine": machine(),
        "corpus": dict(corpus),
        "rows": [_row_document(row, copy) for row in rows],
        "verdicts": [] if quick else [asdict(verdict) for verdict in verdicts(rows)],
    }


def _row_document(row: Row, copy: Row) -> dict[str, Any]:
    named = {"key": row.contender.key, "name": row.contender.name}
    if not row.runs:
        return named | {"trouble": row.trouble or "not asked for"}
    times = row.cpu_times(copy)
    return named | {
        "cpu_seconds": round(row.median("cpu_seconds"), 3),
        "cpu_times_copy": None if times is None else round(times, 3),
        "wall_seconds": round(row.median("wall_seconds"), 3),
        "peak_mib": round(max(cost.peak_mib for cost in row.runs.values()), 1),
        "cpu_seconds_of_runs": [round(cost.cpu_seconds, 3) for cost in row.runs.values()],
        "findings": asdict(row.worst) if row.worst else None,
    }
