"""Puts what the benchmarks measured into the README: every figure there comes from `benchmarks/results/`.

`python -m docs.figures` prints the tables; with `--write` it puts them between the README's markers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from docs.figures_memory import memory_figures
from docs.figures_stitch import stitch_figures
from docs.marked import table, write_filled

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"


def figures() -> dict[str, str]:
    """Give each table as Markdown by the name of its marker."""
    return {
        "stitch": stitch_figures(_load("stitch")),
        "stitch_memory": memory_figures(_load("stitch_memory")),
        "orchestration": _orchestration(_load("orchestration")),
        "cold_start": _cold_start(_load("cold_start")),
    }


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


#: A benchmark's setting → what the README calls it.
_SETTINGS = {
    "defaults": "as they come (FULL; the tables beside Huey NORMAL)",
    "FULL": "all FULL",
    "NORMAL": "all NORMAL (Huey has to be changed for it)",
}


#: How the verdicts begin that are about a worker's life, not its speed.
_LIFE = ("idle", "first job", "kill -9")


def _orchestration(measured: Any) -> str:
    head = ("durability", "jobs × segments", "Longreel segments/s", "Huey segments/s", "times Huey", "CPU × raw SQLite")
    cells = sorted(measured["cells"], key=lambda cell: list(_SETTINGS).index(cell["setting"]))
    rows = [_orchestration_row(cell) for cell in cells]
    intro = "Segments of no work through the real store, queue and handlers, beside a Huey user's own tables and tasks:"
    missed = [each["text"] for each in measured["verdicts"] if not each["met"]]
    life = [each["text"] for each in measured["verdicts"] if each["met"] and each["text"].startswith(_LIFE)]
    lines = [f"- {text}" for text in life] + [f"- **not met:** {text}" for text in missed]
    met = f"{len(measured['verdicts']) - len(missed)} of {len(measured['verdicts'])}"
    verdict = f"Of the targets set for it, {met} are met. What is not about speed, and what is missed:"
    return "\n".join([intro, "", table(head, rows), "", verdict, "", *lines, ""])


def _orchestration_row(cell: Any) -> list[str]:
    shape, runs = cell["shape"], cell["runs"]
    ours, theirs, floor = runs["longreel"], runs["huey"], runs["floor 4"]
    ratio = median([_rate(a) / _rate(b) for a, b in zip(ours, theirs, strict=True)])
    times = median([a["cpu_seconds"] / b["cpu_seconds"] for a, b in zip(ours, floor, strict=True)])
    rates = [f"{median([_rate(run) for run in runs]):,.0f}" for runs in (ours, theirs)]
    return [_SETTINGS[cell["setting"]], f"{shape['jobs']}×{shape['segments']}", *rates, f"{ratio:.1f}", f"{times:.1f}"]


def _cold_start(measured: Any) -> str:
    head = ("function", "imports s", "imports CPU s", "first answer s", "peak MiB")
    rows = [_cold_start_row(case) for case in measured["cases"]]
    intro = (
        "What a new instance of each cloud function costs before its first answer, Python's own start included, on a "
        f"warm disk ({measured['machine']['cores']} cores, shared; the least disturbed of {measured['rounds']} rounds, "
        "CPU and memory as medians):"
    )
    missed = [f"- **not met:** {each['text']}" for each in measured["verdicts"] if not each["met"]]
    return "\n".join([intro, "", table(head, rows), *(["", *missed] if missed else []), ""])


def _cold_start_row(case: Any) -> list[str]:
    seconds = [min(case["import_seconds"]), median(case["import_cpu_seconds"]), min(case["answer_seconds"])]
    return [f"`{case['name']}`", *(f"{each:.2f}" for each in seconds), f"{median(case['peak_mib']):.0f}"]


def _rate(run: Any) -> float:
    return float(run["segments"] / run["wall_seconds"])


def main() -> None:
    """Print the tables or write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    if parser.parse_args().write:
        write_filled(README, "figures", figures())
    else:
        sys.stdout.write("\n".join(figures().values()))


if __name__ == "__main__":
    main()
