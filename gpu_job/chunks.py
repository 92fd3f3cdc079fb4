"""How the work on a film is cut: which frames of a clip make a chunk, and which chunks belong to which worker. Pure.

A chunk starts with a key frame and hangs on no other: it is what can be lost, kept, and made somewhere else. Where it
is cut depends on the film alone, never on the machine, so that whoever takes the work up finds the same chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

from adapters.cloud_run_estimate import CHUNK_FRAMES_MAX, X264_PIXELS_PER_SECOND
from media.treatment import Target
from media.video_encoders import keyframe_interval

#: What a stop may cost at most: so many frames, or so many seconds of one slow processor.
FRAMES_MAX = CHUNK_FRAMES_MAX
SECONDS_MAX = 30
#: A film is cut into so many chunks or more, if it is long enough, so that several processors have work.
_CHUNKS_WANTED = 16
#: A chunk of a container without an index is read from the clip's start, so that a clip of many would mostly be read.
_CHUNKS_WITHOUT_INDEX_MAX = 12

_Each = TypeVar("_Each")


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the work a worker has: number `index`, from 0, of `count`."""

    index: int = 0
    count: int = 1

    def of(self, tasks: Sequence[_Each]) -> list[_Each]:
        """Give the tasks of this worker: together all workers have each task once.

        >>> Share(1, 3).of("abcdefgh")
        ['b', 'e', 'h']
        """
        return list(tasks[self.index :: self.count])


def chunk_frames(target: Target, film_frame_count: int) -> int:
    """Give how many frames a chunk of a film has at most.

    Args:
        target: the film.
        film_frame_count: how many of its frames are encoded, in all clips.
    """
    picture = target.picture
    interval = keyframe_interval(picture.frame_rate)
    pixels = Fraction(X264_PIXELS_PER_SECOND.get(target.quality.preset, min(X264_PIXELS_PER_SECOND.values())))
    in_time = int(SECONDS_MAX * pixels / (picture.width_px * picture.height_px))
    # Half a key frame interval where pictures are large: shorter ones would cost more bytes than they save time.
    most = min(FRAMES_MAX, max(in_time, interval // 2, 1))
    spread = -(-film_frame_count // _CHUNKS_WANTED)
    wanted = min(most, max(interval, spread))
    # Key frames come at their interval anyway: there a chunk costs nothing.
    return wanted if wanted < interval else wanted - wanted % interval


def chunks_of(frame_count: int, most: int, *, has_index: bool = True) -> list[range]:
    """Cut the frames of a clip into chunks of about the same length, each of `most` frames at most.

    Args:
        frame_count: of the clip.
        most: what `chunk_frames` gives.
        has_index: False for a container whose every chunk is read from the start: those get few chunks, however long.

    >>> chunks_of(700, 300)
    [range(0, 234), range(234, 467), range(467, 700)]
    """
    count = max(1, -(-frame_count // most))
    if not has_index:
        count = min(count, _CHUNKS_WITHOUT_INDEX_MAX)
    starts = [-(-frame_count * number // count) for number in range(count + 1)]
    return [range(start, end) for start, end in pairwise(starts)]
