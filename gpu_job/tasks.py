"""A piece of the film that FFmpeg makes: which frames, how, and what determines every byte of it.

Whoever wants something encoded describes it as tasks; the runner makes them in parallel, keeps what is done in the
object store, and gives back files. A task is made twice with the same bytes as result, wherever it runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Changed whenever FFmpeg is told something else for the same film, so that no older checkpoint is taken for a new one.
RECIPE = 1


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One file to be made: a chunk of a clip, its sound, or the window around a join."""

    #: A file name stem, unique in the film and the same in every run: `clip-3-chunk-00002`, `join-4`.
    name: str
    #: For people: `clip 4 (gs://…)`, `the fade between clips 4 and 5`.
    label: str
    #: The plan's segment that is to blame when it cannot be decoded; None where none alone is.
    segment_index: int | None
    #: Frames that come out; 0 for sound alone.
    frame_count: int
    #: (absolute output path, encoder) → FFmpeg's arguments without the program's name, as `media/encoder.py` gives.
    args: Callable[[Path, str], list[str]]
    #: `digest_of` everything that determines the output: inputs' uri and generation, target, range.
    digest: str


def digest_of(*parts: object) -> str:
    """Give the digest of what determines a task's output, 64 hexadecimal digits.

    Args:
        parts: values whose `str` tells them apart: numbers, texts, fractions, paths never; frozen dataclasses.

    >>> digest_of("gs://b/o", 17) == digest_of("gs://b/o", 17), digest_of("gs://b/o", 1, 7) == digest_of("gs://b/o", 17)
    (True, False)
    """
    text = json.dumps([RECIPE, *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()
