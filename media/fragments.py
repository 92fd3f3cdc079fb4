"""Fragmented MP4s, whose index is spread over the file: looked through before FFmpeg is let near them.

A run of samples that all have the same size takes sixteen bytes, however many it says there are, and FFmpeg makes a
row in memory of each. Longreel itself reads no fragments.
"""

from __future__ import annotations

import re
import struct

from events.errors import BadMedia
from media.boxes import Box
from media.mp4_tables import SAMPLES_MAX
from media.mp4_top import top_boxes
from media.reader import ByteReader, windowed

#: A day of fragments of two seconds.
FRAGMENTS_MAX = 45_000
#: Size of one fragment's index; ten minutes in one fragment have half of it.
FRAGMENT_BYTES_MAX = 2 * 1024 * 1024
#: Boxes at the top that belong to a fragment: two of its own, and up to three that announce it.
_BOXES_PER_FRAGMENT = 5

_RUN = re.compile(rb"trun....(....)", re.DOTALL)


def refuse_hostile_fragments(reader: ByteReader, name: str) -> None:
    """Refuse a fragmented file that lists more samples than any film has.

    Every fragment costs a request if the file is an object in a store; FFmpeg asks for as many to tell its length.

    Raises:
        BadMedia: there are too many samples or fragments, or one is too large; what is cut off is not judged here.
    """
    try:
        _count_samples(windowed(reader))
    except BadMedia as exc:
        raise BadMedia(f"read {name}: {exc.message}") from exc


def _count_samples(reader: ByteReader) -> None:
    samples = 0
    for found in top_boxes(reader, FRAGMENTS_MAX * _BOXES_PER_FRAGMENT):
        if found.kind == b"moof":
            samples += _samples_of(reader, found)
        if samples > SAMPLES_MAX:
            raise BadMedia(f"its fragments list {samples} samples; {SAMPLES_MAX} are the most that Longreel reads")


def _samples_of(reader: ByteReader, fragment: Box) -> int:
    length = fragment.end - fragment.start
    if length > FRAGMENT_BYTES_MAX:
        raise BadMedia(f"the index of a fragment is {length} bytes; {FRAGMENT_BYTES_MAX} are the most")
    data = reader.read(fragment.start, length)
    return sum(struct.unpack(">I", run[1])[0] for run in _RUN.finditer(data))
