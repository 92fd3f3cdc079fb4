"""Composing more objects than one request takes: in parts of at most 32, and the parts again.

Pure. No more requests are made than needed: a request turns 32 objects into one, and what still fits into the last
request is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

#: How many objects one request composes at most.
#: Source: https://cloud.google.com/storage/docs/composite-objects
SOURCES_MAX = 32


class Composition(NamedTuple):
    """One request: this object is made of those, one after another."""

    uri: str
    sources: list[str]


class ComposeTree(NamedTuple):
    """What is composed for one object of many sources."""

    #: Parts that need only sources or parts of the levels before; those of one level can be made at the same time.
    levels: list[list[Composition]]
    #: What the whole is made of then, 1 to `SOURCES_MAX`.
    rest: list[str]


def compose_tree(sources: Sequence[str], part_uri: Callable[[int], str]) -> ComposeTree:
    """Plan the parts of a whole.

    Args:
        sources: in order, at least one; the same one may stand there twice.
        part_uri: gives the name of the n-th part, from 0.
    """
    levels: list[list[Composition]] = []
    rest = list(sources)
    made = 0
    while len(rest) > SOURCES_MAX:
        level: list[Composition] = []
        after: list[str] = []
        left = len(rest) - SOURCES_MAX
        at = 0
        while at < len(rest):
            count = min(SOURCES_MAX, left + 1, len(rest) - at)
            if count == 1:
                after.append(rest[at])
            else:
                level.append(Composition(part_uri(made), rest[at : at + count]))
                after.append(level[-1].uri)
                made += 1
            left -= count - 1
            at += count
        levels.append(level)
        rest = after
    return ComposeTree(levels, rest)
