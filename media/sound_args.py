"""FFmpeg argument lists for the sound of a whole film: measuring it, and making it anew. Nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

from media.encoder import AUDIO_BITRATE_BPS, START_ARGS, file_url
from media.ffmpeg_limits import INPUT_LIMITS
from media.loudness import CEILING_DB, DUCKING_RATIO, Bed, Gain
from media.movie import Movie
from media.music_file import MUSIC_KINDS
from media.sample_entry import SoundEntry

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
#: Of a film whose clips have no sound.
_RATE_HZ, _CHANNELS = 48_000, 2
#: The music fades out over the last seconds, or over a quarter of a film that is shorter.
_FADE_OUT_SECONDS = Fraction(3)
#: How fast music makes room, and comes back: before a word is over, and slower than between two words.
_ATTACK_MS, _RELEASE_MS = 20, 600
#: Peaks between samples are seen at four times the usual rate.
_LIMITER_HZ = 192_000
#: The limiter looks so far ahead, and gives its sound so much later.
_LOOK_AHEAD_MS = 5
#: How far behind the film's end music is read.
_LATE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class FilmInput:
    """The finished film, and the music that goes with it."""

    #: With its sound; absolute. None where it has no sound of its own.
    path: Path | None
    #: Whether it has sound of its own.
    has_sound: bool
    rate_hz: int
    channel_count: int
    duration: Fraction
    music: Path | None = None

    @classmethod
    def of(cls, path: Path | None, movie: Movie, music: Path | None) -> FilmInput:
        """Describe a film."""
        entry = movie.sound.entry if movie.sound else None
        rate_hz, channels = _RATE_HZ, _CHANNELS
        if isinstance(entry, SoundEntry) and entry.channel_count in _LAYOUTS:
            rate_hz, channels = movie.sound.timescale if movie.sound else _RATE_HZ, entry.channel_count
        return cls(path, entry is not None, rate_hz, channels, movie.picture_duration, music)

    @property
    def sample_count(self) -> int:
        """Samples of sound for the whole of the picture."""
        return ceil(self.duration * self.rate_hz)


def measure_args(film: FilmInput, graph: str) -> list[str]:
    """Give the arguments that measure what a graph gives at `[mix]`; the log tells it."""
    # Two passes for one gain: what `loudnorm` would do by itself in a second pass is to compress where it must.
    measured = f"{graph};[mix]loudnorm=print_format=json[out]"
    return [*_start(film), "-filter_complex", measured, "-map", "[out]", "-loglevel", "info", "-f", "null", "-"]


def finish_args(film: FilmInput, graph: str, gain: Gain, output: Path) -> list[str]:
    """Give the arguments that write what a graph gives at `[mix]`, made louder, as the sound of an MP4.

    Its picture is one black frame, since what has no picture is no film; only its sound is used.
    """
    black = "color=black:size=16x16:rate=1:duration=1[black]"
    sound = finished_graph(film, graph, gain)
    args = [*_start(film), "-filter_complex", f"{sound};{black}", "-map", "[black]", "-map", "[mix]"]
    args += ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p"]
    args += ["-c:a", "aac", "-profile:a", "aac_low", "-b:a", str(AUDIO_BITRATE_BPS * film.channel_count)]
    return [*args, "-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4", file_url(output)]


def _start(film: FilmInput) -> list[str]:
    args = [*START_ARGS]
    if film.path is not None:
        args += [*INPUT_LIMITS, "-f", "mov", "-i", file_url(film.path)]
    if film.music is not None:
        # Read over and over, and no further than the film goes.
        length = f"{float(film.duration) + _LATE_SECONDS:.3f}"
        args += [*INPUT_LIMITS, "-format_whitelist", ",".join(MUSIC_KINDS)]
        args += ["-stream_loop", "-1", "-t", length, "-i", file_url(film.music)]
    return args


def finished_graph(film: FilmInput, graph: str, gain: Gain) -> str:
    """Give the graph whose `[mix]` is that of another, made louder and its peaks held down."""
    return f"{graph.removesuffix('[mix]')},{','.join(_steps(film, gain))}[mix]"


def own_graph(film: FilmInput) -> str:
    """Give the graph whose `[mix]` is the film's own sound."""
    return f"{_own(film)}[mix]"


def music_graph(film: FilmInput) -> str:
    """Give the graph whose `[mix]` is the music as it is, over the film's length."""
    return f"{_music(film)}[mix]"


def mix_graph(film: FilmInput, bed: Bed) -> str:
    """Give the graph whose `[mix]` is the film's sound over its music."""
    fade = min(_FADE_OUT_SECONDS, film.duration / 4)
    fading = f"afade=t=out:st={float(film.duration - fade):.3f}:d={float(fade):.3f}"
    music = f"{_music(film)},volume={bed.gain_db:.2f}dB,{fading}"
    if not film.has_sound:
        return f"{music}[mix]"
    times = f"attack={_ATTACK_MS}:release={_RELEASE_MS}"
    ducking = f"sidechaincompress=threshold={bed.threshold:.6f}:ratio={DUCKING_RATIO}:{times}"
    return (
        f"{_own(film)},asplit[heard][key];{music}[bed];[bed][key]{ducking}[ducked];"
        "[heard][ducked]amix=inputs=2:duration=first:dropout_transition=0:normalize=0[mix]"
    )


def _own(film: FilmInput) -> str:
    return f"[0:a:0]aresample=async=1:first_pts=0,{_format(film)},{_whole_length(film)}"


def _music(film: FilmInput) -> str:
    # Times are counted anew: they may jump where the file begins again.
    return f"[{int(film.path is not None)}:a:0]{_format(film)},asetpts=N/SR/TB,{_whole_length(film)}"


def _format(film: FilmInput) -> str:
    layout = _LAYOUTS[film.channel_count]
    return f"aformat=sample_fmts=fltp:sample_rates={film.rate_hz}:channel_layouts={layout}"


def _whole_length(film: FilmInput) -> str:
    return f"apad=whole_len={film.sample_count},atrim=end_sample={film.sample_count}"


def _steps(film: FilmInput, gain: Gain) -> list[str]:
    steps = [f"volume={gain.gain_db:.2f}dB"]
    if gain.limits_peaks:
        limit = 10 ** (CEILING_DB / 20)
        steps += [
            f"aresample={_LIMITER_HZ}",
            f"alimiter=limit={limit:.6f}:attack={_LOOK_AHEAD_MS}:release=50:level=disabled",
            f"atrim=start_sample={_LIMITER_HZ * _LOOK_AHEAD_MS // 1000}",
            "asetpts=PTS-STARTPTS",
            f"aresample={film.rate_hz}",
            _whole_length(film),
        ]
    return [*steps, _format(film)]
