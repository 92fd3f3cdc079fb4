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

from adapters.cloud_run_estimate import CHUNK_FRAMES_MAX
from media.treatment import Target
from media.video_encoders import keyframe_interval

#: What a stop may cost at most: so many frames, or so many seconds of one slow processor.
FRAMES_MAX = CHUNK_FRAMES_MAX
SECONDS_MAX = 30
#: Pixels that a slow processor makes in a second, by x264's preset. With FFmpeg 9, 192 noisy frames of 1920x1080 take
#: 7.2 s of processor time by `veryfast`, 55 million a second; it is half of that here, since a vCPU is half a core.
#: `medium` was not measured with it: it is as much slower as in `adapters/cloud_run_estimate.py`.
PIXELS_PER_SECOND = {"veryfast": 27_000_000, "medium": 12_000_000}
#: A chunk is about so large a part of all that comes from its first frame on. So clips stay whole as long as there is
#: other work, and what is done last is small: no processor waits long for another. Smaller parts would cost more than
#: they gain: whoever makes the next chunk of a clip decodes again what lies before it, as most clips that are generated
#: have one key frame.
_PART_OF_REST = 3
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


@dataclass(frozen=True, slots=True)
class Cut:
    """How long chunks are."""

    #: Frames that a chunk has at most.
    most: int
    #: Frames that a chunk has where the film's end is near, so that all processors have work.
    least: int
    #: Frames between key frames.
    interval: int


def cut_of(target: Target) -> Cut:
    """Give how long a film's chunks are."""
    picture = target.picture
    interval = keyframe_interval(picture.frame_rate)
    pixels = PIXELS_PER_SECOND.get(target.quality.preset, min(PIXELS_PER_SECOND.values()))
    in_time = SECONDS_MAX * pixels // (picture.width_px * picture.height_px)
    # Half a key frame interval where pictures are large: shorter ones would cost more bytes than they save time.
    most = min(FRAMES_MAX, max(in_time, interval // 2, 1))
    most -= most % interval if most >= interval else 0
    return Cut(most, min(most, interval), interval)


def chunks_of(frame_count: int, cut: Cut, *, later_count: int = 0, has_index: bool = True) -> list[range]:
    """Cut the frames of a clip into chunks.

    Args:
        frame_count: of the clip.
        cut: how long they are.
        later_count: frames that are encoded of the clips behind it.
        has_index: False for a container whose every chunk is read from the start: those get few chunks, however long.

    >>> cut = Cut(most=288, least=48, interval=48)
    >>> chunks_of(192, cut, later_count=1000), chunks_of(192, cut)
    ([range(0, 192)], [range(0, 96), range(96, 144), range(144, 192)])
    """
    if not has_index:
        count = min(_CHUNKS_WITHOUT_INDEX_MAX, -(-frame_count // cut.most))
        starts = [-(-frame_count * number // count) for number in range(count + 1)]
        return [range(start, end) for start, end in pairwise(starts)]
    chunks, start = [], 0
    while start < frame_count:
        end = start + _next_chunk(frame_count - start, cut, later_count)
        chunks.append(range(start, end))
        start = end
    return chunks


def _next_chunk(left: int, cut: Cut, later_count: int) -> int:
    """Give how many of the frames that are left of a clip the next chunk has."""
    wanted = min(cut.most, max(cut.least, (left + later_count) // _PART_OF_REST))
    count = max(-(-left // cut.most), round(Fraction(left, wanted)))
    if count <= 1:
        return left
    # Key frames come at their interval anyway: there a chunk costs nothing.
    return min(left, cut.most, -(-left // (count * cut.interval)) * cut.interval)
