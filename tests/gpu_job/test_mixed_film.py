"""One film of sixty clips of which hardly two are alike: nothing of them is lost, twice, late, or heard at the joins.

The rule for pictures of another rate: a frame of a clip is due at the film's frame that is nearest to its time, and
shown until the next one is due; of several that are due at once the last is shown. A clip begins with its first frame.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate, pairwise
from math import floor
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from events.clip import StitchReport
from events.plan import Fit
from gpu_job.ffmpeg import FFmpeg
from media.mp4_index import read_movie
from media.reader import FileReader
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import video_packets
from tests.gpu_job.mixed_clips import (
    BEEP_HZ,
    FILM_RATE,
    HEARINGS,
    ODD_LOOKS,
    OWN,
    TONE_HZ,
    Clip,
    make,
    read_code,
    sixty_clips,
)

CLIPS = sixty_clips()
SKEW_MAX = 0.0213
Samples = npt.NDArray[np.float64]


@dataclass
class Film:
    """The film, decoded."""

    report: StitchReport
    path: Path
    paths: list[Path]
    #: What each frame says: clip, frame, whether it flashes; None where that cannot be read.
    frames: list[tuple[int, int, bool] | None]
    times: list[Fraction]
    sound: Samples
    rate_hz: int


def due(clip: Clip) -> list[int]:
    """Give which of a clip's frames the film shows, by the rule above."""
    ticks = [floor(at * FILM_RATE + Fraction(1, 2)) for at in clip.times[:-1]]
    return [max(n for n, tick in enumerate(ticks) if tick <= shown) for shown in range(round(clip.seconds * FILM_RATE))]


#: The film's frame with which each clip begins, and the number of all.
STARTS = list(accumulate((len(due(clip)) for clip in CLIPS), initial=0))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, ffmpeg_program: str) -> Film:
    folder = tmp_path_factory.mktemp("sixty")
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda clip: make(clip, folder, ffmpeg_program), CLIPS))
    bench = Bench(folder, FFmpeg(Path(ffmpeg_program)))
    report = bench.stitch(bench.plan(*paths, fit=Fit.PAD))
    assert bench.leftovers() == []
    frames, times = watched(bench.film)
    rate_hz, sound = heard(bench.film)
    return Film(report, bench.film, paths, frames, times, sound, rate_hz)


def watched(path: Path) -> tuple[list[tuple[int, int, bool] | None], list[Fraction]]:
    shapes = [clip.shape for clip in CLIPS for _ in due(clip)]
    frames, times = [], []
    with av.open(str(path)) as opened:
        for number, frame in enumerate(opened.decode(video=0)):
            plane = frame.planes[0]
            luma = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
            frames.append(read_code(luma, shapes[min(number, len(shapes) - 1)]))
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(frame.pts * frame.time_base)
    return frames, times


def heard(path: Path) -> tuple[int, Samples]:
    """Decode the first channel: sample 0 plays with the first frame."""
    with av.open(str(path)) as opened:
        video = next(opened.decode(video=0))
    with av.open(str(path)) as opened:
        stream = opened.streams.audio[0]
        pieces = []
        for frame in opened.decode(stream):
            assert frame.pts is not None
            at = frame.pts * (frame.time_base or 0) - (video.pts or 0) * (video.time_base or 0)
            samples = frame.to_ndarray()
            samples = samples.reshape(-1, len(frame.layout.channels)).T if not frame.format.is_planar else samples
            scale = 1 / 32768 if frame.format.name.startswith("s16") else 1
            pieces.append((round(at * stream.rate), samples[0].astype(np.float64) * scale))
    sound = np.zeros(max(start + len(piece) for start, piece in pieces))
    for start, piece in pieces:
        sound[max(0, start) : max(0, start + len(piece))] = piece[max(0, -start) :]
    return stream.rate, sound


def beep_at(sound: Samples, rate_hz: int, about: float) -> float:
    """Give when a beep begins, in seconds, looked for 200 ms around a time."""
    start = round((about - 0.2) * rate_hz)
    part = sound[start : round((about + 0.2) * rate_hz)]
    turned = part * np.exp(-2j * np.pi * BEEP_HZ / rate_hz * np.arange(len(part)))
    width = rate_hz // 500
    level = np.abs(np.convolve(turned, np.ones(width) / width, "valid"))
    assert level.max() > 0.04, f"no beep around {about}"
    return (start + int(np.argmax(level > level.max() / 2)) + width / 2) / rate_hz


@cache
def own_beep(path: Path, about: float) -> float:
    """Give when a clip beeps that is played alone."""
    rate_hz, sound = heard(path)
    return beep_at(sound, rate_hz, about)


def test_every_kind_of_picture_and_every_pair_of_kinds_of_sound_is_among_the_clips() -> None:
    assert {clip.look for clip in CLIPS} == {OWN, *ODD_LOOKS}
    pairs = {(one.hearing, other.hearing) for one, other in pairwise(CLIPS)}
    assert len(pairs) == len(HEARINGS) ** 2


def test_every_frame_that_is_due_is_there_once_and_in_order(film: Film) -> None:
    expected = [(clip.number, frame) for clip in CLIPS for frame in due(clip)]

    shown = [frame and frame[:2] for frame in film.frames]

    wrong = [(n, CLIPS[e[0]].look.name, e, s) for n, (e, s) in enumerate(zip(expected, shown, strict=False)) if e != s]
    assert wrong == []
    assert len(shown) == len(expected) == film.report.frame_count == STARTS[-1]
    assert film.times == [n / FILM_RATE for n in range(len(shown))]


def test_frames_of_clips_of_the_films_rate_are_all_there() -> None:
    for clip in CLIPS:
        if clip.look.rate <= FILM_RATE and not clip.look.varies:
            assert due(clip) == list(range(clip.count)), clip


def test_only_the_odd_ones_are_encoded(film: Film) -> None:
    own = [clip for clip in CLIPS if clip.look is OWN or clip.look.suffix == "mov"]
    assert film.report.encoded_clips == [clip.number for clip in CLIPS if clip not in own]
    packets = video_packets(film.path)
    for clip in own:
        start = STARTS[clip.number]
        assert packets[start : start + clip.count] == video_packets(film.paths[clip.number]), clip


def test_sound_is_with_its_picture_in_every_clip(film: Film) -> None:
    late = {}
    for clip in (each for each in CLIPS if each.hearing.channels):
        about = float(clip.beep_at)
        start = float(STARTS[clip.number] / FILM_RATE)
        in_film = beep_at(film.sound, film.rate_hz, start + about) - start
        late[clip.number] = in_film - own_beep(film.paths[clip.number], about)

    assert {clip: found for clip, found in late.items() if abs(found) > SKEW_MAX} == {}
    assert all(abs(join.skew_us or 0) <= SKEW_MAX * 1e6 for join in film.report.joins)
    assert len(film.report.joins) == 59


def test_flashes_are_seen_when_beeps_are_heard(film: Film) -> None:
    """A flash may come half a frame of the film early or late where the clip's rate is another."""
    for clip in CLIPS:
        start, end = STARTS[clip.number], STARTS[clip.number + 1]
        flash = next(n for n in range(start, end) if (film.frames[n] or (0, 0, False))[2])
        assert abs((flash - start) / FILM_RATE - clip.beep_at) <= 1 / FILM_RATE / 2, clip


def test_sound_and_picture_end_together_within_a_frame(film: Film) -> None:
    with FileReader(film.path) as reader:
        movie = read_movie(reader, "film")
    assert movie.picture_duration == STARTS[-1] / FILM_RATE
    assert abs(movie.sound_end - movie.picture_duration) <= 1 / FILM_RATE
    assert abs(len(film.sound) / film.rate_hz - float(movie.picture_duration)) <= float(1 / FILM_RATE)
    for clip, (start, end) in zip(CLIPS, pairwise(STARTS), strict=True):
        assert abs((end - start) / FILM_RATE - clip.seconds) <= 1 / FILM_RATE / 2


def test_the_film_is_as_every_player_takes_it(film: Film) -> None:
    with FileReader(film.path) as reader:
        movie = read_movie(reader, "film")
        head = reader.read(0, 200_000)
    assert 0 < head.find(b"moov") < head.find(b"mdat")
    assert head.count(b"moof") == 0
    assert (len(movie.video_tracks), len(movie.sound_tracks)) == (1, 1)
    for track in (movie.video, movie.sound):
        assert track is not None
        assert (len(track.edits), track.entry_count) == (1, 1)
        assert list(track.chunk_offsets) == sorted(track.chunk_offsets)
    with av.open(str(film.path)) as opened:
        starts = [chapter["start"] * (chapter["time_base"] or Fraction(0)) for chapter in opened.chapters()]
    assert starts == pytest.approx([float(start / FILM_RATE) for start in STARTS[:-1]], abs=0.001)


def test_nothing_clicks_and_nothing_dips_where_both_clips_sound(film: Film) -> None:
    around, half = round(0.08 * film.rate_hz), film.rate_hz // TONE_HZ // 2
    clicks, dips = {}, {}
    for one, other in pairwise(CLIPS):
        if not (one.hearing.channels and other.hearing.channels) or one.hearing.short or other.hearing.late:
            continue
        at = round(STARTS[other.number] / FILM_RATE * film.rate_hz)
        part = film.sound[at - around : at + around]
        usual = [abs_max(film.sound[at - 2 * around : at - around]), abs_max(film.sound[at + around : at + 2 * around])]
        steepest = 2 * np.pi * TONE_HZ / film.rate_hz * max(usual)
        clicks[other.number] = 20 * np.log10(np.abs(np.diff(part)).max() / steepest)
        level = np.sqrt(np.convolve(part**2, np.ones(half) / half, "valid"))
        dips[other.number] = 1000 * float((level < min(usual) / 2**0.5 / 2).sum()) / film.rate_hz

    assert len(clicks) >= 20
    assert {clip: found for clip, found in clicks.items() if found > 6} == {}
    assert {clip: found for clip, found in dips.items() if found > 8} == {}


def abs_max(samples: Samples) -> float:
    return float(np.abs(samples).max())
