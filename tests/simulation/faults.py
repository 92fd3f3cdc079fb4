"""Everything that may go wrong, each a named probability; and chance itself, which one seed drives."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")

#: Name → how likely it is each time it could happen. A history takes about half of them, each more or less likely.
USUAL: Mapping[str, float] = {
    # a message on its way
    "reordered": 0.3,
    "delayed": 0.1,
    "duplicated": 0.1,
    "lost_until_redelivery": 0.06,
    "lost_for_good": 0.04,
    "not_acknowledged": 0.05,
    # the process that handles it
    "crash_before_commit": 0.02,
    "crash_between_commit_and_publish": 0.03,
    "crash_after_publish": 0.03,
    "crash_before_submit": 0.04,
    "crash_between_submit_and_record": 0.06,
    "crash_around_stitch_start": 0.05,
    "interleaved": 0.08,
    "stands_still_longer": 0.5,
    # the store and the bus
    "contention": 0.06,
    "store_down": 0.03,
    "bus_down": 0.03,
    "objects_down": 0.01,
    # finalize events
    "finalize_late": 0.15,
    "finalize_twice": 0.1,
    "finalize_missing": 0.1,
    # clocks
    "clock_jumps": 0.02,
    "clock_jumps_a_day": 0.003,
    "sweep_late": 0.1,
    "two_sweeps": 0.1,
    # the generator
    "quota_burst": 0.05,
    "unavailable_burst": 0.03,
    "unavailable_though_taken": 0.05,
    "prompt_refused": 0.03,
    "filtered": 0.05,
    "generation_fails": 0.06,
    "generation_never_ends": 0.01,
    "operation_forgotten": 0.05,
    "clip_broken": 0.05,
    "clip_late": 0.1,
    "clip_twice": 0.05,
    # the stitcher
    "stitch_slow": 0.1,
    "stitch_fails": 0.35,
    "stitch_impossible": 0.03,
    "stitch_hangs": 0.03,
    "stitch_killed": 0.08,
    "stitch_answers_twice": 0.2,
    "stitch_unavailable": 0.08,
    "stitch_without_room": 0.05,
    "stitch_blames_a_clip": 0.25,
    "stitch_is_ready_after_all": 0.8,
    # users and operators
    "user_cancels": 0.006,
    "user_resumes": 0.02,
    "user_restarts": 0.006,
    "user_repeats_request": 0.01,
    "user_starts_another": 0.01,
    "operator_replays": 0.02,
    # while a handler stands still
    "somebody_interferes": 0.15,
}


#: What a history meets more often that aims at a cell: what must come together before chance gets there by itself.
AIMED: Mapping[str, float] = {
    "clock_jumps_a_day": 0.03,
    "user_cancels": 0.02,
    "user_resumes": 0.1,
    "somebody_interferes": 0.3,
    "prompt_refused": 0.1,
    "filtered": 0.1,
}


class UnknownFault(ValueError):
    """Somebody wrote a name that no fault has."""


def parse_options(text: str) -> dict[str, float]:
    """Read `name=probability,name=probability`; `none` is the world without faults."""
    if text == "none":
        return dict.fromkeys(USUAL, 0.0)
    options = dict(USUAL)
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in USUAL:
            raise UnknownFault(f"OPTIONS names {name!r}; there are: {', '.join(USUAL)}")
        options[name] = float(value)
    return options


def written_options(options: Mapping[str, float]) -> str:
    """Write options as `parse_options` reads them: only what differs from the usual."""
    return ",".join(f"{name}={value:g}" for name, value in options.items() if value != USUAL[name])


@dataclass
class Chance:
    """All that is left to chance in one history.

    Args:
        seed: of the history.
        options: probability of each fault.
        prefix: only so many questions are answered by chance, all later ones by no; None for all.
        script: the numbers of the questions that are answered by yes; None for chance.
        swarm: each history makes some faults likelier and leaves others out.
        aim: the name of a cell ("segment skipped SegmentClosed"): whoever brings its event stands still until
            that state is there; None for chance alone.
    """

    seed: int
    options: Mapping[str, float]
    prefix: int | None = None
    script: frozenset[int] | None = None
    swarm: bool = True
    aim: str | None = None
    #: The name of each question that was asked, in order.
    asked: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    #: No fault happens any more.
    healed: bool = False

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        # A history with a little of everything meets few deep troubles: each takes about half of them.
        self._odds = dict(self.options)
        if self.swarm and self.script is None:
            for name in self._odds:
                self._odds[name] *= self._random.choice((0.0, 0.0, 0.3, 1.0, 3.0))
        if self.aim is not None:
            self._odds |= {name: max(odds, self._odds[name]) for name, odds in AIMED.items()}

    def happens(self, name: str) -> bool:
        """Tell whether a fault happens now."""
        if self.healed:
            return False
        number = len(self.asked)
        self.asked.append(name)
        if self.script is not None:
            yes = number in self.script
        else:
            # Drawn in any case, so that a fault that is switched off moves none of the others.
            yes = self._random.random() < self._odds[name] and (self.prefix is None or number < self.prefix)
        if yes:
            self.fired[name] += 1
        return yes

    def choice(self, items: Sequence[T]) -> T:
        """Choose one of some things."""
        return self._random.choice(items)

    def number(self, low: int, high: int) -> int:
        """Draw a whole number, both ends included."""
        return self._random.randint(low, high)

    def wait(self, low_seconds: float, high_seconds: float) -> timedelta:
        """Draw a time, in whole milliseconds."""
        return timedelta(milliseconds=self._random.randint(int(low_seconds * 1000), int(high_seconds * 1000)))

    def fraction(self) -> float:
        """Draw a number in [0, 1)."""
        return self._random.random()
