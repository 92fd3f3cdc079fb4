"""The boxes at the top of an MP4 or MOV: a few bytes read of each, whatever lies in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from events.errors import BadMedia
from media.boxes import Box, readable
from media.mp4_limits import (
    NEIGHBOUR_BYTES_MAX,
    NEVER_BESIDE_INDEX,
    READ_BESIDE_INDEX,
    TOP_BOXES_MAX,
    refuse_what_expands,
)
from media.reader import ByteReader

#: A film of twelve hours needs about 40 MB; more is an attack or damage.
MOOV_BYTES_MAX = 64 * 1024 * 1024


class TopBoxes:
    """Where the index and the media of a file are.

    Raises:
        BadMedia: the file is cut off, damaged or has no index, or one of a size that no film needs.
    """

    def __init__(self, reader: ByteReader) -> None:
        self.media_ranges: list[tuple[int, int]] = []
        self.has_fragments = False
        self._neighbours: list[Box] = []
        moov: Box | None = None
        for found in top_boxes(reader):
            if found.end > reader.size_bytes:
                self._refuse_truncated(found, reader.size_bytes, moov)
                break
            if found.kind == b"moov" and moov is None:
                moov = found
            elif found.kind == b"mdat":
                self.media_ranges.append((found.body, found.end))
            elif found.kind == b"moof":
                self.has_fragments = True
                break  # There may be thousands; one is enough to know.
            elif found.kind in READ_BESIDE_INDEX:
                self._neighbours.append(found)
            elif found.kind in NEVER_BESIDE_INDEX:
                raise BadMedia(f"it has a {readable(found.kind)} box beside its index, where none belongs")
        if moov is None:
            raise BadMedia("it has no index (moov): it was cut off, or is still being written")
        if moov.end - moov.start > MOOV_BYTES_MAX:
            raise BadMedia(f"its index is {moov.end - moov.start} bytes; Longreel reads {MOOV_BYTES_MAX} at most")
        self.moov = moov

    def refuse_index_elsewhere(self, reader: ByteReader) -> None:
        """Refuse boxes beside the index that other readers take for a part of it, and that blow up there."""
        for found in self._neighbours:
            length = found.end - found.start
            if length > NEIGHBOUR_BYTES_MAX:
                raise BadMedia(f"it has a {readable(found.kind)} box of {length} bytes beside its index")
            refuse_what_expands(reader.read(found.start, length))

    def _refuse_truncated(self, found: Box, size_bytes: int, moov: Box | None) -> None:
        length = found.end - found.start
        if found.kind == b"mdat":
            without = "" if moov else ", and its index (moov), which should follow, is missing"
            raise BadMedia(
                f"it is truncated: its mdat box says {length} bytes from byte {found.start}, "
                f"but the file ends at byte {size_bytes}{without}"
            )
        if moov is None:
            raise BadMedia(
                f"it is truncated: its {readable(found.kind)} box says {length} bytes from byte {found.start}, "
                f"but the file ends at byte {size_bytes}"
            )


def top_boxes(reader: ByteReader, most: int = TOP_BOXES_MAX) -> Iterator[Box]:
    """Walk the boxes of a file; the last one may reach behind its end.

    Raises:
        BadMedia: a box is smaller than its own header, or there are more than `most`.
    """
    offset = 0
    for _ in range(most):
        head = reader.read(offset, 16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        body = offset + 8
        if size == 1 and len(head) == 16:
            size, body = int.from_bytes(head[8:16], "big"), offset + 16
        elif size == 0:
            size = reader.size_bytes - offset  # "To the end of the file."
        if size < body - offset:
            raise BadMedia(f"it is damaged at byte {offset}: a box of {size} bytes cannot be")
        yield Box(kind, offset, body, offset + size)
        offset += size
    raise BadMedia(f"it has more than {most} boxes side by side")
