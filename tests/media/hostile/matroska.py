"""Taking Matroska files apart and putting them together wrongly: a little of EBML."""

from __future__ import annotations

CLUSTER = b"\x1f\x43\xb6\x75"
INFO = b"\x15\x49\xa9\x66"
TRACKS = b"\x16\x54\xae\x6b"
ATTACHMENTS = b"\x19\x41\xa4\x69"
CHAPTERS = b"\x10\x43\xa7\x70"
TAGS = b"\x12\x54\xc3\x67"
_SEGMENT = b"\x18\x53\x80\x67"


def element(name: bytes, *parts: bytes, says: int | None = None) -> bytes:
    """Make an element around `parts`; it may say that it is longer than it is."""
    body = b"".join(parts)
    return name + (1 << 56 | (len(body) if says is None else says)).to_bytes(8, "big") + body


def open_ended(data: bytes) -> bytes:
    """Let the segment go on to the end of the file, so that more can be put there."""
    at = data.index(_SEGMENT) + 4
    return data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :]


def with_inside(data: bytes, name: bytes, *more: bytes) -> bytes:
    """Put elements to the end of one at the top of the segment; what points behind it misses by their length."""
    # The first place that names it is the table of contents.
    at = data.rindex(name, 0, data.index(CLUSTER, data.index(TRACKS) + 50))
    body, end = _body(data, at + 4)
    return data[:at] + element(name, data[body:end], *more) + data[end:]


def with_inside_first_track(data: bytes, *more: bytes) -> bytes:
    """Put elements to the end of the first track's entry."""
    at = data.rindex(TRACKS, 0, data.index(CLUSTER, data.index(TRACKS) + 50))
    body, end = _body(data, at + 4)
    entry, entry_end = _body(data, body + 1)
    assert data[body : body + 1] == b"\xae"
    grown = element(b"\xae", data[entry:entry_end], *more)
    return data[:at] + element(TRACKS, grown, data[entry_end:end]) + data[end:]


def _body(data: bytes, at: int) -> tuple[int, int]:
    """Read a length; gives where what it measures starts and ends."""
    size_bytes = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + size_bytes], "big") & (1 << 7 * size_bytes) - 1
    return at + size_bytes, at + size_bytes + size
