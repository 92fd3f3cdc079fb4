"""Draws what `benchmarks.stitch` measured as tables to read, and says what machine it was."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from benchmarks.stitch_contenders import LONGREEL
from benchmarks.stitch_results import Part, Row, loads, middle, peak_mib, ratio

HEAD = (
    "",
    "CPU s",
    "x longreel",
    "wall s",
    "x longreel",
    "peak MiB",
    "frames",
    "skew ms",
    "dip ms",
    "click dB",
    "SSIM",
)


def table(part: Part) -> str:
    """Draw a part."""
    rows = part["rows"].values()
    cells = [list(HEAD), *(_cells(row, part["rows"].get(LONGREEL)) for row in rows if row["runs"])]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = [_line(line, widths) for line in cells]
    return "\n".join([*lines, *(f"{row['name']}: {row['trouble']}" for row in rows if row["trouble"])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    return "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))])


def _cells(row: Row, ours: Row | None) -> list[str]:
    costs = [row["name"]]
    for what in ("cpu_seconds", "wall_seconds"):
        costs += [f"{middle(row, what):.2f}", _told(ratio(row, ours, what), ".2f")]
    costs.append(f"{peak_mib(row):.0f}")
    found = row.get("findings")
    if found is None:
        return costs + ["-"] * 5
    skew = "none heard" if found["skew_ms"] is None else f"{found['skew_ms']:.1f}"
    heard = [skew, _told(found["dip_ms"], ".1f"), _told(found["click_db"], ".0f")]
    return [*costs, frames_in_words(found), *heard, _told((row.get("quality") or {}).get("ssim"), ".4f")]


def _told(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def frames_in_words(found: Mapping[str, Any]) -> str:
    """Say how many frames of how many are right, and what is wrong with the others."""
    words = [f"{found['frames_right']}/{found['frames_expected']}"]
    for what in ("missing", "repeated", "misplaced", "unreadable", "uneven"):
        if count := found[f"frames_{what}"]:
            words.append(f"{count} {what}")
    return ", ".join(words)


def heading(name: str, part: Part) -> str:
    """Say what a part is about."""
    corpus = part["corpus"]
    low, high = loads(part)
    return (
        f"{name}: {corpus['clip_count']} clips of {corpus['clip_seconds']} s, {corpus['size_bytes'] / 1e6:.1f} MB; "
        f"load {low:.1f} to {high:.1f} as runs began"
    )


def machine() -> dict[str, Any]:
    """Say what the numbers were measured on; no name of a host, no path."""
    system, melt = shutil.which("ffmpeg"), shutil.which("melt")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "longreel": version("longreel"),
        "pyav": version("av"),
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
        "system_ffmpeg": _printed([system, "-version"]).split()[2] if system else None,
        "melt": _printed([melt, "-version"]).split()[1] if melt else None,
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


def _printed(command: Sequence[str]) -> str:
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    # melt says its version where errors go.
    return done.stdout or done.stderr
