"""Who joins the clips in `benchmarks.stitch`, and by what command: ours, and what people use instead.

Those that encode get our own preset and quality of libx264 unless their name says otherwise, so that they make a film
as good as ours; the FFmpeg is the same but for melt, which links the system's libraries.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from benchmarks.stitch_corpus import Corpus
from media.encoder import AUDIO_BITRATE_BPS
from media.treatment import Quality

_HERE = Path(__file__).parent
MOVIEPY_PYTHON = _HERE.parent / ".venv" / "moviepy" / "bin" / "python"
HOW_TO_GET_MOVIEPY = (
    "python3 -m venv .venv/moviepy && .venv/moviepy/bin/pip install moviepy==2.2.1 (it needs an older Pillow than ours)"
)
HOW_TO_GET_MELT = "apt-get install --no-install-recommends melt"
#: Keys of those that others are compared with.
CAT, COPY, LONGREEL, FULL = "cat", "ffmpeg_copy", "longreel", "longreel_full"


@dataclass(frozen=True, slots=True)
class Order:
    """What a contender is to make."""

    corpus: Corpus
    #: An empty folder, and where in it the film goes.
    folder: Path
    film: Path
    #: How ours would encode it.
    quality: Quality
    #: Seconds of the crossfade at each join; 0 for cuts.
    fade: Fraction

    @property
    def clips(self) -> list[str]:
        """Give the clips' paths."""
        return [str(path) for path in self.corpus.paths]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of joining clips."""

    key: str
    #: What the table calls it.
    name: str
    command: Callable[[Order], list[str]]
    #: It encodes much or all, which takes minutes.
    is_slow: bool = False
    #: It takes so long and tells so little more that it runs with one set of clips only, unless it is asked for.
    is_tedious: bool = False
    #: Its output is no film, only bytes.
    is_floor: bool = False
    is_ours: bool = False
    #: It is ffmpeg copying packets.
    is_copy: bool = False
    #: How to get what is missing here; empty if it can run.
    missing: str = ""


def contenders(case: str) -> list[Contender]:
    """Give all of a case, those that are missing on this machine too."""
    cases = {
        "conforming": _for_conforming,
        "odd": _for_odd,
        "different": _for_different,
        "crossfades": _for_fades,
    }
    return cases[case]()


def _for_conforming() -> list[Contender]:
    system = shutil.which("ffmpeg")
    return [
        Contender(CAT, "cat (bytes only, no film)", _cat, is_floor=True),
        Contender(COPY, "ffmpeg concat demuxer, copy", _copy_by(imageio_ffmpeg.get_ffmpeg_exe()), is_copy=True),
        Contender(
            "system_ffmpeg_copy",
            "the system's ffmpeg, copy",
            _copy_by(system or "ffmpeg"),
            is_copy=True,
            missing="" if system else "apt-get install ffmpeg",
        ),
        Contender(LONGREEL, "longreel stitch", _longreel, is_ours=True),
        Contender("splice_grid", "our splice alone, grid audio", _splice("grid"), is_ours=True),
        Contender("splice_smart", "our splice alone, smart audio", _splice("smart"), is_ours=True),
        *(replace(peer, is_tedious=True) for peer in _peers()),
    ]


def _for_odd() -> list[Contender]:
    full = Contender(FULL, "longreel, everything encoded", _full, is_slow=True, is_ours=True)
    return [_OURS, full, *_peers()]


def _for_different() -> list[Contender]:
    return [_OURS, *_peers()]


def _for_fades() -> list[Contender]:
    return [
        _OURS,
        Contender("xfade", "ffmpeg xfade chain, our preset", _xfade_chain(like_ours=True), is_slow=True),
        Contender(
            "xfade_default",
            "ffmpeg xfade chain, x264's medium",
            _xfade_chain(like_ours=False),
            is_slow=True,
            is_tedious=True,
        ),
        *_peers()[1:],
    ]


def _peers() -> list[Contender]:
    melt = shutil.which("melt")
    return [
        Contender("ffmpeg_filter", "ffmpeg concat filter", _concat_filter, is_slow=True),
        Contender(
            "moviepy",
            "MoviePy 2.2.1",
            _moviepy,
            is_slow=True,
            is_tedious=True,
            missing="" if MOVIEPY_PYTHON.exists() else HOW_TO_GET_MOVIEPY,
        ),
        Contender("melt", "MLT melt", _melt, is_slow=True, missing="" if melt else HOW_TO_GET_MELT),
    ]


def _longreel(order: Order) -> list[str]:
    program = str(Path(sys.executable).with_name("longreel"))
    fades = ["--transition", "crossfade", "--transition-ms", str(round(order.fade * 1000))] if order.fade else []
    return [program, "stitch", *order.clips, "-o", str(order.film), "--home", str(order.folder / "home"), *fades]


def _full(order: Order) -> list[str]:
    return [sys.executable, str(_HERE / "stitch_full.py"), str(order.film), str(order.folder), *order.clips]


#: Where it has something to encode.
_OURS = Contender(LONGREEL, "longreel stitch", _longreel, is_slow=True, is_ours=True)


def _splice(sound: str) -> Callable[[Order], list[str]]:
    return lambda order: [sys.executable, str(_HERE / "stitch_splice.py"), sound, str(order.film), *order.clips]


def _copy_by(ffmpeg: str) -> Callable[[Order], list[str]]:
    def command(order: Order) -> list[str]:
        listed = order.folder / "clips.txt"
        listed.write_text("".join(f"file '{clip}'\n" for clip in order.clips))
        return [*_quiet(ffmpeg), "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(order.film)]

    return command


def _quiet(ffmpeg: str) -> list[str]:
    return [ffmpeg, "-v", "error", "-nostdin", "-y"]


def _concat_filter(order: Order) -> list[str]:
    film = order.corpus.shape.look
    steps, joined = [], ""
    for number, look in enumerate(order.corpus.looks):
        picture, sound = f"[{number}:v]", f"[{number}:a]"
        if look != film:
            scaled = f"fps={film.rate},scale={film.width_px}:{film.height_px},setsar=1,format=yuv420p"
            steps.append(f"{picture}{scaled}[v{number}]")
            steps.append(f"{sound}aresample={film.rate_hz},aformat=channel_layouts=stereo[a{number}]")
            picture, sound = f"[v{number}]", f"[a{number}]"
        joined += picture + sound
    graph = ";".join([*steps, f"{joined}concat=n={len(order.clips)}:v=1:a=1[v][a]"])
    return [*_graph(order, graph, "[v]", "[a]"), *_coded(order.quality), str(order.film)]


def _xfade_chain(*, like_ours: bool) -> Callable[[Order], list[str]]:
    """Give the usual way: every clip an input, xfade and acrossfade from each to the next, all encoded."""

    def command(order: Order) -> list[str]:
        graph, picture, sound = [], "0:v", "0:a"
        for number in range(1, len(order.clips)):
            offset = float(number * (order.corpus.seconds(0) - order.fade))
            length = float(order.fade)
            graph.append(f"[{picture}][{number}:v]xfade=transition=fade:duration={length}:offset={offset}[v{number}]")
            graph.append(f"[{sound}][{number}:a]acrossfade=d={length}[a{number}]")
            picture, sound = f"v{number}", f"a{number}"
        coded = _coded(order.quality) if like_ours else ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"]
        return [*_graph(order, ";".join(graph), f"[{picture}]", f"[{sound}]"), *coded, str(order.film)]

    return command


def _graph(order: Order, graph: str, picture: str, sound: str) -> list[str]:
    inputs = [word for clip in order.clips for word in ("-i", clip)]
    program = _quiet(imageio_ffmpeg.get_ffmpeg_exe())
    return [*program, *inputs, "-filter_complex", graph, "-map", picture, "-map", sound]


def _coded(quality: Quality) -> list[str]:
    picture = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", quality.preset, "-crf", str(quality.crf)]
    return [*picture, "-c:a", "aac", "-b:a", str(2 * AUDIO_BITRATE_BPS)]


def _moviepy(order: Order) -> list[str]:
    film = order.corpus.shape.look
    # The same FFmpeg as everybody's; `env` becomes the program, so that it costs nothing.
    command = ["env", f"IMAGEIO_FFMPEG_EXE={imageio_ffmpeg.get_ffmpeg_exe()}", str(MOVIEPY_PYTHON)]
    command += [str(_HERE / "stitch_moviepy.py"), str(order.film), *order.clips]
    command += ["--size", str(film.width_px), str(film.height_px), "--fps", str(float(film.rate))]
    return [
        *command,
        "--preset",
        order.quality.preset,
        "--crf",
        str(order.quality.crf),
        "--fade",
        str(float(order.fade)),
    ]


def _melt(order: Order) -> list[str]:
    film = order.corpus.shape.look
    profile = order.folder / "profile"
    profile.write_text(
        f"description=film\nframe_rate_num={film.rate.numerator}\nframe_rate_den={film.rate.denominator}\n"
        f"width={film.width_px}\nheight={film.height_px}\nprogressive=1\nsample_aspect_num=1\nsample_aspect_den=1\n"
        "display_aspect_num=16\ndisplay_aspect_den=9\ncolorspace=709\n"
    )
    frames = round(order.fade * film.rate)
    mixed = ["-mix", str(frames), "-mixer", "luma", "-mixer", "mix:-1"] if frames else []
    listed = [word for number, clip in enumerate(order.clips) for word in (clip, *(mixed if number else []))]
    # As many threads as it has processors decode and mix, and no frame is dropped.
    coded = [f"avformat:{order.film}", f"real_time=-{os.cpu_count()}", "vcodec=libx264", "pix_fmt=yuv420p", "threads=0"]
    coded += [f"preset={order.quality.preset}", f"crf={order.quality.crf}", "acodec=aac", "ab=192k", "ar=48000"]
    return [
        "env",
        "QT_QPA_PLATFORM=offscreen",
        "melt",
        "-silent",
        "-profile",
        str(profile),
        *listed,
        "-consumer",
        *coded,
    ]


def _cat(order: Order) -> list[str]:
    return ["sh", "-c", 'film=$1; shift; exec cat "$@" > "$film"', "sh", str(order.film), *order.clips]
