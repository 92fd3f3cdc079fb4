"""Plays many histories on all processors, and says what they met; see docs/testing.md.

make sim                         10,000 histories
make sim SEED=7 COUNT=1          one of them, with its trace
make sim OPTIONS=duplicated=0    without a fault (`none`: without any)
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.cells import UNREACHABLE, all_cells, impossible, missing
from tests.simulation.faults import parse_options
from tests.simulation.history import cells_entered
from tests.simulation.shrink import Case, report, shrink

#: Histories that a process plays before it reports.
BATCH = 250
#: Of so many histories it is to be expected that they enter every cell that can be, the rarest when they aim at it.
MANY = 2000
#: Most histories that aim at one cell.
AIMED_MAX = 3000


@dataclass
class Tally:
    """What some histories met."""

    count: int = 0
    steps: int = 0
    states: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)
    #: Seeds that broke a promise, what they aimed at, and which.
    broken: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what others met."""
        self.count += other.count
        self.steps += other.steps
        self.states += other.states
        self.fired += other.fired
        self.cells += other.cells
        self.broken += other.broken


@contextmanager
def without_log() -> Iterator[None]:
    """Let what the handlers log go unheard: histories by the thousand would write most of it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@without_log()
def play_batch(seeds: range, options: Mapping[str, float], aim: str | None = None) -> Tally:
    """Play histories of consecutive seeds."""
    tally = Tally()
    with cells_entered(tally.cells):
        for seed in seeds:
            outcome = Case(seed, options, aim=aim).play()
            tally.count += 1
            tally.steps += outcome.world.steps
            tally.states += outcome.states
            tally.fired += outcome.world.chance.fired
            if outcome.violation is not None:
                tally.broken.append((seed, aim or "", outcome.violation.checker))
    return tally


def aim_at(cell: str, options: Mapping[str, float]) -> Tally:
    """Play histories that aim at a cell until one enters it."""
    tally = Tally()
    for seed in range(AIMED_MAX):
        tally.add(play_batch(range(seed, seed + 1), options, cell))
        if tally.cells[cell] or tally.broken:
            break
    return tally


def main() -> int:
    """Play them; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--options", default="")
    parser.add_argument("--prefix", type=int, help="no fault after so many questions")
    parser.add_argument("--aim", default="", help="stand still until this cell can be entered")
    asked = parser.parse_args()
    options = parse_options(asked.options)
    if asked.count == 1:
        return play_one(Case(asked.seed, options, asked.prefix, asked.aim or None))
    began = time.monotonic()
    tally = play_all(range(asked.seed, asked.seed + asked.count), options)
    tell(tally, time.monotonic() - began)
    failed = tell_cells(tally, options, aims=asked.count >= MANY and not asked.options and not tally.broken)
    if tally.broken:
        tell_broken(tally, options)
    return int(failed or bool(tally.broken))


def play_all(seeds: range, options: Mapping[str, float]) -> Tally:
    """Play histories on all processors."""
    batches = [seeds[first : first + BATCH] for first in range(0, len(seeds), BATCH)]
    tally = Tally()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(play_batch, batches, [options] * len(batches)):
            tally.add(part)
    return tally


@without_log()
def play_one(case: Case) -> int:
    """Play one history and print what happened."""
    outcome = case.play()
    if outcome.violation is not None:
        print(report(case, outcome))
        return 1
    print(outcome.world.trace)
    print(f"\nseed {case.seed} keeps every promise: {dict(outcome.states)}")
    return 0


def tell(tally: Tally, seconds: float) -> None:
    """Print what all histories met."""
    print(f"{tally.count} histories, {tally.steps} steps, {seconds:.0f} s: {dict(sorted(tally.states.items()))}")
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.fired.items())))


def tell_cells(tally: Tally, options: Mapping[str, float], *, aims: bool) -> bool:
    """Print which cells were entered, after a shot at those that chance left out; True where something is wrong."""
    by_chance, left_out = len(tally.cells), missing(tally.cells)
    print(f"cells: {by_chance} of {len(all_cells())} were entered; {len(UNREACHABLE)} cannot be, cells.py says why")
    if aims:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for cell, part in zip(left_out, pool.map(aim_at, left_out, [options] * len(left_out)), strict=True):
                print(f"  {cell}: {part.cells[cell] and 'entered'} by {part.count} histories that aim at it")
                tally.add(part)
    never, wrong = missing(tally.cells), impossible(tally.cells)
    print(f"never: {', '.join(never) or '-'}; entered though they cannot be: {', '.join(wrong) or '-'}")
    return bool(wrong or (aims and never))


@without_log()
def tell_broken(tally: Tally, options: Mapping[str, float]) -> None:
    """Print how often which promise was broken, and the first history that did."""
    seed, aim, checker = min(tally.broken)
    print(f"\n{len(tally.broken)} histories broke a promise: {Counter(name for *_, name in tally.broken)}")
    print(f"The first, seed {seed} ({checker}), made as short as it goes:\n")
    print(report(*shrink(Case(seed, options, aim=aim or None))))


if __name__ == "__main__":
    sys.exit(main())
