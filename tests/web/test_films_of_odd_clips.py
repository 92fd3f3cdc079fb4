"""Chromium plays films whose clips were not made for each other: chains, clips that were made to fit, fades of those.

In a chain the next clip begins with the picture that the one before ends with; the film shows it once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import imageio_ffmpeg
import pytest

from events.clip import StitchReport
from events.plan import Compression, Fit, Loudness, Transition
from gpu_job.ffmpeg import FFmpeg
from tests.gpu_job.bench import Bench
from tests.media.clips import ClipSpec, Tone, make_clip, read_frames, run_ffmpeg
from tests.web.playback import Cinema, Frame, Showing
from tests.web.test_playback import CODED, FPS, MIXED, play_whole, told

FRAMES = 12
#: One group of pictures, B-frames that others refer to: its last frame cannot be left out without encoding a few.
ONE_GROUP = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "250", "-bf", "3", "-pix_fmt", "yuv420p")
NO_B_FRAMES = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "6", "-bf", "0", "-pix_fmt", "yuv420p")


def hevc(transfer: str) -> tuple[str, ...]:
    """Give how a telephone records high dynamic range."""
    coded = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "8", "-tag:v", "hvc1")
    # Only what the filters say gets into the file's header.
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    said = "log-level=none:pools=none:frame-threads=1"
    return (*coded, "-x265-params", said, "-vf", f"format=yuv420p10le,{tags}", "-pix_fmt", "yuv420p10le")


def chain(video: tuple[str, ...], rate: int = FPS) -> list[ClipSpec]:
    """Describe three clips, each of which begins with the last picture of the one before."""
    specs = [ClipSpec(number, frames=FRAMES, fps=str(rate), video=video) for number in (1, 2, 3)]
    return [specs[0], *(replace(spec, begins_with=(spec.number - 1, FRAMES - 1)) for spec in specs[1:])]


#: Those of a film of odd clips are shorter, and there are more of them.
SHORT = 8
OWN = [ClipSpec(number, frames=SHORT, fps=str(FPS), video=CODED) for number in (10, 20)]
TURNED = ClipSpec(11, frames=SHORT, fps=str(FPS), video=CODED)
#: Its fifth frame is shown for three intervals.
VARYING = ClipSpec(12, frames=6, fps=str(FPS), video=CODED, tone=None)
TELEPHONE = ClipSpec(14, frames=SHORT, fps=str(FPS), video=hevc("smpte2084"), tone=Tone(48000, 6))
ODD = [
    OWN[0],
    TURNED,
    VARYING,
    ClipSpec(13, frames=20, fps="30", video=CODED, tone=Tone(44100, 1)),
    TELEPHONE,
    ClipSpec(15, frames=16, fps="24000/1001", video=hevc("arib-std-b67"), tone=Tone(late=0.3, longer=-0.1)),
    ClipSpec(16, frames=SHORT, fps=str(FPS), video=CODED, size=(320, 192), suffix=".mkv"),
    OWN[1],
]
FADED = [OWN[0], TURNED, TELEPHONE, OWN[1]]
#: Frames in which two clips are seen at once.
FADE = 2
NAMES = ["chain cut", "chain with ends", "chain made small", "chain made loud", "odd", "odd, faded"]


@dataclass(frozen=True)
class Film:
    """A film, and what it should show."""

    path: Path
    report: StitchReport
    expected: list[Frame]
    #: The frames with which its clips begin, but the first's.
    joins: list[int]
    rate: int = FPS


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """Make a film of every kind."""
    folder = tmp_path_factory.mktemp("films")
    cut, tailed = (made(chain(video), folder) for video in (NO_B_FRAMES, ONE_GROUP))
    # What is encoded whole gets a rate that films have.
    fast, odd = made(chain(ONE_GROUP, 24), folder), dict(zip(ODD, made(ODD, folder), strict=True))
    return {
        "chain cut": chained(folder, "cut", cut),
        "chain with ends": chained(folder, "ends", tailed),
        "chain made small": replace(chained(folder, "small", fast, compression=Compression.SMALL), rate=24),
        "chain made loud": chained(folder, "loud", tailed, loudness=Loudness.R128),
        "odd": decoded(*stitched(folder, "odd", [*odd.values()], fit=Fit.PAD), SHORT, len(ODD)),
        "odd, faded": faded(folder, [odd[spec] for spec in FADED]),
    }


def made(specs: list[ClipSpec], folder: Path) -> list[Path]:
    """Encode clips; two of them differ by what FFmpeg does to them afterwards."""
    paths = []
    for spec in specs:
        path = make_clip(spec, folder / f"{len(list(folder.iterdir()))}{spec.suffix}")
        plain = path.with_stem(f"{path.stem}-plain")
        if spec is TURNED:
            run_ffmpeg(["-i", str(path), "-vf", "transpose=2", *CODED, "-c:a", "copy", str(plain)])
            run_ffmpeg(["-display_rotation", "-90", "-i", str(plain), "-c", "copy", str(path)])
        if spec is VARYING:
            path.replace(plain)
            late = f"setpts='(N+2*floor(N/5))/{FPS}/TB'"
            run_ffmpeg(["-i", str(plain), "-vf", late, "-fps_mode", "passthrough", *CODED, str(path)])
        paths.append(path)
    return paths


def stitched(folder: Path, name: str, clips: list[Path], **wishes: object) -> tuple[Path, StitchReport]:
    """Make a film by the stitch program; the clips of a chain continue each other."""
    (folder / f"bench-{name}").mkdir()
    bench = Bench(folder / f"bench-{name}", FFmpeg(Path(imageio_ffmpeg.get_ffmpeg_exe())))
    is_chain = bool(wishes.pop("chain", False))
    plan = bench.plan(*clips, **wishes)
    continued = [clip.model_copy(update={"continues": is_chain and n > 0}) for n, clip in enumerate(plan.clips)]
    return bench.film, bench.stitch(plan.model_copy(update={"clips": continued}))


def chained(folder: Path, name: str, clips: list[Path], **wishes: object) -> Film:
    path, report = stitched(folder, name, clips, chain=True, **wishes)
    # Two clips share a picture, which is the last of the one and the first of the other.
    expected = [(1, 0), *((clip, frame) for clip in (1, 2, 3) for frame in range(1, FRAMES))]
    return Film(path, report, expected, [FRAMES - 1, 2 * (FRAMES - 1)])


def decoded(path: Path, report: StitchReport, length: int, count: int) -> Film:
    """Expect of a browser what a decoder gives of a film of so many clips of so many frames."""
    return Film(path, report, read_frames(path), [n * length for n in range(1, count)])


def faded(folder: Path, clips: list[Path]) -> Film:
    """Make a film of which no frame within a fade can be told."""
    wishes = {"fit": Fit.PAD, "transition": Transition.CROSSFADE, "transition_ms": 1000 * FADE // FPS}
    path, report = stitched(folder, "faded", clips, **wishes)
    film = decoded(path, report, SHORT - FADE, len(clips))
    hidden = {join + n for join in film.joins for n in range(FADE)}
    return replace(film, expected=[MIXED if n in hidden else frame for n, frame in enumerate(film.expected)])


@pytest.fixture(scope="module")
def showings(cinema: Cinema, films: dict[str, Film]) -> dict[str, Showing]:
    paths = {name: film.path for name, film in films.items()}
    return play_whole(cinema, paths, {name: film.expected for name, film in films.items()})


def test_the_films_are_what_they_should_be(films: dict[str, Film]) -> None:
    """Before anybody looks: what is asked of the browser is the right thing."""
    for name, film in films.items():
        assert film.report.frame_count == len(film.expected), name
        assert read_frames(film.path)[0] == film.expected[0], name
    for name in NAMES[:4]:
        assert [join.dropped_frames for join in films[name].report.joins] == [1, 1], name
        assert read_frames(films[name].path) == films[name].expected, name
    odd, place = films["odd"], [spec.number for spec in ODD].index
    assert odd.report.encoded_clips == [1, 2, 3, 4, 5, 6]
    assert [(clip, len(list(frames))) for clip, frames in groupby(clip for clip, _ in odd.expected)] == [
        (spec.number, SHORT) for spec in ODD
    ]
    assert odd.expected == sorted(odd.expected, key=lambda shown: (place(shown[0]), shown))


@pytest.mark.parametrize("name", NAMES)
def test_chromium_shows_every_frame_once_and_when_it_is_due(
    name: str, films: dict[str, Film], showings: dict[str, Showing]
) -> None:
    showing, expected = showings[name], films[name].expected

    assert told(showing.frames, expected) == expected
    assert showing.times == pytest.approx([n / films[name].rate for n in range(len(expected))], abs=1e-4)
    assert showing.presented >= len(expected)
    assert showing.decoded >= len(expected)


@pytest.mark.parametrize("name", NAMES)
def test_chromium_ends_on_the_last_frame(name: str, films: dict[str, Film], showings: dict[str, Showing]) -> None:
    showing, expected = showings[name], films[name].expected

    assert showing.duration == pytest.approx(len(expected) / films[name].rate, abs=1e-3)
    assert showing.ended_at == pytest.approx(showing.duration, abs=1e-3)
    assert (showing.last, showing.text_tracks) == (expected[-1], 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_jump_to_a_join_shows_the_frame_that_is_due_there(name: str, cinema: Cinema, films: dict[str, Film]) -> None:
    film, expected = films[name], films[name].expected
    order = [n for join in film.joins for n in (join, join - 1, len(expected) - 1)] + [0]

    (found,) = cinema.seek([film.path], [float((n + Fraction(1, 2)) / film.rate) for n in order])

    wanted = [expected[n] for n in order]
    assert told(found, wanted) == wanted
