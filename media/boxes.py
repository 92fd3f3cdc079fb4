"""The boxes that MP4 and MOV files are made of: taking them apart and putting them together.

Nothing here knows what a box means; `media/mp4_index.py` reads the index, `media/mp4_build.py` writes one.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from sys import byteorder
from typing import NamedTuple

from events.errors import BadMedia

#: Boxes side by side that are read; an honest index has a few dozen, a hostile one millions that hold nothing.
SIBLINGS_MAX = 10_000


class Box(NamedTuple):
    """Where one box lies in the bytes it was found in."""

    #: Four characters, such as `moov`.
    kind: bytes
    #: First byte of its header.
    start: int
    #: First byte of its contents.
    body: int
    #: First byte behind it.
    end: int


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Walk the boxes that fill `data[start:end]`; fewer than eight bytes at the end are ignored.

    Raises:
        BadMedia: a box is smaller than its own header or reaches behind `end`, or there are too many.

    Source: ISO/IEC 14496-12, 4.2 Object structure.
    """
    for _ in range(SIBLINGS_MAX):
        if end - start < 8:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1 and end - start >= 16:
            size = int.from_bytes(data[body : body + 8], "big")
            body += 8
        if size == 0 and kind == b"\0\0\0\0":
            return  # QuickTime ends some lists with zeros.
        if size < body - start or size > end - start:
            raise BadMedia(f"its {readable(kind)} box says {size} bytes where {end - start} are left")
        yield Box(kind, start, body, start + size)
        start += size
    raise BadMedia(f"it has more than {SIBLINGS_MAX} boxes side by side")


def find(data: bytes, start: int, end: int, *path: bytes) -> Box | None:
    """Give the first box at `path` (such as `mdia`, `hdlr`) inside `data[start:end]`, or None."""
    for found in boxes(data, start, end):
        if found.kind == path[0]:
            return found if len(path) == 1 else find(data, found.body, found.end, *path[1:])
    return None


def readable(kind: bytes) -> str:
    """Give a box type as text that can stand in a sentence.

    >>> readable(b"moov"), readable(b"\\x00\\x01ab")
    ('moov', '0x00016162')
    """
    return kind.decode("ascii") if kind.isascii() and kind.decode("ascii").isprintable() else f"0x{kind.hex()}"


def box(kind: bytes, *parts: bytes) -> bytes:
    """Make a box around `parts`.

    >>> box(b"free", b"ab")
    b'\\x00\\x00\\x00\\nfreeab'
    """
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Make a box whose contents start with a version and flags."""
    return box(kind, (version << 24 | flags).to_bytes(4, "big"), *parts)


def unpack_words(data: bytes, start: int, count: int, *, size: int = 4) -> array[int]:
    """Read `count` big-endian unsigned numbers of 4 or 8 bytes in one go.

    Raises:
        BadMedia: there are not that many bytes.
    """
    end = start + count * size
    if end > len(data):
        raise BadMedia(f"a table in its index should have {count} rows but is cut off")
    words = array(_TYPECODES[size], data[start:end])
    if byteorder == "little":
        words.byteswap()
    return words


def pack_words(numbers: Iterable[int], *, size: int = 4) -> bytes:
    """Write big-endian unsigned numbers of 4 or 8 bytes in one go; the reverse of `unpack_words`."""
    words = array(_TYPECODES[size], numbers)
    if byteorder == "little":
        words.byteswap()
    return words.tobytes()


#: Type codes whose item size is the same on every platform that CPython supports today.
_TYPECODES = {4: "I", 8: "Q"}
