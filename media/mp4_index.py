"""Reads the index (`moov`) of an MP4 or MOV into a `Movie`, fetching no media.

A file on disk costs a few reads; an object in a store two or three ranged requests of some tens of kilobytes.
Everything read here may come from a stranger: sizes are bounded, and whatever is wrong becomes `BadMedia`.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from events.errors import BadMedia
from media.boxes import Box, boxes, find, readable, unpack_words
from media.container import MOV, MP4, SNIFF_BYTES, sniff
from media.movie import Edit, Movie, Track
from media.mp4_limits import (
    DESCRIPTION_BYTES_MAX,
    SHOWN_SAMPLES_MAX,
    refuse_what_expands,
)
from media.mp4_tables import SampleTables
from media.mp4_top import MOOV_BYTES_MAX, TopBoxes
from media.reader import ByteReader, SpanReader, windowed
from media.sample_entry import SoundEntry, VideoEntry, read_sound_entry, read_video_entry
from media.steady import steadied

TRACKS_MAX = 64
EDITS_MAX = 1000
#: An index in front is followed by the heads of a `free` and an `mdat` box, which tell where the media is.
_HEADS_BEHIND_MOOV = 32
#: More ticks a second are a negative number to FFmpeg; the finest clock in use has 705.6 million.
_TIMESCALE_MAX = 2**31 - 1
#: What follows the media is the index, and fetched at once, if it is no longer than this: that of some ten minutes.
_TAIL_BYTES_MAX = 512 * 1024
#: Kinds of sample entries that say "encrypted".
_ENCRYPTED = (b"encv", b"enca", b"drmi", b"drms")


def read_movie(reader: ByteReader, name: str) -> Movie:
    """Read the index of an MP4 or MOV; a picture whose times are only rounded gets a clock without rounding.

    Args:
        reader: the file or object.
        name: how messages call it.

    Raises:
        BadMedia: it is something else, is cut off, has no picture, is encrypted, or its index is damaged.
    """
    with _naming(name):
        window = windowed(reader)
        container = sniff(window.read(0, SNIFF_BYTES))
        if container not in (MP4, MOV):
            raise BadMedia(f"it is {container.title}, not an MP4")
        top = TopBoxes(window)
        moov = window.read(top.moov.start, top.moov.end - top.moov.start)
        if len(moov) != top.moov.end - top.moov.start:
            raise BadMedia("its index could not be read to the end")
        refuse_what_expands(moov)
        top.refuse_index_elsewhere(window)
        movie = _read_moov(moov, top.moov.body - top.moov.start, name, reader.size_bytes)
        movie.container = container.name
        movie.media_ranges = top.media_ranges
        movie.is_fragmented = movie.is_fragmented or top.has_fragments
        _check_inside(movie)
        movie.video_tracks[0] = steadied(movie.video)
        return movie


def fetch_index(reader: SpanReader) -> None:
    """Fetch what `read_movie` will read of an MP4, in two requests where the file is laid out as usual.

    Nothing is judged here: of a file that is no MP4, or a strange one, the rest is fetched when it is read.
    """
    head = reader.read(0, SNIFF_BYTES)
    offset = 0
    while offset + 16 <= len(head):
        size, kind, wide = struct.unpack_from(">I4sQ", head, offset)
        size = wide if size == 1 else size
        if kind == b"moov" and size <= MOOV_BYTES_MAX:
            reader.fetch(offset, size + _HEADS_BEHIND_MOOV)
            return
        if size < 8:
            return
        offset += size
    if 0 < reader.size_bytes - offset <= _TAIL_BYTES_MAX:
        reader.fetch(offset, reader.size_bytes - offset)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the file's name before whatever is wrong with it."""
    try:
        yield
    except BadMedia as exc:
        raise BadMedia(f"read {name}: {exc.message}") from exc
    except (struct.error, IndexError, ValueError, OverflowError) as exc:
        raise BadMedia(f"read {name}: its index is damaged ({exc})") from exc


def _read_moov(moov: bytes, start: int, name: str, size_bytes: int) -> Movie:
    header = _required(moov, start, len(moov), b"mvhd")
    timescale, _ = _times(moov, header)
    tracks = [b for b in boxes(moov, start, len(moov)) if b.kind == b"trak"]
    if len(tracks) > TRACKS_MAX:
        raise BadMedia(f"it has {len(tracks)} tracks; {TRACKS_MAX} are the most that Longreel reads")
    pictures: list[Track] = []
    sounds: list[Track] = []
    for trak in tracks:
        track = _read_track(moov, trak)
        if track is not None:
            (pictures if isinstance(track.entry, VideoEntry) else sounds).append(track)
    fragmented = find(moov, start, len(moov), b"mvex") is not None
    movie = Movie(name, size_bytes, "mp4", timescale, pictures, sounds, [], fragmented)
    if not pictures:
        raise BadMedia("it has no picture, only sound" if sounds else "it has no video track")
    return movie


def _required(data: bytes, start: int, end: int, *path: bytes) -> Box:
    found = find(data, start, end, *path)
    if found is None:
        raise BadMedia(f"its index has no {readable(path[-1])} box")
    return found


def _times(moov: bytes, header: Box) -> tuple[int, int]:
    """Give timescale and duration out of an `mvhd` or `mdhd` box."""
    wide = moov[header.body] == 1
    timescale, duration = struct.unpack_from(">IQ" if wide else ">II", moov, header.body + (20 if wide else 12))
    if not timescale:
        raise BadMedia("its index says zero ticks a second")
    if timescale > _TIMESCALE_MAX:
        raise BadMedia(f"its index says {timescale} ticks a second; {_TIMESCALE_MAX} are the most")
    return timescale, duration


def _read_track(moov: bytes, trak: Box) -> Track | None:
    """Read one track; None for what is neither picture nor sound."""
    handler = _required(moov, trak.body, trak.end, b"mdia", b"hdlr")
    kind = moov[handler.body + 8 : handler.body + 12]
    if kind not in (b"vide", b"soun"):
        return None
    timescale, _ = _times(moov, _required(moov, trak.body, trak.end, b"mdia", b"mdhd"))
    stbl = _required(moov, trak.body, trak.end, b"mdia", b"minf", b"stbl")
    _refuse_outside_data(moov, trak)
    tables = SampleTables(moov, stbl.body, stbl.end)
    offsets = tables.chunk_offsets()
    firsts, used = tables.chunk_firsts(len(offsets))
    edits = _read_edits(moov, trak)
    if len(edits) > 1 and len(edits) * len(tables.sizes) > SHOWN_SAMPLES_MAX:
        raise BadMedia(f"its edit list shows {len(tables.sizes)} samples in {len(edits)} turns")
    track_id, matrix, display_size = _read_track_header(moov, _required(moov, trak.body, trak.end, b"tkhd"))
    return Track(
        track_id=track_id,
        timescale=timescale,
        matrix=matrix,
        display_size=display_size,
        edits=edits,
        entry=_read_entry(moov, stbl, kind, used[0] if used else 1),
        entry_count=max(1, len(used)),
        durations=tables.durations(),
        compositions=tables.compositions(),
        sync=tables.sync(),
        sizes=tables.sizes,
        chunk_offsets=offsets,
        chunk_firsts=firsts,
    )


def _read_track_header(moov: bytes, tkhd: Box) -> tuple[int, tuple[int, ...], tuple[int, int]]:
    wide = moov[tkhd.body] == 1
    (track_id,) = struct.unpack_from(">I", moov, tkhd.body + (20 if wide else 12))
    numbers = struct.unpack_from(">9iII", moov, tkhd.body + (52 if wide else 40))
    return track_id, numbers[:9], (numbers[9], numbers[10])


def _read_edits(moov: bytes, trak: Box) -> list[Edit]:
    elst = find(moov, trak.body, trak.end, b"edts", b"elst")
    if elst is None:
        return []
    wide = moov[elst.body] == 1
    (count,) = unpack_words(moov, elst.body + 4, 1)
    if count > EDITS_MAX:
        raise BadMedia(f"its edit list has {count} lines; {EDITS_MAX} are the most that Longreel reads")
    row = struct.Struct(">Qqi" if wide else ">Iii")
    rows = (row.unpack_from(moov, elst.body + 8 + i * row.size) for i in range(count))
    return [Edit(duration, start, Fraction(rate, 0x10000)) for duration, start, rate in rows]


def _refuse_outside_data(moov: bytes, trak: Box) -> None:
    """Refuse a track whose samples lie in another file: nothing is read that the caller did not name."""
    dref = find(moov, trak.body, trak.end, b"mdia", b"minf", b"dinf", b"dref")
    if dref and any(not moov[b.body + 3] & 1 for b in boxes(moov, dref.body + 8, dref.end)):
        raise BadMedia("its media lies in another file")


def _read_entry(moov: bytes, stbl: Box, kind: bytes, number: int) -> VideoEntry | SoundEntry:
    """Read the sample description with this 1-based number."""
    stsd = _required(moov, stbl.body, stbl.end, b"stsd")
    entries = list(boxes(moov, stsd.body + 8, stsd.end))
    if not 1 <= number <= len(entries):
        raise BadMedia(f"its samples use description {number} of {len(entries)}")
    entry = entries[number - 1]
    if entry.end - entry.start > DESCRIPTION_BYTES_MAX:
        raise BadMedia(
            f"the description of its samples is {entry.end - entry.start} bytes; {DESCRIPTION_BYTES_MAX} are the most"
        )
    if entry.kind in _ENCRYPTED:
        raise BadMedia("it is encrypted")
    raw = moov[entry.start : entry.end]
    return read_video_entry(raw) if kind == b"vide" else read_sound_entry(raw)


def _check_inside(movie: Movie) -> None:
    """Refuse an index that points outside of the media or lists more than is there, and no frames at all."""
    for track in movie.video_tracks + movie.sound_tracks:
        end = max(track.chunk_ends(), default=0)
        if end > movie.size_bytes:
            raise BadMedia(f"it is truncated: samples reach byte {end}, but the file ends at byte {movie.size_bytes}")
        # A frame that is listed a thousand times would be copied a thousand times.
        if track.size_sums[-1] > movie.size_bytes:
            raise BadMedia(
                f"its index lists {track.size_sums[-1]} bytes of samples in a file of {movie.size_bytes}: "
                "they lie over each other"
            )
        _check_media(movie, track, end)
    if not movie.is_fragmented and not movie.video.sample_count:
        raise BadMedia("its video track has no frames")


def _check_media(movie: Movie, track: Track, last_end: int) -> None:
    """Refuse samples that do not lie in an `mdat`: what is read as a picture there is the index, or anything."""
    ranges = sorted(movie.media_ranges)
    first_start = min(track.chunk_offsets, default=last_end)
    if any(start <= first_start and last_end <= end for start, end in ranges):
        return  # As almost always: there is one, and all samples are in it.
    starts = [start for start, _ in ranges]
    for start, end in zip(track.chunk_offsets, track.chunk_ends(), strict=True):
        at = bisect_right(starts, start) - 1
        if start < end and (at < 0 or end > ranges[at][1]):
            raise BadMedia(f"its index has samples in bytes {start} to {end}, which lie outside its media")
