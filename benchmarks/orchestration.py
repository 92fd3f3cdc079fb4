"""Durable orchestration: Longreel's embedded engine beside Huey and the raw floor, on no-op work.

    python -m benchmarks.orchestration [--quick] [--rounds N] [--json FILE]

Jobs × segments of work that takes no time, through the real store, queue, worker and handlers. Huey does the same
fan-out and fan-in with the same state changes. The floor is SQLite alone: two state updates, one queue insert and one
queue delete a segment, in four transactions (and in two). Each contender runs in a process of its own, in turn, round
after round; a ratio is the median of the rounds' own ratios, because the machine may be busier in one round than in
another. Processor time counts every process of a contender. Read it first: it moves less than the clock.

Durability: NORMAL survives kill -9 but may lose the last commits with the power; FULL survives that too, for an fsync
a commit. FULL is Longreel's default, and SQLite's own, which Huey leaves as it is; the row "defaults" compares what
each does when nobody chooses, with the tables that Huey's user writes at NORMAL, in Huey's favour.

Needs `pip install -e .[local,bench]`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import orchestration_life as life
from benchmarks.orchestration_workload import PATIENCE_SECONDS, Measured, Shape

SHAPES = (Shape(1, 100), Shape(50, 15), Shape(1, 1000))
#: What is compared → (Longreel, Huey, floor).
SETTINGS = {"NORMAL": ("NORMAL", "NORMAL", "NORMAL"), "FULL": ("FULL", "FULL", "FULL")}
DEFAULTS = {"defaults": ("FULL", "DEFAULTS", "FULL")}
#: One worker thread is Huey's own default; more of them were never faster, because they share one connection.
HUEY_WORKERS = "1"

RATE_TARGET = 2.0
CPU_TARGET = 4.0
LINEAR_TARGET = 1.25
IDLE_TARGET_MS = 10.0
COLD_TARGET_SECONDS = 0.5
RESUME_TARGET_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """Everything measured for one shape under one setting: contender → a run a round."""

    setting: str
    shape: Shape
    runs: dict[str, list[Measured]]

    def rate(self, contender: str) -> float:
        """Give segments a second, the median."""
        return statistics.median(run.rate for run in self.runs[contender])

    def cpu_ms(self, contender: str) -> float:
        """Give processor time a segment in milliseconds, the median."""
        return statistics.median(run.cpu_ms for run in self.runs[contender])

    @property
    def rate_over_huey(self) -> float:
        """Give how many times as many segments a second as Huey, the median of the rounds."""
        pairs = zip(self.runs["longreel"], self.runs["huey"], strict=True)
        return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)

    @property
    def cpu_over_floor(self) -> float:
        """Give how many times the floor's processor time a segment, the median of the rounds."""
        pairs = zip(self.runs["longreel"], self.runs["floor 4"], strict=True)
        return statistics.median(ours.cpu_ms / floor.cpu_ms for ours, floor in pairs)


def main() -> None:
    """Measure, print a table and a verdict a target, and write the numbers where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, for a look")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every cell (default 5)")
    parser.add_argument("--json", type=Path, help="also write every run to this file")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    _say_where(rounds)
    cells = [_measure(setting, shape, rounds) for setting in (SETTINGS | DEFAULTS) for shape in SHAPES]
    print_table(cells)
    lives = _live(rounds, 2.0 if options.quick else 5.0)
    verdicts = list(_verdicts(cells, lives))
    for met, text in verdicts:
        print(f"{'met    ' if met else 'NOT MET'}  {text}")
    if options.json:
        options.json.write_text(json.dumps(_everything(cells, lives, verdicts), indent=1))


def _say_where(rounds: int) -> None:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {load}; Python {platform.python_version()},")
    print(f"SQLite {sqlite3.sqlite_version}; {rounds} round(s), contenders in turn, each in a process of its own.")
    print(
        "Longreel's default is synchronous=FULL: safe against kill -9 and a power cut; NORMAL against kill -9 only.\n"
    )


def _measure(setting: str, shape: Shape, rounds: int) -> Cell:
    ours, theirs, floor = (SETTINGS | DEFAULTS)[setting]
    commands = {
        "longreel": ["benchmarks.orchestration_longreel", "run", str(shape), ours],
        "huey": ["benchmarks.orchestration_huey", str(shape), theirs, HUEY_WORKERS],
        "floor 4": ["benchmarks.orchestration_floor", str(shape), floor, "4"],
        "floor 2": ["benchmarks.orchestration_floor", str(shape), floor, "2"],
    }
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    for number in range(rounds):
        # Every other round in the opposite order, so that nobody always follows the same neighbour.
        for name in commands if number % 2 == 0 else reversed(commands):
            runs[name].append(_run(commands[name]))
    return Cell(setting, shape, runs)


def _run(command: list[str]) -> Measured:
    answer = subprocess.run(
        [sys.executable, "-m", *command], check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS
    )
    return Measured(**json.loads(answer.stdout))


def print_table(cells: list[Cell]) -> None:
    """Print segments a second and processor milliseconds a segment of every cell."""
    names = ["longreel", "huey", "floor 4", "floor 2"]
    print(
        f"{'segments/s | CPU ms a segment':30}" + "".join(f"{name:>17}" for name in names) + "   x huey  CPU x floor 4"
    )
    for cell in cells:
        numbers = "".join(f"{cell.rate(name):>9.0f} |{cell.cpu_ms(name):6.3f}" for name in names)
        print(
            f"{cell.setting:10}{cell.shape!s:20}{numbers}{cell.rate_over_huey:>9.2f}{cell.cpu_over_floor:>15.2f}",
            flush=True,
        )
    print()


@dataclass(frozen=True, slots=True)
class Lives:
    """What is not throughput."""

    cold_seconds: list[float]
    idle_ms: float
    resumed: list[life.Resumed]


def _live(rounds: int, idle_seconds: float) -> Lives:
    return Lives(
        cold_seconds=[life.cold_start_seconds() for _ in range(rounds)],
        idle_ms=life.idle_ms_a_second(idle_seconds),
        resumed=[life.resume() for _ in range(rounds)],
    )


def _verdicts(cells: list[Cell], lives: Lives) -> Iterator[tuple[bool, str]]:
    for cell in cells:
        where = f"{cell.setting} {cell.shape}"
        yield cell.rate_over_huey >= RATE_TARGET, f"{where}: {cell.rate_over_huey:.2f}x Huey's segments/s (2x wanted)"
        if cell.setting in SETTINGS:
            text = f"{where}: {cell.cpu_over_floor:.2f}x the floor's CPU a segment (4x at most)"
            yield cell.cpu_over_floor <= CPU_TARGET, text
    for setting in SETTINGS:
        few, many = (_cell(cells, setting, shape).cpu_ms("longreel") for shape in (SHAPES[0], SHAPES[2]))
        text = (
            f"{setting}: CPU a segment of 1x1000 is {many / few:.2f}x that of 1x100 (linear: {LINEAR_TARGET}x at most)"
        )
        yield many / few <= LINEAR_TARGET, text
    yield lives.idle_ms <= IDLE_TARGET_MS, f"idle: {lives.idle_ms:.1f} ms of CPU a second (10 at most)"
    cold = statistics.median(lives.cold_seconds)
    yield cold <= COLD_TARGET_SECONDS, f"first job {cold:.2f} s after a cold start (0.5 s at most)"
    yield from _resume_verdicts(lives.resumed)


def _resume_verdicts(resumed: list[life.Resumed]) -> Iterator[tuple[bool, str]]:
    slowest = max(each.resume_seconds for each in resumed)
    start = max(each.start_seconds for each in resumed)
    text = f"kill -9: work goes on {slowest:.2f} s after the restart, {start:.2f} s of it start-up (2 s at most)"
    yield slowest <= RESUME_TARGET_SECONDS, text
    lost = sum(each.lost for each in resumed) + sum(life.CRASH_JOBS - each.completed_jobs for each in resumed)
    yield lost == 0, f"kill -9: {lost} segments or jobs lost in {len(resumed)} run(s)"
    again, unrecorded = sum(each.finished_again for each in resumed), sum(each.unrecorded_again for each in resumed)
    text = f"kill -9: {again} finished segments done again; {unrecorded} made but not yet recorded were made again"
    yield again == 0, text


def _cell(cells: list[Cell], setting: str, shape: Shape) -> Cell:
    return next(cell for cell in cells if cell.setting == setting and cell.shape == shape)


def _everything(cells: list[Cell], lives: Lives, verdicts: list[tuple[bool, str]]) -> dict[str, Any]:
    return {
        "cells": [asdict(cell) for cell in cells],
        "lives": asdict(lives),
        "verdicts": [{"met": met, "text": text} for met, text in verdicts],
    }


if __name__ == "__main__":
    main()
