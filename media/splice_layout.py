"""Where every sample of a film lies: in what order bytes of the clips are copied, or that they stay as they are."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence, Sized
from heapq import merge
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import NamedTuple

from media.movie import Track
from media.mp4_build import Chunks

#: The source number of bytes that no clip has: made packets of sound.
EXTRA = -1
#: How far sound and picture of the same moment may lie apart, so that a film plays while it loads.
_APART_US_MAX = 1_000_000
#: The pieces that a badly interleaved clip is cut into.
_PIECE_US = 500_000


class CopyRange(NamedTuple):
    """Bytes that follow in the film: from a clip (its index) or from the made ones (`EXTRA`)."""

    source: int
    offset: int
    length: int


class Piece(NamedTuple):
    """Samples of one track that lie side by side in one source."""

    is_sound: bool
    source: int
    offset: int
    length: int
    sample_count: int
    #: When it is decoded, in microseconds of its own clip; only for putting pieces in order.
    start_us: int
    end_us: int


class Placed(NamedTuple):
    """Where everything lies in the film."""

    picture_chunks: Chunks
    sound_chunks: Chunks
    #: The payload of the film, in order.
    ranges: list[CopyRange]
    payload_bytes: int


def pieces_of(track: Track, source: int, samples: range, *, is_sound: bool) -> list[Piece]:
    """Give the pieces in which some samples in a row of a track lie, in their order."""
    if not samples:
        return []
    first_chunk = bisect_right(track.chunk_firsts, samples.start) - 1
    end_chunk = bisect_left(track.chunk_firsts, samples.stop)
    borders = track.chunk_firsts[first_chunk : end_chunk + 1]
    offsets = track.chunk_offsets[first_chunk:end_chunk]
    # Of the first chunk and of the last one, only a part may be wanted.
    offsets[0] += track.size_sums[samples.start] - track.size_sums[borders[0]]
    borders[0], borders[-1] = samples.start, samples.stop
    ticks_us, timescale = 1_000_000 * (track.interval or 0), track.timescale
    sums = [track.size_sums[border] for border in borders]
    times_us = [border * ticks_us // timescale for border in borders]
    rows = zip(offsets, pairwise(sums), pairwise(borders), pairwise(times_us), strict=True)
    return [
        Piece(is_sound, source, offset, sum_end - sum_first, end - first, start_us, end_us)
        for offset, (sum_first, sum_end), (first, end), (start_us, end_us) in rows
        if first < end
    ]


def interleave(picture: list[Piece], sound: list[Piece], tracks: Sequence[Track]) -> list[Piece]:
    """Put the pieces of one clip into the order in which they are copied.

    A clip that is interleaved well keeps its order, so that it is copied in one go; another is cut and sorted by time.
    """
    if not sound:
        return picture
    in_file = sorted(picture + sound, key=attrgetter("offset"))
    if _plays_while_loading(in_file):
        return in_file
    cut_picture = [part for piece in picture for part in _cut(piece, tracks[0])]
    cut_sound = [part for piece in sound for part in _cut(piece, tracks[1])]
    return list(merge(cut_picture, cut_sound, key=lambda piece: piece.start_us))


def _plays_while_loading(pieces: list[Piece]) -> bool:
    reached = [0, 0]
    for is_sound, _, _, _, _, start_us, end_us in pieces:
        if start_us < reached[is_sound]:
            return False  # Its samples are not stored in their order.
        if end_us - reached[not is_sound] > _APART_US_MAX:
            return False
        reached[is_sound] = end_us
    return True


def _cut(piece: Piece, track: Track) -> Iterator[Piece]:
    """Cut a piece so that none lasts longer than `_PIECE_US`, if more than one sample is in it."""
    length_us = max(1, piece.end_us - piece.start_us)
    step = max(1, piece.sample_count * _PIECE_US // length_us)
    sizes, offset = track.sizes, piece.offset
    first = round(piece.start_us * track.timescale / (1_000_000 * (track.interval or 1)))
    for start in range(0, piece.sample_count, step):
        count = min(step, piece.sample_count - start)
        length = sum(sizes[first + start : first + start + count])
        start_us = piece.start_us + start * length_us // piece.sample_count
        end_us = piece.start_us + (start + count) * length_us // piece.sample_count
        yield Piece(piece.is_sound, piece.source, offset, length, count, start_us, end_us)
        offset += length


def lay_out(pieces: Iterable[Piece]) -> Placed:
    """Lay the pieces one behind the other; what follows in the same source becomes one range."""
    picture_chunks, sound_chunks = Chunks(), Chunks()
    ranges: list[CopyRange] = []
    at = 0
    # The range that is not done yet: where it starts in the film, and where it ends in its source.
    start, end_source, end = 0, EXTRA, -1
    for is_sound, source, offset, length, sample_count, _, _ in pieces:
        (sound_chunks if is_sound else picture_chunks).add(at, sample_count)
        if source != end_source or offset != end:
            if at > start:
                ranges.append(CopyRange(end_source, end - (at - start), at - start))
            start, end_source, end = at, source, offset
        at += length
        end += length
    if at > start:
        ranges.append(CopyRange(end_source, end - (at - start), at - start))
    return Placed(picture_chunks, sound_chunks, ranges, at)


def append_whole(pieces: Iterable[Piece], source_sizes: Sequence[int], extra: Sized) -> Placed:
    """Leave every byte where it is: the made packets first, then each whole file; an object store can compose that.

    Args:
        pieces: in the film's order.
        source_sizes: bytes of each file.
        extra: the made packets; may become more as long as pieces are taken.
    """
    *starts, files_bytes = accumulate(source_sizes, initial=0)
    picture_chunks, sound_chunks = Chunks(), Chunks()
    for piece in pieces:
        # How many made packets stand before the files is only known at the end: theirs are below 0 until then.
        at = ~piece.offset if piece.source == EXTRA else starts[piece.source] + piece.offset
        (sound_chunks if piece.is_sound else picture_chunks).add(at, piece.sample_count)
    extra_bytes = len(extra)
    for chunks in (picture_chunks, sound_chunks):
        chunks.offsets = array("q", (~at if at < 0 else at + extra_bytes for at in chunks.offsets))
    ranges = [CopyRange(source, 0, size) for source, size in enumerate(source_sizes)]
    if extra_bytes:
        ranges.insert(0, CopyRange(EXTRA, 0, extra_bytes))
    return Placed(picture_chunks, sound_chunks, ranges, extra_bytes + files_bytes)
