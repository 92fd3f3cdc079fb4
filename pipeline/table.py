"""The three answers that a cell of a state table can hold, and what a rule answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from pipeline.commands import Command
from pipeline.records import Job, Segment

R = TypeVar("R")
S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Move(Generic[S, R]):
    """The event changes something; `rule` says what."""

    rule: R
    #: Every state that the rule may lead to, the present one included where it may stay.
    to: tuple[S, ...]


@dataclass(frozen=True, slots=True)
class Ignore:
    """The event changes nothing; duplicates and late arrivals are normal."""

    because: str
    #: What the state waits for, ordered again; None for nothing.
    orders_again: Callable[[Job], tuple[Command, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Illegal:
    """The event can never meet this state: our own mistake, so it is raised and nothing changes."""

    because: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule answers. With neither job nor segment, the event was looked at and ignored."""

    reason: str
    job: Job | None = None
    segment: Segment | None = None
    commands: tuple[Command, ...] = ()
    #: The job becomes active again, so it must get its project's lock in the same commit.
    takes_lock: bool = False
