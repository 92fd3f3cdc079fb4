"""Plans which bytes of which files leave them while a film is written: hardly any lie on the disk twice. Pure."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Extent(NamedTuple):
    """Bytes that follow each other in a file and in the film."""

    offset: int
    length: int
    film_offset: int


class Located(NamedTuple):
    """Bytes of the film, in its order: of a file that they may leave, or of none (None)."""

    path: Path | None
    offset: int
    length: int


@dataclass
class Piece:
    """A file whose bytes go into the film."""

    path: Path
    #: In the film's order; none of its bytes is in two of them, however often the film has it.
    extents: list[Extent] = field(default_factory=list)
    #: The same as (first byte, byte behind the last), by place.
    _spans: list[tuple[int, int]] = field(default_factory=list, repr=False)

    @property
    def moved_bytes(self) -> int:
        """Tell how many bytes leave it."""
        return sum(extent.length for extent in self.extents)

    def add(self, offset: int, length: int, film_offset: int) -> None:
        """Take in bytes that are copied; those that are in the film already stay where they were first."""
        for start, end in self._missing(offset, offset + length):
            insort(self._spans, (start, end))
            extent = Extent(start, end - start, film_offset + start - offset)
            last = self.extents[-1] if self.extents else None
            if last and (last.offset + last.length, last.film_offset + last.length) == (start, extent.film_offset):
                self.extents[-1] = last._replace(length=last.length + extent.length)
            else:
                self.extents.append(extent)

    def _missing(self, at: int, end: int) -> list[tuple[int, int]]:
        number = bisect_right(self._spans, (at, 0))
        if number and self._spans[number - 1][1] > at:
            at = self._spans[number - 1][1]
        found = []
        while at < end:
            start, behind = self._spans[number] if number < len(self._spans) else (end, end)
            if start > at:
                found.append((at, min(start, end)))
            at, number = max(at, behind), number + 1
        return found


@dataclass(frozen=True)
class MovePlan:
    """When which files lose their bytes."""

    #: Where in the film, before its next byte is written, which files are let go: nothing more of them is copied.
    turns: Mapping[int, Sequence[Piece]]
    #: By how much the disk is fuller than before the film was begun, at most.
    peak_bytes: int


def plan_moves(located: Iterable[Located], begin: int, limit_bytes: int) -> MovePlan:
    """Plan a film.

    Args:
        located: all of it but its header.
        begin: how long the header is.
        limit_bytes: how many bytes may lie on the disk twice; one file may make it more, and one that is needed from
            the film's first to its last byte stays until then.
    """
    rows = list(located)
    pieces: dict[Path, Piece] = {}
    last: dict[Path, int] = {}
    at = begin
    for number, (path, offset, length) in enumerate(rows):
        if path is not None:
            pieces.setdefault(path, Piece(path)).add(offset, length, at)
            last[path] = number
        at += length
    return _planned(rows, pieces, last, begin, limit_bytes)


def _planned(
    rows: Sequence[Located], pieces: Mapping[Path, Piece], last: Mapping[Path, int], begin: int, limit_bytes: int
) -> MovePlan:
    turns: dict[int, list[Piece]] = {}
    begun: set[Path] = set()
    #: Files of which nothing more is copied, and what of all files lies on the disk twice now.
    over: list[Piece] = []
    twice = freed = peak = 0
    at = begin
    for number, (path, _, length) in enumerate(rows):
        if path is not None and path not in begun:
            begun.add(path)
            if over and twice + pieces[path].moved_bytes > limit_bytes:
                turns[at] = over
                gone = sum(piece.moved_bytes for piece in over)
                twice, freed, over = twice - gone, freed + gone, []
            twice += pieces[path].moved_bytes
        at += length
        peak = max(peak, at - freed)
        if path is not None and last[path] == number:
            over.append(pieces[path])
    return MovePlan(turns, peak)
