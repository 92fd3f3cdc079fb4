"""Writes the head of an MP4: `ftyp`, the index (`moov`), and the head of the one `mdat` that everything else is.

The index stands first, so that a film plays while it is still being downloaded.

Source: ISO/IEC 14496-12, clauses 6 and 8.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from media.boxes import box, full_box, pack_words
from media.movie import IDENTITY_MATRIX, Run

_UINT32_MAX = 0xFFFFFFFF
#: "und": no language is said.
_UNDETERMINED = 0x55C4
#: In the header of an `mdat` whose size is always written with 64 bits.
_MDAT_HEAD_BYTES = 16


class Chunk(NamedTuple):
    """Samples of one track that lie side by side."""

    #: From the start of the payload.
    offset: int
    sample_count: int


@dataclass
class FilmTrack:
    """One track of the film to be written."""

    is_sound: bool
    timescale: int
    #: The sample entry, as bytes.
    entry: bytes
    durations: list[Run]
    compositions: list[Run]
    sync: array[int] | None
    sizes: array[int]
    chunks: list[Chunk]
    #: First tick that is shown: the composition delay, or the priming of the sound.
    media_start: int
    matrix: tuple[int, ...] = IDENTITY_MATRIX
    display_size: tuple[int, int] = (0, 0)


def build_header(tracks: Sequence[FilmTrack], timescale: int, duration: int, payload_bytes: int) -> bytes:
    """Write everything that stands before the payload.

    Args:
        tracks: the picture first.
        timescale: ticks a second of `duration`.
        duration: how long each track is shown.
        payload_bytes: what follows the header.
    """
    brands = b"isomiso2" + (b"avc1" if any(track.entry[4:8] == b"avc1" for track in tracks) else b"") + b"mp41"
    ftyp = box(b"ftyp", b"isom", struct.pack(">I", 512), brands)
    tables = [_fixed_tables(track) for track in tracks]
    # Offsets depend on the length of the index, and that on whether offsets need 64 bits: measure, then write.
    for word_bytes in (4, 8):
        measured = _moov(tracks, tables, timescale, duration, None, word_bytes)
        start = len(ftyp) + len(measured) + _MDAT_HEAD_BYTES
        if start + payload_bytes <= _UINT32_MAX:
            break
    moov = _moov(tracks, tables, timescale, duration, start, word_bytes)
    return ftyp + moov + struct.pack(">I4sQ", 1, b"mdat", payload_bytes + _MDAT_HEAD_BYTES)


def _moov(
    tracks: Sequence[FilmTrack], tables: list[bytes], timescale: int, duration: int, start: int | None, word_bytes: int
) -> bytes:
    """Write the index; without a start, only as long as it will be."""
    head = _timed_box(b"mvhd", 0, timescale, duration)
    rest = struct.pack(">IH10x9i24xI", 0x10000, 0x100, *IDENTITY_MATRIX, len(tracks) + 1)
    traks = []
    for number, (track, fixed) in enumerate(zip(tracks, tables, strict=True), start=1):
        offsets = bytes(word_bytes * len(track.chunks))
        if start is not None:
            offsets = pack_words([chunk.offset + start for chunk in track.chunks], size=word_bytes)
        name = b"stco" if word_bytes == 4 else b"co64"
        stbl = box(b"stbl", fixed, full_box(name, 0, 0, len(track.chunks).to_bytes(4, "big"), offsets))
        edit = _edit(duration, track.media_start)
        media = box(b"mdia", _media_header(track), _handler(track), box(b"minf", _minf_head(track), stbl))
        traks.append(box(b"trak", _track_header(track, number, duration), edit, media))
    return box(b"moov", _close(head, rest), *traks)


def _timed_box(kind: bytes, flags: int, *numbers: int) -> tuple[bytes, int, bytes]:
    """Start a box with two dates of 0, then `numbers`; the last is a duration, and decides on 32 or 64 bits."""
    *plain, duration = numbers
    wide = duration > _UINT32_MAX
    body = bytes(16 if wide else 8) + pack_words(plain) + duration.to_bytes(8 if wide else 4, "big")
    return kind, int(wide) << 24 | flags, body


def _close(head: tuple[bytes, int, bytes], rest: bytes) -> bytes:
    kind, version_flags, body = head
    return box(kind, version_flags.to_bytes(4, "big"), body, rest)


def _track_header(track: FilmTrack, number: int, duration: int) -> bytes:
    # Flags 3: enabled, and part of the film. The zero between number and duration is reserved.
    volume = 0x100 if track.is_sound else 0
    rest = struct.pack(">8xHHHH9iII", 0, int(track.is_sound), volume, 0, *track.matrix, *track.display_size)
    return _close(_timed_box(b"tkhd", 3, number, 0, duration), rest)


def _edit(duration: int, media_start: int) -> bytes:
    wide = duration > _UINT32_MAX or media_start > _UINT32_MAX >> 1
    row = struct.pack(">Qqi" if wide else ">Iii", duration, media_start, 0x10000)
    return box(b"edts", full_box(b"elst", int(wide), 0, struct.pack(">I", 1), row))


def _media_header(track: FilmTrack) -> bytes:
    total = sum(run.length * run.value for run in track.durations)
    return _close(_timed_box(b"mdhd", 0, track.timescale, total), struct.pack(">HH", _UNDETERMINED, 0))


def _handler(track: FilmTrack) -> bytes:
    kind, name = (b"soun", b"SoundHandler\0") if track.is_sound else (b"vide", b"VideoHandler\0")
    return full_box(b"hdlr", 0, 0, bytes(4), kind, bytes(12), name)


def _minf_head(track: FilmTrack) -> bytes:
    own = full_box(b"smhd", 0, 0, bytes(4)) if track.is_sound else full_box(b"vmhd", 0, 1, bytes(8))
    # Flag 1 of the reference: the media is in this very file.
    return own + box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))


def _fixed_tables(track: FilmTrack) -> bytes:
    """Write the tables that do not depend on where the payload starts."""
    tables = [full_box(b"stsd", 0, 0, struct.pack(">I", 1), track.entry), _run_table(b"stts", 0, track.durations)]
    if any(run.value for run in track.compositions):
        is_signed = any(run.value < 0 for run in track.compositions)
        tables.append(_run_table(b"ctts", int(is_signed), track.compositions))
    if track.sync is not None:
        tables.append(_table(b"stss", track.sync))
    tables.append(full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(track.sizes)), pack_words(track.sizes)))
    return b"".join(tables) + _chunk_table(track.chunks)


def _run_table(kind: bytes, version: int, runs: list[Run]) -> bytes:
    words = chain.from_iterable((length, value & _UINT32_MAX) for length, value in runs)
    return full_box(kind, version, 0, struct.pack(">I", len(runs)), pack_words(words))


def _table(kind: bytes, numbers: Sequence[int]) -> bytes:
    return full_box(kind, 0, 0, struct.pack(">I", len(numbers)), pack_words(numbers))


def _chunk_table(chunks: list[Chunk]) -> bytes:
    """Write how many samples each chunk has, a row only where that changes."""
    rows: list[int] = []
    last = None
    for number, chunk in enumerate(chunks, start=1):
        if chunk.sample_count != last:
            last = chunk.sample_count
            rows += (number, last, 1)
    return full_box(b"stsc", 0, 0, struct.pack(">I", len(rows) // 3), pack_words(rows))


def ticks(seconds: Fraction, timescale: int) -> int:
    """Turn seconds into ticks, which must come out even: nothing may drift.

    >>> ticks(Fraction(1, 24), 12288)
    512
    """
    exact = seconds * timescale
    assert exact.denominator == 1, f"{seconds} s are no whole number of 1/{timescale} s"
    return exact.numerator
