"""Reading and writing the index: what is written is read back, and nothing that is broken gets through."""

from __future__ import annotations

import struct
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMedia
from media.boxes import SIBLINGS_MAX, box, boxes, full_box, pack_words, unpack_words
from media.movie import Run, append_run, expand
from media.mp4_build import Chunk, FilmTrack, build_header
from media.mp4_index import MOOV_BYTES_MAX, read_movie
from media.reader import BytesReader
from tests.media.synthetic import FakeClip, fake_clips, sound_entry, video_entry

ticks = st.integers(0, 2**31 - 1)


@st.composite
def runs(draw: st.DrawFn, count: int, values: st.SearchStrategy[int]) -> list[Run]:
    found: list[Run] = []
    while count:
        length = draw(st.integers(1, count))
        append_run(found, length, draw(values))
        count -= length
    return found


@st.composite
def film_tracks(draw: st.DrawFn, *, is_sound: bool) -> FilmTrack:
    count = draw(st.integers(1, 40))
    chunks: list[Chunk] = []
    left = count
    while left:
        samples = draw(st.integers(1, left))
        chunks.append(Chunk(draw(st.integers(0, 2**34)), samples))
        left -= samples
    compositions = [] if is_sound else draw(runs(count, st.integers(-(2**31), 2**31 - 1)))
    return FilmTrack(
        is_sound=is_sound,
        timescale=draw(st.integers(1, 2**31 - 1)),
        entry=sound_entry() if is_sound else video_entry(),
        durations=draw(runs(count, st.integers(1, 2**32 - 1))),
        compositions=compositions if any(run.value for run in compositions) else [],
        sync=None if is_sound else array("I", sorted(draw(st.sets(st.integers(1, count), min_size=1)))),
        sizes=array("I", draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count))),
        chunks=chunks,
        media_start=draw(st.integers(0, 2**40)),
        matrix=tuple(draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=9, max_size=9))),
        display_size=(draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1))),
    )


class Endless(BytesReader):
    """A header with as much behind it as its index may point to."""

    def __init__(self, data: bytes, size_bytes: int) -> None:
        super().__init__(data)
        self.size_bytes = size_bytes


@given(
    film_tracks(is_sound=False),
    st.none() | film_tracks(is_sound=True),
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**40),
    st.sampled_from([0, 2**33, 2**36]),
)
def test_an_index_that_was_written_reads_back_the_same(
    picture: FilmTrack, sound: FilmTrack | None, timescale: int, duration: int, payload_bytes: int
) -> None:
    payload_bytes += 2**34 + 40 * 2**32
    tracks = [picture, sound] if sound else [picture]
    header = build_header(tracks, timescale, duration, payload_bytes)

    movie = read_movie(Endless(header, len(header) + payload_bytes), "film")

    assert movie.timescale == timescale
    assert movie.media_ranges == [(len(header), len(header) + payload_bytes)]
    for written, read in zip(tracks, movie.video_tracks + movie.sound_tracks, strict=True):
        assert read.timescale == written.timescale
        assert read.durations == written.durations
        assert read.compositions == written.compositions
        assert read.sync == written.sync
        assert read.sizes == written.sizes
        assert list(read.chunk_offsets) == [chunk.offset + len(header) for chunk in written.chunks]
        firsts = read.chunk_firsts
        assert [b - a for a, b in pairwise(firsts)] == [c.sample_count for c in written.chunks]
        assert (read.media_start, [edit.duration for edit in read.edits]) == (written.media_start, [duration])
        assert (read.matrix, read.display_size) == (written.matrix, written.display_size)


@given(fake_clips())
def test_every_sample_of_a_clip_is_found_where_it_lies(clip: FakeClip) -> None:
    movie, reader = clip.movie()

    for index, size in enumerate(clip.frame_sizes):
        assert reader.read(movie.video.sample_offset(index), size) == clip.sample(0, index, size)
    assert movie.sound is not None
    for index, size in enumerate(clip.packet_sizes or []):
        assert reader.read(movie.sound.sample_offset(index), size) == clip.sample(1, index, size)


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=30))))
def test_boxes_that_were_put_together_come_apart(contents: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(box(kind, body) for kind, body in contents)

    assert [(b.kind, data[b.body : b.end]) for b in boxes(data, 0, len(data))] == contents


@given(st.binary(max_size=200))
def test_any_bytes_come_apart_or_are_refused(data: bytes) -> None:
    try:
        found = list(boxes(data, 0, len(data)))
    except BadMedia:
        return
    assert all(0 <= b.start < b.body <= b.end <= len(data) for b in found)


def test_boxes_may_be_written_with_sizes_of_64_bits() -> None:
    data = struct.pack(">I4sQ", 1, b"free", 18) + b"ab"

    assert [data[b.body : b.end] for b in boxes(data, 0, len(data))] == [b"ab"]


def test_millions_of_boxes_are_refused() -> None:
    data = box(b"free") * (SIBLINGS_MAX + 1)

    with pytest.raises(BadMedia, match="more than 10000 boxes"):
        list(boxes(data, 0, len(data)))


@given(st.lists(st.integers(0, 2**32 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_words_that_were_packed_unpack_the_same(short: list[int], long: list[int]) -> None:
    assert list(unpack_words(pack_words(short), 0, len(short))) == short
    assert list(unpack_words(pack_words(long, size=8), 0, len(long), size=8)) == long


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3))))
def test_runs_say_the_same_as_their_samples(parts: list[tuple[int, int]]) -> None:
    found: list[Run] = []
    for length, value in parts:
        append_run(found, length, value)

    assert list(expand(found)) == [value for length, value in parts for _ in range(length)]
    assert all(a.value != b.value for a, b in pairwise(found))


PLAIN = FakeClip([20, 30, 40], packet_sizes=[9] * 8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"avc1", b"encv", "it is encrypted"),
        (b"vide", b"text", "it has no picture, only sound"),
        (b"mvhd", b"xxxx", "its index has no mvhd box"),
        (b"stsz", b"xxxx", "its index has no stsz table"),
        (b"stco", b"xxxx", "its index has no co64 table"),
        (b"moov", b"moof", r"it has no index \(moov\)"),
        (b"url \0\0\0\1", b"url \0\0\0\0", "its media lies in another file"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(old: bytes, new: bytes, message: str) -> None:
    # The first "avc1" is a brand at the start of the file.
    data = PLAIN.to_bytes()
    head, rest = data[:32], data[32:]
    assert old in rest
    reader = BytesReader(head + rest.replace(old, new, 1))

    with pytest.raises(BadMedia, match=f"^read clip.mp4: {message}"):
        read_movie(reader, "clip.mp4")


def test_a_track_of_billions_of_samples_is_refused_before_memory_is_taken() -> None:
    data = PLAIN.to_bytes()
    at = data.index(b"stsz") + 8
    data = data[:at] + struct.pack(">II", 7, 2**32 - 1) + data[at + 8 :]

    with pytest.raises(BadMedia, match="lists 4294967295 samples"):
        read_movie(BytesReader(data), "clip.mp4")


def test_an_index_of_gigabytes_is_refused_before_it_is_read() -> None:
    data = box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"moov", MOOV_BYTES_MAX + 1)

    with pytest.raises(BadMedia, match="Longreel reads"):
        read_movie(Endless(data, 2**32), "clip.mp4")


def test_a_box_of_no_size_does_not_hold_us_up() -> None:
    data = box(b"ftyp", b"isom") + struct.pack(">I4s", 4, b"free") + bytes(100)

    with pytest.raises(BadMedia, match="damaged at byte 12"):
        read_movie(BytesReader(data), "clip.mp4")


def test_samples_behind_the_end_of_the_file_are_refused() -> None:
    """An `mdat` that reaches "to the end of the file" hides that the end is missing."""
    data = PLAIN.to_bytes()
    at = data.rindex(b"mdat") - 4
    open_ended = data[:at] + struct.pack(">I", 0) + data[at + 4 :]

    with pytest.raises(BadMedia, match=rf"samples reach byte {len(data)}, but the file ends at byte {len(data) - 10}"):
        read_movie(BytesReader(open_ended[:-10]), "clip.mp4")


@pytest.mark.parametrize(
    ("field_bits", "table"),
    [(8, bytes([5, 9, 14])), (16, bytes([0, 5, 0, 9, 0, 14])), (4, bytes([0x59, 0xE0]))],
)
def test_compact_sizes_are_read(field_bits: int, table: bytes) -> None:
    data = FakeClip([5, 9, 14]).to_bytes()
    at = data.index(b"stsz") - 4
    length = int.from_bytes(data[at : at + 4], "big")
    # The rest of the old table stays as padding behind the rows.
    compact = full_box(b"stz2", 0, 0, struct.pack(">II", field_bits, 3), table.ljust(length - 20, b"\0"))

    movie = read_movie(BytesReader(data[:at] + compact + data[at + length :]), "clip.mp4")

    assert list(movie.video.sizes) == [5, 9, 14]
