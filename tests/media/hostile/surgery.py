"""Taking MP4s apart and putting them together wrongly: boxes by path, words by offset.

A path such as `moov/trak[1]/mdia/mdhd` names the boxes on the way, the second `trak` here. Clips should have their
index at the end, as FFmpeg writes it without `+faststart`: then no change of its length moves any sample.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from media.boxes import box, boxes

#: Bytes of a box's contents before the boxes inside it, where there are any.
_HEADS = {"stsd": 8, "dref": 8, "avc1": 78, "mp4a": 28, "meta": 4}

STBL = "mdia/minf/stbl"
#: Where the sample tables of the picture and of the sound are.
PICTURE, SOUND = f"moov/trak/{STBL}", f"moov/trak[1]/{STBL}"


@dataclass(frozen=True)
class _Step:
    kind: bytes
    turn: int


def _steps(path: str) -> list[_Step]:
    found = []
    for part in path.split("/"):
        match = re.fullmatch(r"(.{4})(?:\[(\d+)\])?", part)
        assert match, f"{part} is no box"
        found.append(_Step(match[1].encode(), int(match[2] or 0)))
    return found


def edited(data: bytes, path: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change the contents of one box; the sizes of those around it follow."""
    return _replaced(data, 0, _steps(path), lambda whole: box(whole[4:8], change(whole[8:])))


def replaced(data: bytes, path: str, *instead: bytes) -> bytes:
    """Put other bytes where a box was: nothing, another box, several, or rubbish."""
    return _replaced(data, 0, _steps(path), lambda _: b"".join(instead))


def _replaced(data: bytes, head: int, steps: list[_Step], change: Callable[[bytes], bytes]) -> bytes:
    same = [found for found in boxes(data, head, len(data)) if found.kind == steps[0].kind]
    found = same[steps[0].turn]
    whole = data[found.start : found.end]
    if len(steps) == 1:
        new = change(whole)
    else:
        inner = _HEADS.get(steps[0].kind.decode(), 0)
        new = box(found.kind, _replaced(whole[8:], inner, steps[1:], change))
    return data[: found.start] + new + data[found.end :]


def body_of(data: bytes, path: str) -> bytes:
    """Give the contents of one box."""
    kept: list[bytes] = []

    def keep(body: bytes) -> bytes:
        kept.append(body)
        return body

    edited(data, path, keep)
    return kept[0]


def with_word(data: bytes, path: str, offset: int, value: int, size: int = 4) -> bytes:
    """Put another number into a box; `offset` counts from its contents."""
    return edited(
        data,
        path,
        lambda body: body[:offset] + (value % (1 << 8 * size)).to_bytes(size, "big") + body[offset + size :],
    )


def with_inside(data: bytes, path: str, *more: bytes) -> bytes:
    """Put more bytes to the end of a box."""
    return edited(data, path, lambda body: body + b"".join(more))


def table(kind: bytes, *words: int, head: int = 0) -> bytes:
    """Make a sample table of 32-bit numbers, as they are, whether or not they make sense."""
    return box(kind, struct.pack(">I", head), *(struct.pack(">I", word % (1 << 32)) for word in words))


def nested(levels: int, kinds: bytes = b"udta") -> bytes:
    """Make boxes within boxes."""
    size = 8 * levels
    return b"".join(struct.pack(">I4s", size - 8 * i, kinds) for i in range(levels))
