"""Reading far away: the same bytes as nearby, in few requests, and few of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMedia
from media import mp4_index
from media.mp4_index import fetch_index, read_movie
from media.reader import BytesReader, SpanReader, WindowedReader, windowed
from tests.media.clips import ClipSpec
from tests.media.synthetic import FakeClip, fake_clips

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


class Far:
    """Bytes far away, and what was fetched of them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fetched: list[tuple[int, int]] = []
        self.reader = SpanReader(len(content), self._fetch)

    def _fetch(self, offset: int, length: int) -> bytes:
        self.fetched.append((offset, length))
        return self.content[offset : offset + length]

    @property
    def fetched_bytes(self) -> int:
        return sum(length for _, length in self.fetched)


spans = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 60)), max_size=12)


@given(st.binary(max_size=100), spans, spans)
def test_it_reads_what_is_there_whatever_was_fetched_before(
    content: bytes, ahead: list[tuple[int, int]], reads: list[tuple[int, int]]
) -> None:
    far = Far(content)
    for span in ahead:
        far.reader.fetch(*span)

    found = [far.reader.read(*span) for span in reads]

    assert found == [content[offset : offset + length] for offset, length in reads]
    assert all(length > 0 and offset + length <= len(content) for offset, length in far.fetched)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_what_was_fetched_is_not_fetched_again(content: bytes, data: st.DataObject) -> None:
    far = Far(content)
    start = data.draw(st.integers(0, len(content) - 1))
    length = data.draw(st.integers(1, len(content) - start))
    far.reader.fetch(start, length)
    inside = data.draw(st.integers(start, start + length))

    far.reader.read(inside, data.draw(st.integers(0, start + length - inside)))

    assert far.fetched == [(start, length)]


def test_what_is_known_is_not_fetched_at_all() -> None:
    far = Far(b"header and the rest")
    far.reader.keep(0, b"header")

    assert far.reader.read(0, 10) == b"header and"
    assert far.fetched == [(6, 4)]


def test_it_is_not_put_behind_a_window_that_would_read_more() -> None:
    far = Far(bytes(100))

    assert windowed(far.reader) is far.reader
    assert isinstance(windowed(BytesReader(bytes(100))), WindowedReader)


@pytest.mark.parametrize("muxer", [(), ("-movflags", "+faststart")], ids=["index behind", "index in front"])
def test_an_index_costs_two_requests_and_little_more_than_its_own_bytes(
    clip: Callable[[ClipSpec], Path], muxer: tuple[str, ...]
) -> None:
    content = clip(ClipSpec(30, frames=192, video=(*X264, "-qp", "1"), muxer=muxer)).read_bytes()
    far = Far(content)

    fetch_index(far.reader)
    requests = len(far.fetched)
    movie = read_movie(far.reader, "clip")

    whole = read_movie(BytesReader(content), "clip")
    assert (movie.video.sizes, movie.media_ranges) == (whole.video.sizes, whole.media_ranges)
    assert len(far.fetched) == requests == 2
    index_bytes = len(content) - sum(end - start for start, end in movie.media_ranges)
    assert far.fetched_bytes <= index_bytes + 1200


def test_a_very_long_index_is_read_all_the_same(
    clip: Callable[[ClipSpec], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mp4_index, "_TAIL_BYTES_MAX", 100)
    content = clip(ClipSpec(30, frames=192, video=(*X264, "-qp", "1"))).read_bytes()
    far = Far(content)

    fetch_index(far.reader)

    assert read_movie(far.reader, "clip").video.sample_count == 192
    assert len(far.fetched) <= 4


@given(fake_clips(), st.integers(0, 40))
def test_a_strange_layout_costs_more_requests_and_is_read_all_the_same(fake: FakeClip, free_bytes: int) -> None:
    plain = fake.to_bytes()
    ftyp_bytes = int.from_bytes(plain[:4], "big")
    moov_bytes = int.from_bytes(plain[ftyp_bytes : ftyp_bytes + 4], "big")
    rest = plain[ftyp_bytes + moov_bytes :]
    # An index behind, between boxes that mean nothing; one of them keeps its old place, so that its offsets stay right.
    place = moov_bytes.to_bytes(4, "big") + b"free" + bytes(moov_bytes - 8)
    free = (8 + free_bytes).to_bytes(4, "big") + b"free" + bytes(free_bytes)
    content = plain[:ftyp_bytes] + place + rest + free + plain[ftyp_bytes : ftyp_bytes + moov_bytes]
    content += (8 + moov_bytes).to_bytes(4, "big") + b"skip" + bytes(moov_bytes)
    far = Far(content)

    fetch_index(far.reader)

    found = read_movie(far.reader, "clip")
    assert found.video.sizes == read_movie(BytesReader(content), "clip").video.sizes


@given(st.binary(max_size=2000))
def test_what_is_no_video_is_refused_as_it_would_be_nearby(content: bytes) -> None:
    far = Far(content)
    fetch_index(far.reader)

    with pytest.raises(BadMedia) as nearby:
        read_movie(BytesReader(content), "clip")
    with pytest.raises(BadMedia) as found:
        read_movie(far.reader, "clip")

    assert found.value.message == nearby.value.message
