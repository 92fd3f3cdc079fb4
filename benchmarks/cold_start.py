"""What a cold start takes: the time to import all that a function needs for one event, its memory, and who costs most.

    python -m benchmarks.cold_start [--quick] [--rounds N] [--json FILE]

Films are made on Google's emulators with a new process for every call, as functions-framework starts it, one at a time,
round after round. Import time is everything from the order of the process, Python's own start included, to an app that
can take a call, and every import statement from then on until the first event is handled. Processor time moves less
than the clock on a busy machine. Packages that `requirements.txt` does not bring are hidden. Files are in the page
cache: the disk is warm. Libraries are told apart by `-X importtime` in one more process, which loads the same modules.

Needs `pip install -r requirements.txt -e .[local,dev]` and the Cloud SDK's emulators.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cold_start_instance import ROOT, start

TARGET_SECONDS = 1.0
#: Longest that all films of a round may take together.
PATIENCE_SECONDS = 900
#: A line of `-X importtime`: what the module itself took, in microseconds, and its name.
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
#: Libraries that are told for each function.
HEAVIEST = 5


@dataclass
class Case:
    """One function with one kind of event."""

    name: str
    entry_point: str
    signature: str
    #: What it had loaded after its event, in the order of loading.
    modules: list[str] = field(default_factory=list)
    #: From the order of the process to the answer to its first event, one a round.
    answer_seconds: list[float] = field(default_factory=list)
    answer_cpu_seconds: list[float] = field(default_factory=list)
    #: The most memory that it held, one a round.
    peak_mib: list[float] = field(default_factory=list)
    #: Of that, what was spent on imports, one a round.
    import_seconds: list[float] = field(default_factory=list)
    import_cpu_seconds: list[float] = field(default_factory=list)
    #: Library → milliseconds that its modules took themselves; the slowest first.
    heaviest: dict[str, float] = field(default_factory=dict)

    @property
    def verdict_seconds(self) -> float:
        """Give what is held against the target: the clock's time of the round that was disturbed least."""
        return min(self.import_seconds)


def main() -> None:
    """Measure, print a table and the verdicts, and write the numbers where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, for a look")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every function (default 5)")
    parser.add_argument("--json", type=Path, help="also write every run to this file")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {load}; Python {platform.python_version()}.")
    print(f"{rounds} round(s) of a few films, every call in a process of its own.\n", flush=True)
    cases = measure(rounds)
    print_table(cases)
    verdicts = list(_verdicts(cases))
    for met, text in verdicts:
        print(f"{'met    ' if met else 'NOT MET'}  {text}")
    if options.json:
        options.json.write_text(json.dumps(_everything(rounds, cases, verdicts), indent=1), encoding="utf-8")


def measure(rounds: int) -> list[Case]:
    """Give every case, measured."""
    cases: dict[str, Case] = {}
    for _ in range(rounds):
        _make_films(cases)
    for case in cases.values():
        _, said = start(case.entry_point, case.signature, {"modules": case.modules}, "-X", "importtime")
        of_library = _by_library(said)
        slowest_first = sorted(of_library.items(), key=lambda item: -item[1])
        case.heaviest = dict(slowest_first[:HEAVIEST])
    return list(cases.values())


def _make_films(cases: dict[str, Case]) -> None:
    """Have every case happen; keep what its instances were like. A case that came more than once counts once."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.cloud.cold_chain"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if ran.returncode != 0:
        raise SystemExit(ran.returncode)
    for told in map(json.loads, ran.stdout.splitlines()):
        case = cases.setdefault(told["case"], Case(told["case"], told["entryPoint"], told["signature"]))
        # The one that had most to do: another may have found nothing left.
        fullest = max(told["instances"], key=lambda each: len(each["modules"]))
        case.modules = max(case.modules, fullest["modules"], key=len)
        case.answer_seconds.append(fullest["seconds"])
        case.answer_cpu_seconds.append(fullest["cpu_seconds"])
        case.peak_mib.append(fullest["peak_mib"])
        case.import_seconds.append(fullest["import_seconds"])
        case.import_cpu_seconds.append(fullest["import_cpu_seconds"])


def _by_library(said: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for microseconds, module in _IMPORT.findall(said):
        parts = module.split(".")
        found[".".join(parts[:3] if parts[0] == "google" else parts[:1])] += int(microseconds) / 1000
    return found


def print_table(cases: list[Case]) -> None:
    """Print a row a case."""
    head = f"{'function':37}{'import s: min':>14}{'median':>8}{'CPU':>7}{'answer s':>10}{'MiB':>6}{'modules':>9}"
    print(f"{head}  heaviest libraries (ms)")
    for case in cases:
        heaviest = ", ".join(f"{name} {ms:.0f}" for name, ms in list(case.heaviest.items())[:3])
        print(
            f"{case.name:37}{min(case.import_seconds):>14.2f}{statistics.median(case.import_seconds):>8.2f}"
            f"{statistics.median(case.import_cpu_seconds):>7.2f}{statistics.median(case.answer_seconds):>10.2f}"
            f"{statistics.median(case.peak_mib):>6.0f}{len(case.modules):>9}  {heaviest}",
            flush=True,
        )
    print()


def _verdicts(cases: list[Case]) -> Iterator[tuple[bool, str]]:
    for case in cases:
        seconds = case.verdict_seconds
        yield seconds <= TARGET_SECONDS, f"{case.name}: imports in {seconds:.2f} s ({TARGET_SECONDS} at most)"
    loaded = {module for case in cases for module in case.modules}
    unwanted = sorted({"google.cloud.aiplatform", "google.cloud.aiplatform_v1", "vertexai"} & loaded)
    yield not unwanted, f"nobody imports aiplatform{': ' + ', '.join(unwanted) if unwanted else ''}"


def _everything(rounds: int, cases: list[Case], verdicts: list[tuple[bool, str]]) -> dict[str, Any]:
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "processor": platform.machine()},
        "rounds": rounds,
        "cases": [
            {**asdict(case), "modules": len(case.modules), "verdict_seconds": case.verdict_seconds} for case in cases
        ],
        "verdicts": [{"met": met, "text": text} for met, text in verdicts],
    }


if __name__ == "__main__":
    main()
