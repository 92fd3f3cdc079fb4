"""What a run of chaos says: a line a kill in a trace, a screen at its end, and the first promise that was broken."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Broken(AssertionError):
    """A promise was broken; the text says which, and by what."""


def holds(so: object, promise: str, found: object = "") -> None:
    """Go on only while a promise holds.

    Raises:
        Broken: it does not.
    """
    if not so:
        raise Broken(f"{promise}; found: {found}" if found != "" else promise)


def say(text: str = "") -> None:
    """Tell the person at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Trace:
    """A JSON line a step, with the seconds since the start, so that what happened can be read afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()

    def note(self, **step: Any) -> None:
        """Write a line."""
        line = {"at": round(time.monotonic() - self._began, 3)} | step
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    @property
    def seconds(self) -> float:
        """Give how long it has been running."""
        return time.monotonic() - self._began


def counts_in_words(counts: Counter[str]) -> str:
    """Give `3 generating, 1 stitching`, the most first."""
    return ", ".join(f"{count} {what}" for what, count in counts.most_common()) or "none"
