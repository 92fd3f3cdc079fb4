"""From a history that fails to the shortest that still does: fewer faults, and none after the last that matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.simulation.faults import Chance, written_options
from tests.simulation.history import Outcome, play


@dataclass(frozen=True)
class Case:
    """All that makes a history."""

    seed: int
    options: Mapping[str, float]
    #: Only so many questions are answered by chance.
    prefix: int | None = None
    #: The cell that it aims at.
    aim: str | None = None

    def play(self) -> Outcome:
        """Play it."""
        return play(Chance(self.seed, self.options, self.prefix, aim=self.aim))

    @property
    def command(self) -> str:
        """Give the one command that repeats it."""
        words = [f"make sim SEED={self.seed} COUNT=1"]
        if options := written_options(self.options):
            words.append(f"OPTIONS={options}")
        if self.prefix is not None:
            words.append(f"PREFIX={self.prefix}")
        if self.aim is not None:
            words.append(f"AIM='{self.aim}'")
        return " ".join(words)


def shrink(case: Case) -> tuple[Case, Outcome]:
    """Give the smallest case found that breaks the same promise, and what became of it.

    Args:
        case: one that fails.
    """
    outcome = case.play()
    assert outcome.violation is not None, "it does not fail"
    checker = outcome.violation.checker

    def fails(other: Case) -> bool:
        violation = other.play().violation
        return violation is not None and violation.checker == checker

    case = _shortened(case, outcome.asked, fails)
    for name in sorted(outcome.world.chance.fired):
        without = replace(case, options={**case.options, name: 0.0})
        if fails(without):
            case = without
    case = _shortened(case, case.play().asked, fails)
    return case, case.play()


def _shortened(case: Case, asked: int, fails: Callable[[Case], bool]) -> Case:
    """Find the shortest prefix by halving; what fails need not fail with every longer one, so the best one is kept."""
    low, high = 0, asked if case.prefix is None else min(asked, case.prefix)
    best = case
    while low < high:
        middle = (low + high) // 2
        tried = replace(case, prefix=middle)
        if fails(tried):
            best, high = tried, middle
        else:
            low = middle + 1
    return best


def report(case: Case, outcome: Outcome) -> str:
    """Say what went wrong, how it came to that, and how to see it again."""
    assert outcome.violation is not None
    fired = ", ".join(f"{name} {count}x" for name, count in sorted(outcome.world.chance.fired.items()))
    lines = [
        f"seed {case.seed} breaks the promise: {outcome.violation.checker}",
        f"  {outcome.violation.text}",
        f"  faults: {fired or 'none'}",
        f"  again:  {case.command}",
        "",
        str(outcome.world.trace),
    ]
    return "\n".join(lines)
