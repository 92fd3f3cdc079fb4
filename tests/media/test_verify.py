"""Reading a film back: every way in which a film can be wrong is noticed and named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from events.clip import Join
from events.errors import StitchFailed
from media.reader import BytesReader
from media.splice import Sound, Source, Splice, splice
from media.verify import read_back
from tests.media.clips import ClipSpec, read_frames
from tests.media.conftest import ClipMaker
from tests.media.synthetic import FakeClip
from tests.media.test_splice import write

CLIPS = [
    FakeClip([20, 30, 40, 25], reorder=[1, 3, 0, 0], sync=[0], packet_sizes=[9] * 9, number=1),
    FakeClip([50] * 24, reorder=[1] * 24, sync=[0, 12], packet_sizes=[15] * 48, number=2),
]


@pytest.fixture
def film() -> tuple[Splice, bytes]:
    """A film of two clips, as it should be."""
    read = [clip.movie() for clip in CLIPS]
    made = splice([Source(movie, reader) for movie, reader in read], Sound.GRID)
    return made, write(made, [reader for _, reader in read])


def patched(data: bytes, table: bytes, offset: int, word: int, *, which: int = 0) -> bytes:
    """Change one number of a table of the film's index; offsets count from the table's first row or count."""
    at = -1
    for _ in range(which + 1):
        at = data.index(table, at + 1)
    at += 8 + offset
    return data[:at] + struct.pack(">I", word) + data[at + 4 :]


def test_a_good_film_is_reported(film: tuple[Splice, bytes]) -> None:
    made, data = film

    report = read_back(BytesReader(data), 28, splice=made).to_report()

    assert (report.frame_count, report.duration_ms, report.size_bytes) == (28, 1167, len(data))
    assert (report.sound, report.joins) == ("grid", [Join(**join._asdict()) for join in made.joins])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-100], "truncated"),
        (lambda data: data + b"\0\0\0\x08free", "bytes"),
        (lambda data: patched(data, b"stts", 8, 513), "or one too late"),
        (lambda data: patched(data, b"ctts", 8, 0), "shown at the same time"),
        (lambda data: patched(data, b"stss", 8, 6), "decoding cannot start at frame 4, where clip 2 starts"),
        (lambda data: patched(data, b"stco", 4, 40), "lie outside its media"),
        (lambda data: patched(data, b"stts", 8, 1023, which=1), "another length than planned"),
        (lambda data: patched(data, b"elst", 8, 2300, which=1), "ms apart at"),
        (lambda data: patched(data, b"elst", 4, 100), "longer than its frames"),
        (lambda data: patched(data, b"soun", -8, int.from_bytes(b"text", "big")), "its sound is missing"),
    ],
)
def test_a_film_that_is_wrong_is_refused_and_says_in_what(
    film: tuple[Splice, bytes], damage: Callable[[bytes], bytes], message: str
) -> None:
    made, data = film

    with pytest.raises(StitchFailed, match=message) as caught:
        read_back(BytesReader(damage(data)), 28, splice=made, name="film.mp4")
    assert caught.value.message.startswith("read back film.mp4: ")


def test_missing_frames_are_counted(film: tuple[Splice, bytes]) -> None:
    made, data = film

    with pytest.raises(StitchFailed, match="it has 28 frames instead of 29"):
        read_back(BytesReader(data), 29, splice=made)


def test_an_index_that_points_into_the_wrong_place_is_noticed(film: tuple[Splice, bytes]) -> None:
    """The header of one film over the media of another: every table is right and every byte is wrong."""
    made, data = film
    header = len(made.header)

    with pytest.raises(StitchFailed, match="there is no picture where frame 0 should be"):
        read_back(BytesReader(data[:header] + b"\xee" * (len(data) - header)), 28, splice=made)


def test_a_film_that_was_not_spliced_is_checked_as_far_as_it_goes(clip: ClipMaker) -> None:
    path = clip(ClipSpec(1))

    report = read_back(path, 24)

    assert report.frame_count == len(read_frames(path))
    assert report.joins == []


def test_sound_that_was_planned_elsewhere_is_noticed(film: tuple[Splice, bytes]) -> None:
    made, data = film
    assert made.sound_plan is not None
    moved = [replace(clip, shift=clip.shift + 1) for clip in made.sound_plan.clips]

    with pytest.raises(StitchFailed, match="ms apart at"):
        read_back(BytesReader(data), 28, splice=replace(made, sound_plan=replace(made.sound_plan, clips=moved)))
