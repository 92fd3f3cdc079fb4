"""What is installed where the functions run: the packages of `requirements.txt`, and what these bring along.

A developer's machine has more, and some libraries load whatever they find: httpx loads rich, google-genai Pillow.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
OURS = "longreel"


@cache
def undeployed() -> frozenset[str]:
    """Give the top-level modules of all packages that are installed here and would not be there."""
    there = _deployed() | {OURS}
    found = packages_distributions().items()
    return frozenset(module for module, packages in found if there.isdisjoint(map(_canonical, packages)))


def _deployed() -> set[str]:
    lines = [line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()]
    waiting = [Requirement(line) for line in lines if line]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        extras = frozenset(wanted.extras)
        if (_canonical(wanted.name), extras) not in seen:
            seen.add((_canonical(wanted.name), extras))
            waiting += _needs(wanted.name, extras)
    return {name for name, _ in seen}


def _needs(package: str, extras: frozenset[str]) -> list[Requirement]:
    try:
        texts = distribution(package).requires or []
    except PackageNotFoundError:
        # Wanted on another system, or by another version of Python.
        return []
    needs = [Requirement(text) for text in texts]
    return [each for each in needs if each.marker is None or _holds(each, extras)]


def _holds(need: Requirement, extras: frozenset[str]) -> bool:
    assert need.marker is not None
    return any(need.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
