"""Sixty small clips, no two alike: every frame says which it is, every clip flashes and beeps at once.

A picture is a grid of 7 x 4 cells: six bits of the clip, seven of the frame and six that check them, one cell that is
always dark and one that is always bright; the lowest row is the flash. The sound is one tone, whole waves of which fit
into a frame of the film, and a beep of 40 ms over it that begins with the flash.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILM_RATE = Fraction(24)
FILM_SIZE = (160, 96)
COLUMNS, ROWS = 7, 4
TONE_HZ, BEEP_HZ = 240, 4000
#: Seconds after the first shown frame; the beep's length.
FLASH_AT, FLASH_SECONDS, BEEP_SECONDS = Fraction(1, 2), Fraction(1, 8), 0.04
#: How late sound begins that begins late, and how early it ends that ends early, in seconds.
LATE_SECONDS, SHORT_SECONDS = 0.3, 0.2
_DARK, _BRIGHT = 48, 208

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Look:
    """What is odd about a clip's picture."""

    name: str
    rate: Fraction = FILM_RATE
    #: As stored; a turned clip is shown with its sides changed.
    size: tuple[int, int] = FILM_SIZE
    #: Degrees clockwise that a player turns it by.
    turned: int = 0
    #: Width of its pixels for a height of 1.
    pixel_aspect: Fraction = Fraction(1)
    coded: tuple[str, ...] = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12", "-crf", "12")
    pixels: str = "yuv420p"
    suffix: str = "mp4"
    #: Frames that an edit list hides before the first that is shown.
    hidden: int = 0
    #: Whether every fifth frame is shown for three intervals.
    varies: bool = False
    #: For containers that do not take AAC, or that one would not expect it in.
    sound_codec: tuple[str, ...] = ("-c:a", "aac", "-b:a", "192k")
    muxed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hearing:
    """What is odd about a clip's sound."""

    name: str
    rate_hz: int = 48000
    channels: int = 2
    late: float = 0
    short: float = 0


def _tagged(transfer: str) -> tuple[str, ...]:
    return ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer, "-color_range", "tv")


def _x264(*more: str, params: str = "") -> tuple[str, ...]:
    extra = ("-x264-params", params) if params else ()
    return ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12", "-crf", "10", *more, *extra)


def _x265(params: str = "") -> tuple[str, ...]:
    said = f"log-level=none:pools=none:frame-threads=1{params}"
    return ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "8", "-tag:v", "hvc1", "-x265-params", said)


_HDR = "colorprim=bt2020:transfer={}:colormatrix=bt2020nc"
OWN = Look("the film's own")
HEARD = Hearing("48 kHz stereo")
ODD_LOOKS = (
    Look("23.976 fps", Fraction(24000, 1001)),
    Look("25 fps", Fraction(25)),
    Look("29.97 fps", Fraction(30000, 1001), size=(128, 72)),
    Look("30 fps", Fraction(30), size=(200, 120)),
    Look("60 fps", Fraction(60)),
    Look("variable frame rate", Fraction(30), varies=True),
    Look("turned by 90", size=(96, 160), turned=90),
    Look("turned by 180", turned=180),
    Look("turned by 270", size=(96, 160), turned=270),
    Look("odd sides", size=(97, 55), coded=_x264(), pixels="yuv444p"),
    Look("HEVC", coded=_x265()),
    # No filter says its colours, so that FFmpeg writes them nowhere but into the stream.
    Look("HEVC, 10 bit, PQ in the stream", coded=_x265(":" + _HDR.format("smpte2084")), pixels="yuv420p10le"),
    Look("H.264, 10 bit", coded=_x264("-profile:v", "high10"), pixels="yuv420p10le"),
    Look(
        "H.264, 10 bit, HLG",
        coded=_x264("-profile:v", "high10", *_tagged("arib-std-b67"), params=_HDR.format("arib-std-b67")),
        pixels="yuv420p10le",
    ),
    Look("portrait", size=(54, 96)),
    Look("square", size=(96, 96)),
    Look("pixels that are not square", size=(80, 96), pixel_aspect=Fraction(2)),
    Look("an edit list", hidden=18),
    Look(
        "VP9 and Opus",
        coded=("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M"),
        suffix="webm",
        sound_codec=("-c:a", "libopus"),
    ),
    Look("a transport stream", suffix="ts"),
    Look("QuickTime with PCM", suffix="mov", sound_codec=("-c:a", "pcm_s16le")),
    Look("MPEG-4 and MP3", coded=("-c:v", "mpeg4", "-q:v", "2"), sound_codec=("-c:a", "libmp3lame")),
    Look("Matroska", suffix="mkv"),
    Look("fragments", muxed=("-movflags", "frag_keyframe+empty_moov+default_base_moof")),
)
HEARINGS = (
    HEARD,
    Hearing("44.1 kHz stereo", rate_hz=44100),
    Hearing("44.1 kHz mono", rate_hz=44100, channels=1),
    Hearing("5.1", channels=6),
    Hearing("none", channels=0),
    Hearing("late", late=LATE_SECONDS),
    Hearing("short", short=SHORT_SECONDS),
)


@dataclass(frozen=True)
class Clip:
    """One clip to be made."""

    number: int
    look: Look
    hearing: Hearing
    #: Frames that are shown.
    count: int

    @property
    def times(self) -> list[Fraction]:
        """Give when each shown frame is, in seconds from the first, and behind the last its end."""
        ticks = [n + 2 * (n // 5) for n in range(self.count)] if self.look.varies else range(self.count)
        return [tick / self.look.rate for tick in (*ticks, ticks[-1] + 1)]

    @property
    def seconds(self) -> Fraction:
        """How long it is shown."""
        return self.times[-1]

    @property
    def flash_frame(self) -> int:
        """The first of its frames that flashes."""
        return next(n for n, at in enumerate(self.times) if at >= FLASH_AT)

    @property
    def beep_at(self) -> Fraction:
        """Seconds from its first frame to its beep."""
        return self.times[self.flash_frame]

    @property
    def shape(self) -> Fraction:
        """Width by height, as shown."""
        width, height = self.look.size
        shape = Fraction(width, height) * self.look.pixel_aspect
        return 1 / shape if self.look.turned in (90, 270) else shape


def sixty_clips() -> list[Clip]:
    """Give clips among which every kind of sound follows every kind, and every look is there twice or more."""
    clips, odd = [], cycle(ODD_LOOKS)
    for number, hearing in enumerate(every_pair(HEARINGS)[:60]):
        is_own = number % 6 == 0 or (hearing is HEARD and number % 4 == 0)
        look = OWN if is_own else next(odd)
        seconds = Fraction(3, 4) + Fraction(number * 7 % 12, 40)
        count = round(seconds * look.rate * (Fraction(5, 7) if look.varies else 1))
        clips.append(Clip(number, look, hearing, count))
    return clips


def every_pair(kinds: Sequence[Hearing]) -> list[Hearing]:
    """Give a row in which every kind stands behind every kind, itself too; begun again where it ends."""
    row, seen = [0], set[tuple[int, int]]()
    while len(row) <= len(kinds) ** 2:
        # The largest first never runs into a dead end: a de Bruijn sequence.
        following = next(n for n in reversed(range(len(kinds))) if (row[-1], n) not in seen)
        seen.add((row[-1], following))
        row.append(following)
    return [kinds[n] for n in (*row, *row[1:])]


def make(clip: Clip, folder: Path, ffmpeg: str) -> Path:
    """Encode a clip."""
    look, output = clip.look, folder / f"clip{clip.number:02}.{clip.look.suffix}"
    first, total = -look.hidden, clip.count + look.hidden
    raw, wave = folder / f"{clip.number}.yuv", folder / f"{clip.number}.pcm"
    raw.write_bytes(b"".join(_picture(clip, frame) for frame in range(first, first + total)))
    width, height = look.size
    args = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", str(look.rate), "-i", str(raw)]
    if clip.hearing.channels:
        args += _wave_args(clip, wave)
    shown = f"setsar={look.pixel_aspect.numerator}/{look.pixel_aspect.denominator}"
    if look.varies:
        shown += f",setpts='(N+2*floor(N/5))/({look.rate})/TB'"
    shown += f",format={look.pixels}"
    if "-color_trc" in look.coded:
        # Only what the filters say gets into the header of every kind of file.
        transfer = look.coded[look.coded.index("-color_trc") + 1]
        shown += f",setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    args += ["-vf", shown, *look.coded, "-threads", "1"]
    args += ["-fps_mode", "passthrough"] if look.varies else []
    args += look.sound_codec if clip.hearing.channels else []
    _run(ffmpeg, *args, *look.muxed, str(output))
    _change_index(clip, output, ffmpeg)
    raw.unlink()
    wave.unlink(missing_ok=True)
    return output


def _wave_args(clip: Clip, wave: Path) -> list[str]:
    hearing = clip.hearing
    wave.write_bytes(_samples(clip).tobytes())
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[hearing.channels]
    return ["-f", "f32le", "-ar", str(hearing.rate_hz), "-channel_layout", layout, "-i", str(wave)]


def _change_index(clip: Clip, output: Path, ffmpeg: str) -> None:
    """Turn a clip, hide its start, or delay its sound, which FFmpeg does where it only copies."""
    look, late = clip.look, clip.hearing.late
    if not (look.turned or look.hidden or late):
        return
    plain = output.replace(output.with_stem(f"{output.stem}-plain"))
    before = ["-ss", str(float(look.hidden / look.rate))] if look.hidden else []
    turned = ["-display_rotation", str(-look.turned)] if look.turned else []
    args = [*before, *turned, "-i", str(plain)]
    if late:
        args += [*before, "-itsoffset", str(late), "-i", str(plain), "-map", "0:v", "-map", "1:a"]
    _run(ffmpeg, *args, "-c", "copy", *look.muxed, str(output))
    plain.unlink()


def _run(ffmpeg: str, *args: str) -> None:
    done = subprocess.run([ffmpeg, "-nostdin", "-v", "error", "-y", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _samples(clip: Clip) -> npt.NDArray[np.float32]:
    """Give the sound from where it begins, all channels alike but for the deep one, which is silent."""
    hearing, look = clip.hearing, clip.look
    hidden = float(look.hidden / look.rate)
    start, end = hearing.late - hidden, float(clip.seconds) - hearing.short
    at = start + np.arange(round((end - start) * hearing.rate_hz)) / hearing.rate_hz
    mono = 0.2 * np.sin(2 * np.pi * TONE_HZ * at)
    beep = float(clip.beep_at)
    mono += np.where((at >= beep) & (at < beep + BEEP_SECONDS), 0.2 * np.sin(2 * np.pi * BEEP_HZ * at), 0)
    loud = [0.0 if hearing.channels == 6 and channel == 3 else 1.0 for channel in range(hearing.channels)]
    return np.outer(mono, loud).astype(np.float32)


def _picture(clip: Clip, frame: int) -> bytes:
    cells = np.full((ROWS, COLUMNS), _DARK, np.uint8)
    code = code_of(clip.number, frame % 128)
    cells.reshape(-1)[: len(code)] = [_BRIGHT if bit else _DARK for bit in code]
    is_flash = frame >= 0 and clip.beep_at <= clip.times[min(frame, clip.count)] < clip.beep_at + FLASH_SECONDS
    cells[ROWS - 1] = _BRIGHT if is_flash else _DARK
    width, height = clip.look.size if clip.look.turned in (0, 180) else clip.look.size[::-1]
    rows, columns = np.arange(height) * ROWS // height, np.arange(width) * COLUMNS // width
    upright = cells[rows][:, columns]
    # Turned the other way than a player turns it.
    return np.ascontiguousarray(np.rot90(upright, clip.look.turned // 90)).tobytes()


def code_of(clip: int, frame: int) -> list[bool]:
    """Give the cells of the upper rows that are bright."""
    number = clip << 7 | frame
    check = (number * 0x9E5 >> 5 ^ number) & 63
    return [bool(number >> bit & 1) for bit in range(13)] + [bool(check >> bit & 1) for bit in range(6)] + [False, True]


def read_code(luma: Picture, shape: Fraction) -> tuple[int, int, bool] | None:
    """Give (clip, frame, whether it flashes) of a picture that lies in the middle of another; None where none is."""
    height, width = luma.shape
    scale = min(width / shape, Fraction(height))
    inner_width, inner_height = float(shape * scale), float(scale)
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    cells = np.empty((ROWS, COLUMNS))
    for row in range(ROWS):
        for column in range(COLUMNS):
            y, x = top + (row + 0.5) / ROWS * inner_height, left + (column + 0.5) / COLUMNS * inner_width
            cells[row, column] = luma[round(y) - 2 : round(y) + 2, round(x) - 1 : round(x) + 1].mean()
    code = cells.reshape(-1)[: 3 * COLUMNS]
    middle = (code[-2] + code[-1]) / 2
    bits = [bool(cell > middle) for cell in code]
    number = sum(bit << place for place, bit in enumerate(bits[:13]))
    found = divmod(number, 128)
    return (*found, bool(cells[ROWS - 1].mean() > middle)) if code_of(*found) == bits else None
