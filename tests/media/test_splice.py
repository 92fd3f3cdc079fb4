"""The splice as properties over made-up clips: every byte, every time, every table."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import accumulate
from operator import add

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import StitchFailed
from media.movie import Movie, expand
from media.mp4_index import read_movie
from media.reader import BytesReader
from media.sample_entry import read_sound_entry
from media.splice import Layout, Sound, Source, Splice, splice
from media.splice_layout import EXTRA
from media.splice_sound import silent_packet
from media.verify import read_back
from tests.media.synthetic import FakeClip, fake_clips, packets_for, sound_entry


@st.composite
def conforming(draw: st.DrawFn) -> list[FakeClip]:
    depth, has_sound = draw(st.integers(0, 3)), draw(st.booleans())
    count = draw(st.integers(1, 5))
    return [draw(fake_clips(number=i, reorder_depth=depth, has_sound=has_sound)) for i in range(count)]


def write(film: Splice, readers: list[BytesReader]) -> bytes:
    parts = [film.header]
    for source, offset, length in film.ranges:
        parts.append(film.extra[offset : offset + length] if source == EXTRA else readers[source].read(offset, length))
    return b"".join(parts)


def spliced(clips: list[FakeClip], layout: Layout) -> tuple[Splice, bytes, Movie]:
    read = [clip.movie() for clip in clips]
    film = splice([Source(movie, reader) for movie, reader in read], Sound.GRID, layout=layout)
    data = write(film, [reader for _, reader in read])
    return film, data, read_movie(BytesReader(data), "film")


layouts = st.sampled_from(list(Layout))


@given(conforming(), layouts)
def test_every_frame_of_the_film_is_byte_for_byte_the_frame_of_its_clip(clips: list[FakeClip], layout: Layout) -> None:
    film, data, movie = spliced(clips, layout)
    video = movie.video

    expected = [clip.sample(0, i, size) for clip in clips for i, size in enumerate(clip.frame_sizes)]

    found = [data[(at := video.sample_offset(i)) : at + video.sizes[i]] for i in range(video.sample_count)]
    assert found == expected
    assert film.frame_count == len(expected)
    assert film.size_bytes == len(data)


@given(conforming(), layouts)
def test_every_frame_is_shown_exactly_when_its_turn_comes(clips: list[FakeClip], layout: Layout) -> None:
    film, _, movie = spliced(clips, layout)
    video = movie.video

    expected = []
    for clip, placed in zip(clips, film.clips, strict=True):
        reorder = clip.reorder or [0] * len(clip.frame_sizes)
        expected += [placed.start + Fraction(i + frames - reorder[0], 24) for i, frames in enumerate(reorder)]

    starts = accumulate(expand(video.durations), initial=-video.media_start)
    compositions = expand(video.compositions) if video.compositions else [0] * video.sample_count
    assert [Fraction(time, video.timescale) for time in map(add, starts, compositions)] == expected
    assert movie.picture_duration == film.duration == Fraction(len(expected), 24)
    assert movie.picture_start == 0


@given(conforming(), layouts)
def test_decoding_can_start_where_it_could_in_the_clips(clips: list[FakeClip], layout: Layout) -> None:
    _, _, movie = spliced(clips, layout)

    firsts = accumulate((len(clip.frame_sizes) for clip in clips), initial=0)
    expected = [
        first + index + 1
        for first, clip in zip(firsts, clips, strict=False)
        for index in (range(len(clip.frame_sizes)) if clip.sync is None else clip.sync)
    ]

    found = range(1, movie.video.sample_count + 1) if movie.video.sync is None else movie.video.sync
    assert list(found) == expected


@given(conforming(), layouts)
def test_every_packet_of_sound_plays_within_half_a_packet_of_where_it_belongs(
    clips: list[FakeClip], layout: Layout
) -> None:
    film, data, movie = spliced(clips, layout)
    sound = movie.sound
    if sound is None:
        assert film.sound == "none"
        assert all(clip.packet_sizes is None for clip in clips)
        return

    half = Fraction(512, 48000)
    seen = 0
    for slot in range(sound.sample_count):
        at = sound.sample_offset(slot)
        packet = data[at : at + sound.sizes[slot]]
        heard = Fraction(slot * 1024 - sound.media_start, 48000)
        for clip, placed in zip(clips, film.clips, strict=True):
            for index, size in enumerate(clip.packet_sizes or []):
                if size > 12 and packet == clip.sample(1, index, size):
                    seen += 1
                    assert abs(placed.start + Fraction(index * 1024 - clip.priming, 48000) - heard) <= half
    assert film.sound == "grid"
    assert sound.sample_count * 1024 - sound.media_start >= film.duration * 48000


@given(conforming(), layouts)
def test_the_film_is_what_it_should_be_when_it_is_read_back(clips: list[FakeClip], layout: Layout) -> None:
    film, data, _ = spliced(clips, layout)

    report = read_back(BytesReader(data), film.frame_count, splice=film)

    assert report.joins == film.joins
    assert [join.clip_index for join in report.joins] == list(range(1, len(clips)))


@given(st.lists(st.integers(1, 200), min_size=2, max_size=8))
def test_the_grid_lies_where_the_largest_skew_is_smallest(frame_counts: list[int]) -> None:
    """No other position of the grid would give a smaller largest skew: all 1024 are tried."""
    clips = [FakeClip([5] * count, number=i) for i, count in enumerate(frame_counts)]
    for clip in clips:
        clip.packet_sizes = [5] * packets_for(clip.seconds, clip.priming)
    film, _, _ = spliced(clips, Layout.INTERLEAVED)
    assert film.sound_plan is not None

    found = max(abs(clip.skew) for clip in film.sound_plan.clips) * 48000
    # At 24 frames a second every clip starts at a whole sample.
    ideal = [int(placed.start * 48000) % 1024 for placed in film.clips]
    best = min(max(min((p - at) % 1024, (at - p) % 1024) for p in set(ideal)) for at in range(1024))

    assert found <= best + 1


def test_a_film_beyond_four_gigabytes_gets_offsets_of_64_bits() -> None:
    """Nothing of that size is written: the layout is calculated, and the last chunk is looked for where it must be."""
    movie, _ = FakeClip([5, 6]).movie()
    movie.size_bytes = 3 * 1024**3

    film = splice([Source(movie)] * 3, layout=Layout.WHOLE_FILES)

    assert film.size_bytes > 2**33
    assert b"co64" in film.header
    assert b"stco" not in film.header
    offsets = film.header[film.header.index(b"co64") + 12 :]
    expected = len(film.header) + 2 * movie.size_bytes + movie.video.chunk_offsets[0]
    assert expected in struct.unpack_from(">6Q", offsets)


def test_five_hundred_clips_are_joined() -> None:
    clips = [FakeClip([20] * 24, sync=[0], number=i) for i in range(500)]
    for clip in clips:
        clip.packet_sizes = [15] * packets_for(clip.seconds, clip.priming)

    film, data, movie = spliced(clips, Layout.INTERLEAVED)

    assert film.frame_count == 12000
    assert movie.picture_duration == 500
    assert read_back(BytesReader(data), 12000, splice=film).duration_ms == 500_000


def test_clocks_that_no_player_can_count_together_are_refused() -> None:
    clips = [FakeClip([9] * 3, timescale=24 * ticks, interval=ticks, number=ticks) for ticks in (65537, 65539)]
    for clip in clips:
        clip.reorder = [0, 1, -1]
    movies = [clip.movie()[0] for clip in clips]
    for movie in movies:
        # An offset of a single tick makes every tick count.
        movie.video.compositions = [run._replace(value=run.value + 1) for run in movie.video.compositions]
        movie.video.__dict__.pop("first_composition", None)

    with pytest.raises(StitchFailed, match="ticks a second"):
        splice([Source(movie) for movie in movies])


def test_no_clip_at_all_is_refused() -> None:
    with pytest.raises(StitchFailed, match="there is none"):
        splice([])


def test_smart_sound_without_a_reader_is_grid_sound() -> None:
    clip = FakeClip([9] * 24, packet_sizes=[9] * 48)
    movie, _ = clip.movie()

    assert splice([Source(movie), Source(movie)], Sound.SMART).sound == "grid"


@pytest.mark.parametrize("channels", range(1, 7))
def test_holes_are_filled_with_packets_that_are_silent(channels: int) -> None:
    config = bytes([0x11, 0x80 | channels << 3])
    movie, _ = FakeClip([9] * 24, packet_sizes=[9] * 48).movie()
    movie.sound_tracks[0].entry = read_sound_entry(sound_entry(config, channels=channels))
    packet = silent_packet(movie)
    assert packet is not None
    decoder = av.AudioCodecContext.create("aac", "r")
    decoder.extradata = config

    frames = [frame for _ in range(3) for frame in decoder.decode(av.Packet(packet))]

    assert [len(frame.planes) for frame in frames] == [channels] * 3
    assert not any(any(bytes(plane)) for frame in frames for plane in frame.planes)


def test_sound_that_ends_early_is_followed_by_silence() -> None:
    clip = FakeClip([9] * 24, packet_sizes=[40] * 46)

    _, data, movie = spliced([clip, clip], Layout.INTERLEAVED)

    sound = movie.sound
    assert sound is not None
    packets = [data[(at := sound.sample_offset(i)) : at + sound.sizes[i]] for i in range(sound.sample_count)]
    assert packets[45:49] == [clip.sample(1, 45, 40), silent_packet(movie), silent_packet(movie), clip.sample(1, 1, 40)]
