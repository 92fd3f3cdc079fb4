"""How the numbers of a picture mean colours, as the box around them (`colr`) or the picture itself says."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

#: The code point for what is not said.
_UNSPECIFIED = 2
#: Code points that exist, by ITU-T H.273, tables 2 to 4.
_PRIMARIES, _TRANSFERS = frozenset({1, 2, *range(4, 13), 22}), frozenset({1, 2, *range(4, 19)})
_MATRICES = frozenset({0, 1, 2, *range(4, 18)})
#: The last of the matrices that every FFmpeg in use can be told; 6.1 ends a film whose filter names a later one.
_MATRIX_MAX = 14


@dataclass(frozen=True, slots=True)
class Colour:
    """How the numbers of a picture mean colours.

    Source: code points of ITU-T H.273, as they stand in an MP4's `colr` box and in the H.264 VUI; 2 is
    unspecified.
    """

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    matrix: int = _UNSPECIFIED
    full_range: bool = False

    @property
    def is_high_dynamic_range(self) -> bool:
        """Tell whether it is PQ or HLG (H.273 table 3: 16, 18), which a standard screen shows washed out."""
        return self.transfer in {16, 18}

    @property
    def without_unknown(self) -> Colour:
        """The same with code points that do not exist as not said, which is how H.273 wants them taken."""
        return Colour(
            self.primaries if self.primaries in _PRIMARIES else _UNSPECIFIED,
            self.transfer if self.transfer in _TRANSFERS else _UNSPECIFIED,
            self.matrix if self.matrix in _MATRICES else _UNSPECIFIED,
            self.full_range,
        )

    @property
    def can_be_written(self) -> bool:
        """Tell whether FFmpeg can be told to make a picture of it."""
        return self == self.without_unknown and self.matrix <= _MATRIX_MAX

    def __str__(self) -> str:
        """Give the code points and the range, such as `1/1/1 tv`; `unspecified` if nothing is said."""
        if self == Colour():
            return "unspecified"
        return f"{self.primaries}/{self.transfer}/{self.matrix} {'full' if self.full_range else 'tv'}"

    def to_box(self) -> bytes:
        """Write the contents of a `colr` box. Source: ISO/IEC 14496-12, 12.1.5."""
        return struct.pack(">4sHHHB", b"nclx", self.primaries, self.transfer, self.matrix, self.full_range << 7)


def read_colour(said: str) -> Colour | None:
    """Read what `str` of a colour gives; None for all else.

    >>> read_colour("9/18/9 tv"), read_colour("unspecified") == Colour(), read_colour("profile 00")
    (Colour(primaries=9, transfer=18, matrix=9, full_range=False), True, None)
    """
    if said == str(Colour()):
        return Colour()
    found = re.fullmatch(r"(\d+)/(\d+)/(\d+) (tv|full)", said)
    if not found:
        return None
    return Colour(int(found[1]), int(found[2]), int(found[3]), found[4] == "full")


def boxed_colour(body: bytes, stream: Colour) -> Colour | None:
    """Give the colours that count: those of a `colr` box, and those of the stream where the box leaves them open.

    Args:
        body: the contents of the box; empty where there is none.
        stream: what the picture's own headers say.

    Returns:
        None for a colour profile.

    Source: ISO/IEC 14496-12, 12.1.5.1: the box overrides the stream. QuickTime's `nclc` says nothing of the range.
    """
    if not body:
        return stream
    if body[:4] not in (b"nclx", b"nclc") or len(body) < 10:
        return None
    primaries, transfer, matrix = struct.unpack_from(">HHH", body, 4)
    names_range = body[:4] == b"nclx" and len(body) > 10
    own = Colour(primaries, transfer, matrix, bool(body[10] & 0x80) if names_range else stream.full_range)
    if own == Colour():
        return stream
    return Colour(
        stream.primaries if own.primaries == _UNSPECIFIED else own.primaries,
        stream.transfer if own.transfer == _UNSPECIFIED else own.transfer,
        stream.matrix if own.matrix == _UNSPECIFIED else own.matrix,
        own.full_range,
    )
