"""Keeping only the beginning of a clip: whole frames in a row, near to what was asked for, and sound to match."""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate, pairwise
from operator import add
from pathlib import Path

import av
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from media.conform import obstacles
from media.last_frame import last_frame_png
from media.movie import Movie, expand
from media.mp4_index import read_movie
from media.probe import probe
from media.reader import BytesReader, FileReader
from media.splice import Layout, Sound, Source, splice
from media.splice_layout import EXTRA
from media.trim import nearest_cut, trim_end
from media.verify import read_back
from media.write import splice_files
from tests.media.clips import ClipSpec, Tone, beep_onset, decode_sound, read_frames, rms
from tests.media.synthetic import FakeClip, fake_clips

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")
SPECS = {
    "no B-frames": ClipSpec(1, frames=48, video=(*X264, "-g", "24", "-bf", "0")),
    "three B-frames": ClipSpec(2, frames=48, video=(*X264, "-g", "24", "-bf", "3", "-x264-params", "b-adapt=0")),
    "an open GOP": ClipSpec(3, frames=48, video=(*X264, "-g", "12", "-bf", "3", "-x264-params", "open-gop=1")),
    "one GOP, no sound": ClipSpec(4, frames=48, tone=None, video=(*X264, "-g", "300", "-bf", "2")),
    "a frame rate of television": ClipSpec(5, frames=48, fps="30000/1001", video=(*X264, "-g", "12", "-bf", "3")),
    "a clock of milliseconds": ClipSpec(
        6, frames=48, video=(*X264, "-bf", "3"), muxer=("-video_track_timescale", "1000")
    ),
    "a QuickTime file": ClipSpec(7, frames=48, video=(*X264, "-bf", "2"), suffix=".mov"),
}
specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
keeps_ms = st.integers(1, 2500)


def shown_at(movie: Movie) -> list[int]:
    """Give when each frame is shown, in ticks, in the order in which they are decoded."""
    video = movie.video
    starts = accumulate(expand(video.durations), initial=0)
    compositions = expand(video.compositions) if video.compositions else [0] * video.sample_count
    return list(map(add, starts, compositions))


def movie_of(path: Path) -> Movie:
    with FileReader(path) as reader:
        return read_movie(reader, path.name)


def rgb(source: io.BytesIO | str) -> list[bytes]:
    with av.open(source, "r") as opened:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in opened.decode(video=0)]


@given(fake_clips(), keeps_ms)
def test_what_is_kept_is_shown_in_a_row_and_needs_nothing_behind_it(clip: FakeClip, keep_ms: int) -> None:
    movie, _ = clip.movie()

    trimmed = trim_end(movie, keep_ms)

    count = trimmed.video.sample_count
    assert 1 <= count <= movie.video.sample_count
    assert trimmed.video.sizes == movie.video.sizes[:count]
    assert shown_at(trimmed) == shown_at(movie)[:count]
    assert sorted(shown_at(trimmed)) == sorted(shown_at(movie))[:count]
    offsets = [trimmed.video.sample_offset(i) for i in range(count)]
    assert offsets == [movie.video.sample_offset(i) for i in range(count)]
    assert trimmed.picture_duration == Fraction(count, 24)


@given(fake_clips(), keeps_ms)
def test_no_cut_that_would_do_is_nearer(clip: FakeClip, keep_ms: int) -> None:
    movie, _ = clip.movie()
    shown = shown_at(movie)
    clean = [n for n in range(1, len(shown) + 1) if sorted(shown[:n]) == sorted(shown)[:n]]

    found = nearest_cut(movie.video, keep_ms)

    assert found.frame_count == min(clean, key=lambda n: abs(Fraction(n, 24) - Fraction(keep_ms, 1000)))
    assert found.seconds == Fraction(found.frame_count, 24)


@given(fake_clips(), keeps_ms)
def test_the_sound_ends_with_the_packet_in_which_the_picture_ends(clip: FakeClip, keep_ms: int) -> None:
    movie, _ = clip.movie()

    trimmed = trim_end(movie, keep_ms)

    sound, packet = trimmed.sound, Fraction(1024, 48000)
    assert sound is not None
    assert movie.sound is not None
    assert list(sound.sizes) == list(movie.sound.sizes)[: sound.sample_count]
    packets_end = trimmed.sound_start + sound.sample_count * packet
    assert packets_end < trimmed.picture_duration + packet
    assert packets_end >= trimmed.picture_duration or sound.sample_count == movie.sound.sample_count
    assert [why for why in obstacles(trimmed) if "longer" in why or "hides" in why] == []


@given(fake_clips(), st.integers(2500, 10_000))
def test_keeping_more_than_there_is_keeps_all(clip: FakeClip, keep_ms: int) -> None:
    movie, _ = clip.movie()

    assert trim_end(movie, keep_ms) is movie


@given(st.lists(st.tuples(fake_clips(reorder_depth=2), st.none() | keeps_ms), min_size=1, max_size=4), st.data())
def test_a_film_of_trimmed_clips_holds_just_what_they_keep(
    clips: list[tuple[FakeClip, int | None]], data: st.DataObject
) -> None:
    layout = data.draw(st.sampled_from(list(Layout)))
    read = [clip.movie() for clip, _ in clips]
    sources = [Source(movie, reader, keep) for (movie, reader), (_, keep) in zip(read, clips, strict=True)]

    film = splice(sources, Sound.GRID, layout=layout)

    content = film.header + b"".join(
        film.extra[at : at + length] if source == EXTRA else read[source][1].read(at, length)
        for source, at, length in film.ranges
    )
    expected = []
    for (clip, keep), (movie, _) in zip(clips, read, strict=True):
        kept = movie.video.sample_count if keep is None else nearest_cut(movie.video, keep).frame_count
        expected += [clip.sample(0, i, size) for i, size in enumerate(clip.frame_sizes[:kept])]
    movie = read_movie(BytesReader(content), "film")
    video = movie.video
    found = [content[(at := video.sample_offset(i)) : at + video.sizes[i]] for i in range(video.sample_count)]
    assert found == expected
    report = read_back(BytesReader(content), len(expected), splice=film, with_ffmpeg=False)
    assert report.duration_ms == round(Fraction(len(expected), 24) * 1000)
    # A stored offset that another one repeats would play the same bytes twice.
    assert len(set(array("Q", map(video.sample_offset, range(video.sample_count))))) == video.sample_count


@specs
@pytest.mark.parametrize("keep_ms", [1, 700, 1000, 1490])
def test_a_decoder_shows_the_kept_frames_of_every_clip_and_no_other(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, spec: ClipSpec, keep_ms: int
) -> None:
    path, film = clip(spec), tmp_path / "film.mp4"
    cut = nearest_cut(movie_of(path).video, keep_ms)

    report = splice_files([path, path, path], film, keep_ms=[keep_ms, None, keep_ms])

    part = [(spec.number, i) for i in range(cut.frame_count)]
    whole = [(spec.number, i) for i in range(spec.frames)]
    assert read_frames(film) == part + whole + part
    assert report.frame_count == 2 * cut.frame_count + spec.frames
    assert report.joins[0].at_ms == round(cut.seconds * 1000)
    with FileReader(film) as reader:
        assert probe(reader, "film").duration_ms == report.duration_ms


@specs
def test_a_cut_lies_at_most_two_frames_from_where_it_was_asked_for(
    clip: Callable[[ClipSpec], Path], spec: ClipSpec
) -> None:
    video = movie_of(clip(spec)).video

    apart = [abs(nearest_cut(video, keep_ms).seconds - Fraction(keep_ms, 1000)) for keep_ms in range(50, 1500, 37)]

    above, _, below = spec.fps.partition("/")
    assert max(apart) <= Fraction(5, 2) * Fraction(int(below or 1), int(above))


@pytest.mark.parametrize("sound", list(Sound))
def test_sound_stays_with_its_picture_behind_a_trimmed_clip(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, sound: Sound
) -> None:
    video = (*X264, "-bf", "0", "-g", "12")
    path = clip(ClipSpec(8, frames=48, tone=Tone(kind="beep"), video=video))
    film = tmp_path / "film.mp4"

    splice_files([path, path], film, sound=sound, keep_ms=[1250, None])

    heard = decode_sound(film)
    onsets = [beep_onset(heard, start, start + 48000) for start in (0, 60000)]
    assert abs(onsets[1] - onsets[0] - 60000) <= 512


def test_a_tone_goes_on_through_the_join_behind_a_trimmed_clip(
    clip: Callable[[ClipSpec], Path], tmp_path: Path
) -> None:
    path, film = clip(SPECS["no B-frames"]), tmp_path / "film.mp4"

    splice_files([path, path], film, keep_ms=[1000, 1000])

    heard = decode_sound(film)
    loudness = [rms(heard, at, at + 480) for at in range(4800, len(heard) - 4800, 480)]
    assert min(loudness) > 0.6 * max(loudness)


@specs
@pytest.mark.parametrize("keep_ms", [1, 700, 1000, 1490, 9000])
def test_the_last_frame_of_a_trimmed_clip_is_the_last_that_its_film_shows(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, spec: ClipSpec, keep_ms: int
) -> None:
    path = clip(spec)
    cut = nearest_cut(movie_of(path).video, keep_ms)

    with FileReader(path) as reader:
        png = last_frame_png(reader, path.name, keep_ms)

    (found,) = rgb(io.BytesIO(png))
    assert rgb(str(path)).index(found) == cut.frame_count - 1


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
@pytest.mark.parametrize(("keep_ms", "last"), [(1, 0), (500, 11), (1000, 23), (1500, 35), (9000, 47)])
def test_the_last_frame_of_another_kind_of_file_is_the_last_within_its_time(
    clip: Callable[[ClipSpec], Path], suffix: str, keep_ms: int, last: int
) -> None:
    path = clip(ClipSpec(9, frames=48, tone=None, video=(*X264, "-g", "12", "-bf", "2"), suffix=suffix))

    with FileReader(path) as reader:
        png = last_frame_png(reader, path.name, keep_ms)

    (found,) = rgb(io.BytesIO(png))
    assert rgb(str(path)).index(found) == last


@given(st.lists(fake_clips(reorder_depth=0), min_size=2, max_size=2), keeps_ms)
def test_clips_conform_however_little_is_kept_of_one(clips: list[FakeClip], keep_ms: int) -> None:
    assume(all(clip.packet_sizes for clip in clips))
    first, second = (clip.movie() for clip in clips)

    film = splice([Source(*first, keep_ms), Source(*second)], Sound.GRID)

    assert all(a.end == b.start for a, b in pairwise(film.clips))
