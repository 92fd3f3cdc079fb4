"""Where clips can be taken apart: what is copied from there to there is shown as it was, and nothing else."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clean_cuts import CleanCuts, idr_finder
from media.clip_file import ClipFile
from media.movie import Movie
from media.reader import BytesReader
from media.splice import Sound, Source, splice
from media.splice_layout import EXTRA
from media.trim import trim
from media.verify import read_back
from media.write import FilmPart, write_film
from tests.media.clips import ClipSpec, Tone, beep_onset, decode_sound, read_frames, rms
from tests.media.synthetic import FakeClip, fake_clips
from tests.media.test_trim import shown_at

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")
CLOSED = ClipSpec(1, frames=72, video=(*X264, "-g", "24", "-keyint_min", "24", "-bf", "3", "-sc_threshold", "0"))
OPEN = ClipSpec(2, frames=72, video=(*X264, "-g", "12", "-bf", "3", "-x264-params", "open-gop=1:b-adapt=0"))
INTRA = ClipSpec(3, frames=30, video=(*X264, "-g", "1"))
TELEVISION = ClipSpec(4, frames=60, fps="30000/1001", video=(*X264, "-g", "15", "-bf", "2"))
BEEPING = ClipSpec(5, frames=72, tone=Tone(kind="beep"), video=(*X264, "-g", "6", "-bf", "0"))


def cuts_of(clip: ClipFile) -> CleanCuts:
    return CleanCuts(clip.movie.video, idr_finder(clip.movie.video, clip))


def starts_of(cuts: CleanCuts) -> list[int]:
    return [n for n in range(cuts.frame_count) if cuts.start_behind(n) == n]


@pytest.mark.parametrize(
    ("spec", "starts"),
    [(CLOSED, [0, 24, 48]), (INTRA, list(range(30))), (TELEVISION, [0, 15, 30, 45])],
    ids=["closed", "intra", "television"],
)
def test_copying_can_start_at_every_closed_group_of_pictures(
    clip: Callable[[ClipSpec], Path], spec: ClipSpec, starts: list[int]
) -> None:
    assert starts_of(cuts_of(ClipFile(clip(spec)))) == starts


def test_copying_starts_at_no_sync_sample_of_an_open_group_of_pictures(clip: Callable[[ClipSpec], Path]) -> None:
    file = ClipFile(clip(OPEN))
    assert file.movie.video.sync is not None
    assert len(file.movie.video.sync) > 3

    cuts = cuts_of(file)

    assert starts_of(cuts) == [0]
    assert cuts.start_behind(1) == cuts.frame_count
    assert cuts.start_before(60) == 0


def test_a_sync_sample_with_nothing_before_it_in_the_way_is_still_none_to_start_at_unless_it_empties_the_decoder(
    clip: Callable[[ClipSpec], Path],
) -> None:
    """x264 without B-frames and with open groups writes key frames whose order is clean but that are no IDR."""
    spec = ClipSpec(6, frames=40, video=(*X264, "-g", "10", "-bf", "0", "-x264-params", "open-gop=1:bframes=0"))
    file = ClipFile(clip(spec))
    video = file.movie.video
    is_idr = idr_finder(video, file)
    assert video.sync is not None

    found = [is_idr(number - 1) for number in video.sync]

    assert found[0]
    assert starts_of(cuts_of(file)) == [n - 1 for n, empties in zip(video.sync, found, strict=True) if empties]


@pytest.mark.parametrize("spec", [CLOSED, OPEN, INTRA, TELEVISION], ids=["closed", "open", "intra", "television"])
def test_a_decoder_shows_the_frames_of_a_part_and_no_other(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, spec: ClipSpec
) -> None:
    file = ClipFile(clip(spec))
    cuts = cuts_of(file)
    first, end = cuts.start_before(24), cuts.cut_before(spec.frames - 3)
    film = tmp_path / "film.mp4"

    report = write_film([FilmPart(file, frames=(first, end - first)), FilmPart(file)], film)

    part = [(spec.number, n) for n in range(first, end)]
    assert read_frames(film) == part + [(spec.number, n) for n in range(spec.frames)]
    assert report.frame_count == end - first + spec.frames


def test_sound_stays_with_the_picture_of_a_part(clip: Callable[[ClipSpec], Path], tmp_path: Path) -> None:
    file, film = ClipFile(clip(BEEPING)), tmp_path / "film.mp4"

    write_film([FilmPart(file, frames=(6, 60))], film)

    # The beep is at 0.5 s of the clip, the part begins at 0.25 s.
    whole, part = decode_sound(file.path), decode_sound(film)
    assert abs(beep_onset(whole, 0, 48000) - 12000 - beep_onset(part, 0, 48000)) <= 2


@pytest.mark.parametrize("sound", list(Sound))
def test_sound_goes_on_through_a_clip_that_was_taken_apart_and_joined_again(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, sound: Sound
) -> None:
    file, film = ClipFile(clip(CLOSED)), tmp_path / "film.mp4"
    parts = [FilmPart(file, frames=(0, 24)), FilmPart(file, frames=(24, 24), goes_on=True)]

    write_film([*parts, FilmPart(file, frames=(48, 24), goes_on=True)], film, sound=sound)

    assert read_frames(film) == [(1, n) for n in range(72)]
    before, after = decode_sound(file.path), decode_sound(film)
    # 1200 samples are eleven whole waves of the tone.
    loudness = [rms(after, at, at + 1200) for at in range(4800, len(after) - 4800, 240)]
    if sound is Sound.SMART:
        assert max(loudness) < 1.01 * min(loudness)
        assert click(after) < 1.5 * click(before)
    # It is the same sound: no more than half a packet late at any place.
    late = max(
        range(-512, 513), key=lambda by: sum(before[40000 + n] * after[40000 + n + by] for n in range(0, 8000, 7))
    )
    assert abs(late) <= 512


def click(samples: array[float]) -> float:
    """Give the sharpest bend of a sound, away from its ends: a click bends sharper than any tone."""
    inner = samples[4800:-4800]
    return max(abs(a - 2 * b + c) for a, b, c in zip(inner, inner[1:], inner[2:], strict=False))


@st.composite
def parts_of_clips(draw: st.DrawFn) -> tuple[FakeClip, Movie, BytesReader, int, int]:
    """Draw a clip, and the first frame and the number of frames of a part of it."""
    clip = draw(fake_clips(reorder_depth=2))
    movie, reader = clip.movie()
    cuts = CleanCuts(movie.video, lambda _: True)
    first = cuts.start_before(draw(st.integers(0, cuts.frame_count - 1)))
    end = cuts.cut_behind(draw(st.integers(first + 1, cuts.frame_count)))
    return clip, movie, reader, first, end - first


@given(parts_of_clips())
def test_a_part_is_a_movie_of_just_its_frames(drawn: tuple[FakeClip, Movie, BytesReader, int, int]) -> None:
    _, movie, _, first, count = drawn
    end = first + count

    part = trim(movie, first, count)

    video = part.video
    assert list(video.sizes) == list(movie.video.sizes)[first:end]
    assert list(map(video.sample_offset, range(count))) == list(map(movie.video.sample_offset, range(first, end)))
    whole, shown = shown_at(movie)[first:end], shown_at(part)
    assert [time - min(shown) for time in shown] == [time - min(whole) for time in whole]
    assert part.picture_start == 0
    assert part.picture_duration == Fraction(count, 24)
    sync = set(range(1, end + 1)) if movie.video.sync is None else set(movie.video.sync)
    found = range(1, count + 1) if video.sync is None else video.sync
    assert [number + first for number in found] == [number for number in sorted(sync) if first < number <= end]


@given(parts_of_clips())
def test_the_sound_of_a_part_plays_where_it_played_and_covers_it(
    drawn: tuple[FakeClip, Movie, BytesReader, int, int],
) -> None:
    _, movie, _, first, count = drawn
    assume_sound = movie.sound
    assert assume_sound is not None

    part = trim(movie, first, count)

    sound, packet, start = part.sound, Fraction(1024, 48000), Fraction(first, 24)
    assert sound is not None
    skipped = next(
        n for n in range(assume_sound.sample_count) if assume_sound.sample_offset(n) == sound.sample_offset(0)
    )
    assert abs(part.sound_start + start - (movie.sound_start + skipped * packet)) <= Fraction(1, 96000)
    ends = part.sound_start + sound.sample_count * packet
    assert part.sound_start <= packet or skipped == 0
    assert ends >= Fraction(count, 24) - packet or skipped + sound.sample_count == assume_sound.sample_count


@given(st.lists(parts_of_clips(), min_size=1, max_size=4))
def test_a_film_of_parts_holds_just_their_frames(drawn: list[tuple[FakeClip, Movie, BytesReader, int, int]]) -> None:
    sources = [Source(movie, reader, frames=(first, count)) for _, movie, reader, first, count in drawn]

    film = splice(sources, Sound.GRID)

    content = film.header + b"".join(
        film.extra[at : at + length] if source == EXTRA else drawn[source][2].read(at, length)
        for source, at, length in film.ranges
    )
    expected = [
        clip.sample(0, n, clip.frame_sizes[n])
        for clip, _, _, first, count in drawn
        for n in range(first, first + count)
    ]
    report = read_back(BytesReader(content), len(expected), splice=film, with_ffmpeg=False)
    assert report.duration_ms == round(Fraction(len(expected), 24) * 1000)
    assert b"".join(expected) != b""
    at = 0
    for sample in expected:
        at = content.index(sample, at) if film.sound == "none" else content.index(sample)
        assert at > 0
