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

from events.errors import PipelineError

#: Changed whenever FFmpeg is told something else for the same film, so that no older checkpoint is taken for a new one.
RECIPE = 4


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
    #: As `args`, but slower and without trust in the clip's index: for a clip of which the quick way gave too few
    #: frames. None where there is but one way.
    careful_args: Callable[[Path, str], list[str]] | None = None
    #: Frames that are decoded for nothing before the first one comes out, for those who wait for it.
    skipped_frames: int = 0
    #: Called when it is made, or cannot be: throws away what `args` wrote for FFmpeg to read.
    tidy: Callable[[], None] = lambda: None


class ClipFailed(Exception):
    """One clip is the reason why there is no film."""

    def __init__(self, segment_index: int, error: PipelineError) -> None:
        super().__init__(error.message)
        #: Of the plan's segment, so that the caller can skip it where the job allows.
        self.segment_index = segment_index
        self.error = error


def digest_of(*parts: object) -> str:
    """Give the digest of what determines a task's output, 64 hexadecimal digits.

    Args:
        parts: values whose `str` tells them apart: numbers, texts, fractions, paths never; frozen dataclasses.

    >>> digest_of("gs://b/o", 17) == digest_of("gs://b/o", 17), digest_of("gs://b/o", 1, 7) == digest_of("gs://b/o", 17)
    (True, False)
    """
    text = json.dumps([RECIPE, *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()
