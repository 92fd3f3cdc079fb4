"""Chromium plays what the stitch makes: every frame through every join, the right one after every jump.

What a film is judged by is what a browser makes of a film of one single encode, the control: edit lists, composition
offsets and a track of chapters are just what browsers have got wrong before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from events.digital_source import DigitalSourceType
from events.plan import Loudness, Transition
from gpu_job.ffmpeg import FFmpeg
from media.clip_file import ClipFile
from media.film_tags import ChapterTitle, FilmTags
from media.splice import Layout, Sound, Source, splice
from media.splice_layout import EXTRA
from media.write import splice_files
from tests.gpu_job.bench import Bench
from tests.media.clips import ClipSpec, expected_frames, make_clip, run_ffmpeg
from tests.web.playback import Cinema, Showing

FPS = 12
#: Speeds to play at: the next where this machine had too much else to do to show every frame.
#: The last is as slow as Chromium plays at all.
RATES = (0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0625)
#: B-frames two deep, and half a second between the frames where decoding can start.
CODED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "6", "-bf", "2", "-pix_fmt", "yuv420p")
SPECS = [ClipSpec(number, frames=12, fps=str(FPS), video=CODED) for number in (1, 2, 3)]
LONG = [ClipSpec(number, frames=17, fps=str(FPS), video=CODED) for number in (4, 5, 6)]
SILENT = [ClipSpec(number, frames=12, fps=str(FPS), video=CODED, tone=None) for number in (7, 8)]
ODD = ClipSpec(9, frames=12, fps=str(FPS), video=CODED, size=(320, 192))
FAST = [ClipSpec(number, frames=20, fps="60", video=CODED) for number in (10, 11)]
TELEVISION = [ClipSpec(number, frames=13, fps="30000/1001", video=CODED) for number in (12, 13, 14)]
NAMES = ["control", "grid", "smart", "trimmed", "composed", "silent", "odd", "loud", "faded"]
NAMES += ["black", "music", "fast", "television"]
#: Frames a second of the films that have others.
RATES_OF = {"fast": Fraction(60), "television": Fraction(30000, 1001)}


def tags(count: int) -> FilmTags:
    return FilmTags(
        title="A film",
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        digital_source_type=DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA,
        chapters=tuple(ChapterTitle(i, f"Chapter {i + 1}") for i in range(count)),
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a film of every kind."""
    folder = tmp_path_factory.mktemp("films")
    clips = {
        spec: make_clip(spec, folder / f"clip{spec.number}.mp4")
        for spec in [*SPECS, *LONG, *SILENT, *FAST, *TELEVISION, ODD]
    }
    film = {name: folder / f"{name}.mp4" for name in NAMES}
    three = [clips[spec] for spec in SPECS]
    splice_files(three, film["grid"], sound=Sound.GRID, tags=tags(3))
    splice_files(three, film["smart"], sound=Sound.SMART, tags=tags(3))
    splice_files([clips[spec] for spec in LONG], film["trimmed"], keep_ms=[1000, 750, None], tags=tags(3))
    splice_files([clips[spec] for spec in SILENT], film["silent"], tags=tags(2))
    compose(three, film["composed"])
    film["odd"] = stitch(folder / "bench-odd", [three[0], clips[ODD], three[2]])
    film["loud"] = stitch(folder / "bench-loud", three, loudness=Loudness.R128)
    film["faded"] = stitch(folder / "bench-faded", three, transition=Transition.CROSSFADE, transition_ms=250)
    film["black"] = stitch(folder / "bench-black", three, transition=Transition.FADE_BLACK, transition_ms=250)
    film["music"] = stitch(folder / "bench-music", three, music="gs://clips-a/0/clip4.mp4", more=clips[LONG[0]])
    film["fast"] = stitch(folder / "bench-fast", [clips[spec] for spec in FAST])
    film["television"] = stitch(folder / "bench-television", [clips[spec] for spec in TELEVISION])
    run_ffmpeg(["-i", str(film["grid"]), *CODED, "-c:a", "aac", "-map_chapters", "-1", str(film["control"])])
    return film


def stitch(folder: Path, clips: list[Path], more: Path | None = None, **wishes: object) -> Path:
    """Make a film by the stitch program; `more` lies in the store beside the clips, as the music."""
    folder.mkdir()
    bench = Bench(folder, FFmpeg(Path(imageio_ffmpeg.get_ffmpeg_exe())))
    if more:
        bench.store.write(str(wishes["music"]), more.read_bytes())
    bench.stitch(bench.plan(*clips, **wishes))
    return bench.film


def compose(clips: list[Path], output: Path) -> None:
    """Write a film as an object store composes it: a header, then the whole clips."""
    files = [ClipFile(path) for path in clips]
    made = splice([Source(each.movie, each) for each in files], layout=Layout.WHOLE_FILES, tags=tags(len(clips)))
    parts = [made.header]
    for source, offset, length in made.ranges:
        parts.append(made.extra[offset : offset + length] if source == EXTRA else files[source].read(offset, length))
    output.write_bytes(b"".join(parts))


@pytest.fixture(scope="module")
def showings(cinema: Cinema, films: dict[str, Path]) -> dict[str, Showing]:
    return play_whole(cinema, films, EXPECTED)


def play_whole(
    cinema: Cinema, films: Mapping[str, Path], expected: Mapping[str, list[tuple[int, int]]]
) -> dict[str, Showing]:
    """Play every film, slower again where a frame came too late."""
    missing = list(films)
    shown: dict[str, Showing] = {}
    for rate in RATES:
        shown |= dict(zip(missing, cinema.play([films[name] for name in missing], rate), strict=True))
        missing = [name for name in missing if not is_whole(shown[name], expected[name])]
        if not missing:
            break
    return shown


@pytest.mark.parametrize("name", NAMES)
def test_chromium_shows_every_frame_in_order_through_every_join(name: str, showings: dict[str, Showing]) -> None:
    showing, expected = showings[name], EXPECTED[name]

    assert told(showing.frames, expected) == expected
    # More where a browser that was kept waiting has begun again before a frame that it had decoded already.
    assert showing.presented >= len(expected)
    assert showing.decoded >= len(expected)


@pytest.mark.parametrize("name", NAMES)
def test_chromium_shows_every_frame_when_it_is_due(name: str, showings: dict[str, Showing]) -> None:
    showing = showings[name]

    assert showing.times == pytest.approx([float(i / rate(name)) for i in range(len(EXPECTED[name]))], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_chromium_knows_how_long_a_film_is_and_ends_on_its_last_frame(name: str, showings: dict[str, Showing]) -> None:
    showing = showings[name]

    assert showing.duration == pytest.approx(float(len(EXPECTED[name]) / rate(name)), abs=1e-3)
    assert showing.ended_at == pytest.approx(showing.duration, abs=1e-3)
    assert showing.last == EXPECTED[name][-1]


@pytest.mark.parametrize("name", NAMES)
def test_chapters_are_not_offered_as_subtitles(name: str, showings: dict[str, Showing]) -> None:
    assert showings[name].text_tracks == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_jump_shows_the_frame_that_is_due_there(name: str, cinema: Cinema, films: dict[str, Path]) -> None:
    expected = EXPECTED[name]
    # To each join, just before it, and back: forwards within what is decoded, and backwards out of it.
    order = [i for first in JOINS[name] for i in (first, first - 1, len(expected) - 1, first + 1)] + [0]

    (found,) = cinema.seek([films[name]], [float((i + Fraction(1, 2)) / rate(name)) for i in order])

    wanted = [expected[i] for i in order]
    assert told(found, wanted) == wanted


def rate(name: str) -> Fraction:
    """Give a film's frames a second."""
    return RATES_OF.get(name, Fraction(FPS))


def is_whole(showing: Showing, expected: list[tuple[int, int]]) -> bool:
    """Tell whether every frame was looked at in time: a busy page may read the next one off the screen."""
    return len(showing.frames) == len(expected) and told(showing.frames, expected) == expected


def told(frames: list[tuple[int, int]], expected: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give what was shown, where it can be told: the barcodes of two frames that are seen at once are none."""
    return [MIXED if code == MIXED else frame for frame, code in zip(frames, expected, strict=True)]


#: A frame that shows two clips at once, or one in the dark.
MIXED = (0, 0)


def faded(overlap: int) -> list[tuple[int, int]]:
    """Give the frames of clips that fade over each other."""
    first, second, third = ([(spec.number, i) for i in range(spec.frames)] for spec in SPECS)
    fade = [MIXED] * overlap
    return [*first[:-overlap], *fade, *second[overlap:-overlap], *fade, *third[overlap:]]


def blackened(out: int, into: int) -> list[tuple[int, int]]:
    """Give the frames of clips that fade to black, in so many frames, and from black."""
    first, second, third = ([(spec.number, i) for i in range(spec.frames)] for spec in SPECS)
    fade = [MIXED] * (out + into)
    return [*first[:-out], *fade, *second[into:-out], *fade, *third[into:]]


def kept(frame_counts: list[int]) -> list[tuple[int, int]]:
    return [(spec.number, i) for spec, count in zip(LONG, frame_counts, strict=True) for i in range(count)]


#: What each film is made of; the second trimmed clip was to end after 9 frames, and does at the nearest clean cut.
EXPECTED = dict.fromkeys(NAMES, expected_frames(SPECS)) | {
    "trimmed": kept([12, 10, 17]),
    "silent": expected_frames(SILENT),
    "odd": expected_frames([SPECS[0], ODD, SPECS[2]]),
    "faded": faded(3),
    "black": blackened(1, 2),
    "fast": expected_frames(FAST),
    "television": expected_frames(TELEVISION),
}
JOINS = {name: [12, 24] for name in NAMES} | {"trimmed": [12, 22], "silent": [12], "faded": [9, 18]}
JOINS |= {"fast": [20], "television": [13, 26]}
