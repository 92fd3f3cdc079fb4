"""Where a clip can be taken apart without encoding: where copying may stop, and where it may start.

Frames are stored in the order in which they are decoded, which is not that in which they are shown. Copying may stop
at a *clean cut*: what is stored before it is what is shown before it. It may start at a *clean start*: a clean cut
behind which a picture stands that needs none before it, and behind which none needs one before it. A sync sample alone
is no such place: in an open GOP, pictures that are shown before it hang on the GOP before.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate
from operator import add

from media.movie import Track, expand
from media.parameter_sets import parse_avc_config
from media.reader import ByteReader
from media.sample_entry import VideoEntry

#: Kinds of H.264 units (table 7-1): slices of other pictures, and slices of one that empties the decoder.
_SLICES, _IDR_SLICE = range(1, 5), 5


class CleanCuts:
    """The clean cuts and starts of one clip, counted in frames from its first one.

    Args:
        video: the picture of a clip that conforms to a film.
        is_idr: tells of a sync sample (0-based) whether decoding really starts anew there; asked only when needed.
    """

    def __init__(self, video: Track, is_idr: Callable[[int], bool]) -> None:
        self.frame_count = video.sample_count
        self._cuts = _clean_cuts(video)
        synced = range(1, video.sample_count + 1) if video.sync is None else video.sync
        clean = set(self._cuts)
        self._starts = [number - 1 for number in synced if number - 1 in clean]
        self._is_idr = is_idr

    def cut_before(self, frame: int) -> int:
        """Give the last clean cut at or before a frame; 0 at the latest."""
        return self._cuts[bisect_right(self._cuts, frame) - 1]

    def cut_behind(self, frame: int) -> int:
        """Give the first clean cut at or behind a frame; the end of the clip at the latest."""
        return self._cuts[bisect_left(self._cuts, min(frame, self.frame_count))]

    def start_before(self, frame: int) -> int:
        """Give the last clean start at or before a frame; the clip's first frame at the latest."""
        for index in range(bisect_right(self._starts, frame) - 1, -1, -1):
            if self._starts[index] and self._is_idr(self._starts[index]):
                return self._starts[index]
        return 0

    def start_behind(self, frame: int) -> int:
        """Give the first clean start at or behind a frame; the end of the clip, `frame_count`, where there is none."""
        for index in range(bisect_left(self._starts, frame), len(self._starts)):
            if self._starts[index] == 0 or self._is_idr(self._starts[index]):
                return self._starts[index]
        return self.frame_count


def _clean_cuts(video: Track) -> array[int]:
    """Give every clean cut, rising; 0 is the first, the end of the clip the last."""
    count = video.sample_count
    if not video.compositions:
        return array("I", range(count + 1))
    starts = accumulate(expand(video.durations), initial=0)
    shown = list(map(add, starts, expand(video.compositions)))
    turns = array("I", bytes(4 * count))
    for turn, sample in enumerate(sorted(range(count), key=shown.__getitem__)):
        turns[sample] = turn
    # The first n samples are the first n shown if the latest of them is shown as the n-th.
    latest = accumulate(turns, max)
    return array("I", [0, *(n for n, turn in enumerate(latest, start=1) if turn == n - 1)])


def idr_finder(video: Track, reader: ByteReader) -> Callable[[int], bool]:
    """Give the function that looks whether a sample of H.264 is an IDR picture, which empties the decoder."""
    assert isinstance(video.entry, VideoEntry)
    length_size = parse_avc_config(video.entry.children[b"avcC"]).length_size

    def is_idr(sample: int) -> bool:
        at, end = video.sample_offset(sample), video.sample_offset(sample) + video.sizes[sample]
        while at + length_size < end:
            head = reader.read(at, length_size + 1)
            if len(head) <= length_size:
                break
            kind = head[-1] & 0x1F
            if kind == _IDR_SLICE or kind in _SLICES:
                return kind == _IDR_SLICE
            at += length_size + int.from_bytes(head[:-1], "big")
        return False

    return is_idr
