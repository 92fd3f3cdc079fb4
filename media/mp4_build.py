"""Writes the head of an MP4: `ftyp`, the index (`moov`), and the head of the one `mdat` that everything else is.

The index stands first, so that a film plays while it is still being downloaded.

Source: ISO/IEC 14496-12, clauses 6 and 8.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterator, Sequence
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


class Chunks(Collection[Chunk]):
    """Chunks in their order, in a twentieth of a list's memory: a film of an hour has two hundred thousand."""

    def __init__(self) -> None:
        self.offsets = array("q")
        self._sample_counts = array("I")

    def add(self, offset: int, sample_count: int) -> None:
        """Add one behind all others."""
        self.offsets.append(offset)
        self._sample_counts.append(sample_count)

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Chunk]:
        return map(Chunk, self.offsets, self._sample_counts)

    def __contains__(self, chunk: object) -> bool:
        return any(each == chunk for each in self)


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
    chunks: Collection[Chunk]
    #: First tick that is shown: the composition delay, or the priming of the sound.
    media_start: int
    matrix: tuple[int, ...] = IDENTITY_MATRIX
    display_size: tuple[int, int] = (0, 0)
    #: Neither picture nor sound, but the titles of chapters.
    is_chapters: bool = False


@dataclass(frozen=True, slots=True)
class FilmHead:
    """What stands in the head of a film besides picture and sound."""

    #: Seconds since 1904; 0 for none.
    created: int = 0
    #: Whole boxes.
    before_index: bytes = b""
    #: The `udta` box, or nothing.
    user_data: bytes = b""
    #: Its one chunk lies in `chapter_texts`, which stand right before the payload: at a negative offset.
    chapters: FilmTrack | None = None
    chapter_texts: bytes = b""


def build_header(
    tracks: Sequence[FilmTrack], timescale: int, duration: int, payload_bytes: int, head: FilmHead | None = None
) -> bytes:
    """Write everything that stands before the payload.

    Args:
        tracks: the picture first.
        timescale: ticks a second of `duration`.
        duration: how long each track is shown.
        payload_bytes: what follows the header.
        head: what else the film says of itself.
    """
    head = head or FilmHead()
    brands = b"isomiso2" + (b"avc1" if any(track.entry[4:8] == b"avc1" for track in tracks) else b"") + b"mp41"
    front = box(b"ftyp", b"isom", struct.pack(">I", 512), brands) + head.before_index
    index = _Index([*tracks, *([head.chapters] if head.chapters else [])], timescale, duration, head)
    media = _MDAT_HEAD_BYTES + len(head.chapter_texts)
    # Offsets depend on the length of the index, and that on whether offsets need 64 bits: measure, then write.
    for word_bytes in (4, 8):
        start = len(front) + len(index.to_bytes(None, word_bytes)) + media
        if start + payload_bytes <= _UINT32_MAX:
            break
    moov = index.to_bytes(start, word_bytes)
    return front + moov + struct.pack(">I4sQ", 1, b"mdat", payload_bytes + media) + head.chapter_texts


class _Index:
    """The `moov` box of some tracks."""

    def __init__(self, tracks: Sequence[FilmTrack], timescale: int, duration: int, head: FilmHead) -> None:
        self._tracks = tracks
        self._tables = [_fixed_tables(track) for track in tracks]
        self._timescale = timescale
        self._duration = duration
        self._head = head

    def to_bytes(self, start: int | None, word_bytes: int) -> bytes:
        """Write it for a payload that starts there; without a start, only as long as it will be."""
        head = _timed_box(b"mvhd", 0, self._timescale, self._duration, created=self._head.created)
        rest = struct.pack(">IH10x9i24xI", 0x10000, 0x100, *IDENTITY_MATRIX, len(self._tracks) + 1)
        traks = [self._trak(number, start, word_bytes) for number in range(1, len(self._tracks) + 1)]
        return box(b"moov", _close(head, rest), *traks, self._head.user_data)

    def _trak(self, number: int, start: int | None, word_bytes: int) -> bytes:
        track, fixed = self._tracks[number - 1], self._tables[number - 1]
        offsets = bytes(word_bytes * len(track.chunks))
        if start is not None:
            offsets = pack_words((chunk.offset + start for chunk in track.chunks), size=word_bytes)
        name = b"stco" if word_bytes == 4 else b"co64"
        stbl = box(b"stbl", fixed, full_box(name, 0, 0, len(track.chunks).to_bytes(4, "big"), offsets))
        media = box(b"mdia", _media_header(track), _handler(track), box(b"minf", _minf_head(track), stbl))
        header = _track_header(track, number, self._duration)
        return box(b"trak", header, _edit(self._duration, track.media_start), self._reference(track), media)

    def _reference(self, track: FilmTrack) -> bytes:
        """Say where a track's chapters are: the last track, if it has any."""
        if self._head.chapters is None or track.is_chapters:
            return b""
        return box(b"tref", box(b"chap", len(self._tracks).to_bytes(4, "big")))


def _timed_box(kind: bytes, flags: int, *numbers: int, created: int = 0) -> tuple[bytes, int, bytes]:
    """Start a box with two dates, then `numbers`; the last is a duration, and decides on 32 or 64 bits."""
    *plain, duration = numbers
    wide = duration > _UINT32_MAX
    body = (
        2 * created.to_bytes(8 if wide else 4, "big") + pack_words(plain) + duration.to_bytes(8 if wide else 4, "big")
    )
    return kind, int(wide) << 24 | flags, body


def _close(head: tuple[bytes, int, bytes], rest: bytes) -> bytes:
    kind, version_flags, body = head
    return box(kind, version_flags.to_bytes(4, "big"), body, rest)


def _track_header(track: FilmTrack, number: int, duration: int) -> bytes:
    # Flags 3: enabled, and part of the film; chapters are only the latter, or some players show them as subtitles.
    # The zero between number and duration is reserved.
    volume = 0x100 if track.is_sound else 0
    rest = struct.pack(">8xHHHH9iII", 0, int(track.is_sound), volume, 0, *track.matrix, *track.display_size)
    return _close(_timed_box(b"tkhd", 2 if track.is_chapters else 3, number, 0, duration), rest)


def _edit(duration: int, media_start: int) -> bytes:
    wide = duration > _UINT32_MAX or media_start > _UINT32_MAX >> 1
    row = struct.pack(">Qqi" if wide else ">Iii", duration, media_start, 0x10000)
    return box(b"edts", full_box(b"elst", int(wide), 0, struct.pack(">I", 1), row))


def _media_header(track: FilmTrack) -> bytes:
    total = sum(run.length * run.value for run in track.durations)
    return _close(_timed_box(b"mdhd", 0, track.timescale, total), struct.pack(">HH", _UNDETERMINED, 0))


def _handler(track: FilmTrack) -> bytes:
    kind, name = (b"soun", b"SoundHandler\0") if track.is_sound else (b"vide", b"VideoHandler\0")
    if track.is_chapters:
        kind, name = b"text", b"ChapterHandler\0"
    return full_box(b"hdlr", 0, 0, bytes(4), kind, bytes(12), name)


def _minf_head(track: FilmTrack) -> bytes:
    own = full_box(b"smhd", 0, 0, bytes(4)) if track.is_sound else full_box(b"vmhd", 0, 1, bytes(8))
    if track.is_chapters:
        # QuickTime's head of media that is neither: drawn as it is, not moved.
        drawn = full_box(b"gmin", 0, 0, struct.pack(">H3H", 0x40, 0x8000, 0x8000, 0x8000), bytes(4))
        own = box(b"gmhd", drawn, box(b"text", struct.pack(">9i", *IDENTITY_MATRIX)))
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


def _chunk_table(chunks: Collection[Chunk]) -> bytes:
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
