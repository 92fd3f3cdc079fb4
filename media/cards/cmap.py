"""Which characters a font file has: its `cmap` table, read in place. Pillow does not say; it draws a blank box.

Source: OpenType 1.9.1, https://learn.microsoft.com/en-us/typography/opentype/spec/cmap and …/otff
"""

from __future__ import annotations

import struct
from pathlib import Path

#: More tables, or a longer cmap, than any font has; a broken file must not make us read it whole.
_TABLES_MAX = 512
_CMAP_BYTES_MAX = 4 << 20
#: (platform, encoding) → preference: full Unicode before its first plane.
_PREFERENCE = {(3, 10): 3, (0, 6): 3, (0, 4): 3, (3, 1): 2, (0, 3): 2, (0, 2): 1, (0, 1): 1, (0, 0): 1}


class CharacterMap:
    """The characters of one face of a font file.

    Args:
        cmap: the bytes of its `cmap` table.

    Raises:
        ValueError: the table has no Unicode part that we can read.
    """

    def __init__(self, cmap: bytes) -> None:
        self._data = _unicode_subtable(cmap)
        self._format = _u16(self._data, 0)
        if self._format not in {4, 12}:
            raise ValueError(f"cmap format {self._format} is not read")

    def __contains__(self, character: str) -> bool:
        code = ord(character)
        try:
            return self._in_ranges(code) if self._format == 12 else self._in_segments(code)
        except struct.error:
            return False  # the table ends before it says so: a broken font has nothing to offer

    def _in_ranges(self, code: int) -> bool:
        low, high = 0, struct.unpack_from(">I", self._data, 12)[0]
        while low < high:
            middle = (low + high) // 2
            first, last, glyph = struct.unpack_from(">III", self._data, 16 + 12 * middle)
            if code > last:
                low = middle + 1
            elif code < first:
                high = middle
            else:
                return bool(glyph + code - first)
        return False

    def _in_segments(self, code: int) -> bool:
        if code > 0xFFFF:
            return False
        doubled = _u16(self._data, 6)
        low, high = 0, doubled // 2
        while low < high:
            middle = (low + high) // 2
            if _u16(self._data, 14 + 2 * middle) < code:
                low = middle + 1
            else:
                high = middle
        if low >= doubled // 2:
            return False
        return self._segment_glyph(code, 14 + 2 * low, doubled) != 0

    def _segment_glyph(self, code: int, end_at: int, doubled: int) -> int:
        start_at = end_at + doubled + 2
        first, delta = _u16(self._data, start_at), _u16(self._data, start_at + doubled)
        if code < first:
            return 0
        offset_at = start_at + 2 * doubled
        offset = _u16(self._data, offset_at)
        if offset == 0:
            return (code + delta) & 0xFFFF
        glyph = _u16(self._data, offset_at + offset + 2 * (code - first))
        return (glyph + delta) & 0xFFFF if glyph else 0


def read_character_map(path: Path) -> CharacterMap:
    """Read the characters of a font file; of a collection, those of its first face.

    Raises:
        ValueError: it is not a font that we can read.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(16)
        start = struct.unpack_from(">I", header, 12)[0] if header[:4] == b"ttcf" and len(header) == 16 else 0
        file.seek(start)
        directory = file.read(12)
        if len(directory) < 12 or directory[:4] not in {b"\x00\x01\x00\x00", b"OTTO", b"true"}:
            raise ValueError("not a TrueType or OpenType font")
        tables = file.read(16 * min(_u16(directory, 4), _TABLES_MAX))
        records = struct.iter_unpack(">4sIII", tables[: len(tables) // 16 * 16])
        places = {tag: (offset, length) for tag, _, offset, length in records}
        if b"cmap" not in places or not places.keys() & {b"glyf", b"CFF ", b"CFF2"}:
            raise ValueError("the font has no cmap table, or no outlines")
        offset, length = places[b"cmap"]
        file.seek(offset)
        return CharacterMap(file.read(min(length, _CMAP_BYTES_MAX)))


def _unicode_subtable(cmap: bytes) -> bytes:
    try:
        records = [struct.unpack_from(">HHI", cmap, 4 + 8 * i) for i in range(min(_u16(cmap, 2), _TABLES_MAX))]
    except struct.error as exc:
        raise ValueError("the cmap table is cut short") from exc
    usable = [
        (_PREFERENCE[platform, encoding], at)
        for platform, encoding, at in records
        if (platform, encoding) in _PREFERENCE
    ]
    if not usable:
        raise ValueError("the font has no Unicode cmap")
    subtable = cmap[max(usable)[1] :]
    if len(subtable) < 16:
        raise ValueError("the cmap table is cut short")
    return subtable


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", data, at)[0])
