"""Warnings as people read them: what is said of many clips is said once.

The report of a film has a sentence for each clip and each join, for programs; a person with thirty clips wants to read
that thirty were encoded, not thirty times that one was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: So many sentences that differ in numbers only are read one by one; more are one sentence.
ALIKE_MAX = 5
#: So many numbers, or ranges of them, are named.
_NAMED_MAX = 5

#: `clip 4: it was encoded: …`, `Clip 4 is left out: …`, `Join 3 (at 12.0 s): …`.
_NUMBERED = re.compile(
    r"(?P<noun>[Cc]lip|Scene|Join) (?P<number>\d+)(?: \(at (?P<at>[\d.]+ s)\))?(?P<rest>[: ].*)", re.DOTALL
)
#: How a sentence of one goes on, and that of many.
_PLURALS = (
    (": it was ", ": they were "),
    (": its sound was ", ": their sound was "),
    (" is left out", " are left out"),
)


class _Said(NamedTuple):
    """One warning, taken apart."""

    noun: str
    number: int
    at: str | None
    rest: str


def gathered(warnings: Iterable[str]) -> tuple[str, ...]:
    """Put warnings that say the same of several clips or joins into one sentence each.

    Those that say the very same are always put together; those that differ in numbers only, such as
    `the sound becomes 12 dB louder`, where there are more than `ALIKE_MAX` of them.

    Args:
        warnings: sentences; those that are of no clip or join stay as they are.

    Returns:
        Sentences, each once: those of no single clip or join first, then by clip and join.

    >>> gathered([f"clip {number}: it was encoded: a small file was asked for" for number in range(1, 31)])
    ('clips 1-30: they were encoded: a small file was asked for',)
    """
    said, groups = dict.fromkeys(warnings), dict[tuple[str, str], list[_Said]]()
    plain = []
    for warning in said:
        found = _NUMBERED.fullmatch(warning)
        if found is None:
            plain.append(warning)
            continue
        each = _Said(found["noun"], int(found["number"]), found["at"], found["rest"])
        groups.setdefault((each.noun, re.sub(r"\d+(?:[./]\d+)*", "#", each.rest)), []).append(each)
    sentences = [sentence for group in groups.values() for sentence in _sentences(sorted(group))]
    return (*plain, *(text for _, _, text in sorted(sentences)))


def _sentences(group: Sequence[_Said]) -> list[tuple[str, int, str]]:
    """Give the sentences of a group whose texts differ in numbers at most, with what they are sorted by."""
    if len(group) > ALIKE_MAX:
        return [_sentence(group)]
    same: dict[str, list[_Said]] = {}
    for each in group:
        same.setdefault(each.rest, []).append(each)
    return [_sentence(every) for every in same.values()]


def _sentence(every: Sequence[_Said]) -> tuple[str, int, str]:
    first = every[0]
    if len(every) == 1:
        at = f" (at {first.at})" if first.at else ""
        return first.noun, first.number, f"{first.noun} {first.number}{at}{first.rest}"
    rest = next(
        (many + first.rest.removeprefix(one) for one, many in _PLURALS if first.rest.startswith(one)), first.rest
    )
    if any(each.rest != first.rest for each in every):
        mark = "." if rest.endswith(".") else ""
        rest = f"{rest.removesuffix('.')} (so the first; the others are alike){mark}"
    at = f" (the first at {first.at})" if first.at else ""
    return first.noun, first.number, f"{first.noun}s {_numbers([each.number for each in every])}{at}{rest}"


def _numbers(numbers: Sequence[int]) -> str:
    """Give rising numbers in words.

    >>> _numbers([1, 2, 3, 7]), _numbers([1, 3, 5, 7, 9, 11, 12]), _numbers([4, 5])
    ('1-3 and 7', '1, 3, 5, 7, 9 and 2 more', '4 and 5')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    # Two neighbours are no range.
    parts = [part for run in runs for part in ([[n] for n in run] if len(run) < 3 else [run])]
    words = [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts[:_NAMED_MAX]]
    left = sum(len(part) for part in parts[_NAMED_MAX:])
    if left:
        return f"{', '.join(words)} and {left} more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
