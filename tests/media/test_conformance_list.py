"""Two clips are joined without encoding only if all that matters is equal: one item after the other.

Each item is a clip that differs from the film's other two in it alone, as far as files can. It must not be spliced,
the film must be right nevertheless, and what conforms must not be touched for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from events.errors import BadMedia, StitchFailed
from events.plan import Fit
from gpu_job.ffmpeg import FFmpeg
from media.conform import can_join, conform, obstacles
from media.mp4_index import read_movie
from media.probe import probe
from media.reader import FileReader
from media.splice import Source, splice
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import video_packets
from tests.media.clips import ClipSpec, Tone, make_clip, read_frames, run_ffmpeg

#: With its colours said, so that they can differ.
_TAG = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
_TAGS = ("-vf", _TAG)
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "14", "-g", "6", "-bf", "2", "-pix_fmt", "yuv420p", *_TAGS)
#: Told in the parameter sets alone, since no filter says it; they could live together with the others.
_PQ = "sps-id=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
BASE = ClipSpec(1, frames=12, video=X264)
ODD = replace(BASE, number=2)

Change = Callable[[Path, Path], None]


def with_args(*args: str, before: tuple[str, ...] = ()) -> Change:
    """Give what copies a clip with more of FFmpeg's options."""
    return lambda plain, output: void(run_ffmpeg([*before, "-i", str(plain), "-c", "copy", *args, str(output)]))


def with_bytes(old: bytes, new: bytes) -> Change:
    """Give what changes some bytes of a clip's index."""

    def change(plain: Path, output: Path) -> None:
        content = plain.read_bytes()
        assert content.count(old) == 1, content.count(old)
        output.write_bytes(content.replace(old, new))

    return change


def void(_: object) -> None:
    """Give nothing."""


@dataclass(frozen=True)
class Item:
    """One thing in which a clip may differ."""

    spec: ClipSpec = ODD
    change: Change | None = None
    #: Whether only its sound is made anew.
    is_sound: bool = False
    #: What is said of it, in part.
    said: str = ""


def coded(*more: str) -> ClipSpec:
    return replace(ODD, video=(*X264, *more))


def sounding(**tone: object) -> ClipSpec:
    return replace(ODD, tone=Tone(**tone))  # type: ignore[arg-type] # the fields of Tone are named by the items


def fixed(number: int) -> bytes:
    return (number << 16).to_bytes(4, "big")


HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "8", "-x265-params", "log-level=none:pools=none", *_TAGS)
ITEMS = {
    "codec": Item(replace(ODD, video=(*HEVC, "-tag:v", "hvc1")), said="video: hvc1 instead of avc1"),
    "sample entry": Item(change=with_bytes(b"avc1\0\0\0\0\0\0", b"avc3\0\0\0\0\0\0"), said="video: avc3"),
    "profile": Item(coded("-profile:v", "main"), said="profile: Main instead of High"),
    "level": Item(coded("-level", "4.2"), said="sequence parameter sets: different"),
    "picture parameter sets": Item(coded("-coder", "0"), said="picture parameter sets: different"),
    "sequence parameter sets": Item(coded("-refs", "5"), said="sequence parameter sets: different"),
    "bit depth": Item(coded("-pix_fmt", "yuv420p10le", "-profile:v", "high10"), said="bit depth: not the same"),
    "size": Item(replace(ODD, size=(320, 192)), said="size: 320x192 instead of 160x96"),
    "shape of pixels": Item(coded("-vf", f"{_TAG},setsar=4/3"), said="pixelAspect: 4:3 instead of 1:1"),
    "colours": Item(
        change=with_bytes(b"nclx\0\1\0\1\0\1", b"nclx\0\5\0\6\0\6"), said="color: 5/6/6 tv instead of 1/1/1"
    ),
    "colours in the stream": Item(
        replace(ODD, video=(*X264[: -len(_TAGS)], "-x264-params", _PQ)), said="color: 9/16/9 tv instead of 1/1/1"
    ),
    "display size": Item(
        change=with_bytes(fixed(16384) + fixed(160) + fixed(96), fixed(16384) + fixed(200) + fixed(96)),
        said="display: 200x96 instead of 160x96",
    ),
    "rotation": Item(change=with_args(before=("-display_rotation", "180")), said="rotation: 180 instead of 0"),
    "frame rate": Item(replace(ODD, fps="30"), said="frameRate: 30/1 instead of 24/1"),
    "frame rate that varies": Item(
        coded("-vf", f"{_TAG},setpts='(N+floor(N/4))/24/TB'", "-fps_mode", "passthrough"), said="its frame rate varies"
    ),
    "order of pictures": Item(coded("-bf", "0"), said="reorder: 0 frames instead of"),
    "codec of the sound": Item(sounding(encoder=("-c:a", "libmp3lame")), is_sound=True, said="sound: mp3"),
    "sample rate": Item(sounding(rate_hz=44100), is_sound=True, said="sound: AAC-LC 44100 Hz"),
    "channels": Item(sounding(channels=1), is_sound=True, said="48000 Hz 1 ch"),
    "no sound": Item(replace(ODD, tone=None), is_sound=True, said="sound: none"),
    "sound that ends early": Item(sounding(longer=-0.2), is_sound=True, said="shorter than its picture"),
    "sound that ends late": Item(sounding(longer=0.3), is_sound=True, said="longer than its picture"),
    "sound that begins late": Item(sounding(late=0.3), is_sound=True, said="its sound starts"),
    "two pictures": Item(change=with_args("-map", "0:v", "-map", "0:v", "-map", "0:a"), said="2 video tracks"),
    "two sounds": Item(change=with_args("-map", "0:v", "-map", "0:a", "-map", "0:a"), is_sound=True, said="2 sound"),
    "first frame": Item(
        change=with_bytes(b"stss\0\0\0\0\0\0\0\2\0\0\0\1", b"stss\0\0\0\0\0\0\0\2\0\0\0\2"), said="sync"
    ),
    "edit list": Item(change=with_args(before=("-ss", "0.125")), said="its edit list hides"),
    "fragments": Item(
        change=with_args("-movflags", "frag_keyframe+delay_moov+default_base_moof"), said="spread over the file"
    ),
}
#: What is shown of the odd clip: its first frame, and how far its numbers are apart, where that is not all.
SHOWN = {
    "frame rate": [0, 1, 3, 4, 5, 6, 8, 9, 10, 11],
    "frame rate that varies": [0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11],
    "edit list": list(range(3, 12)),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(BASE, tmp_path_factory.mktemp("base") / "base.mp4")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield (made := Bench(tmp_path, FFmpeg(Path(imageio_ffmpeg.get_ffmpeg_exe()))))
    assert made.leftovers() == []


def made(item: Item, folder: Path) -> Path:
    plain = make_clip(item.spec, folder / "plain.mp4")
    if item.change is None:
        return plain
    item.change(plain, folder / "odd.mp4")
    return folder / "odd.mp4"


@pytest.mark.parametrize("name", ITEMS)
def test_a_clip_that_differs_in_one_thing_is_not_spliced_and_the_film_is_right(
    name: str, base: Path, bench: Bench, tmp_path: Path
) -> None:
    item, odd = ITEMS[name], made(ITEMS[name], tmp_path)

    with FileReader(base) as first, FileReader(odd) as second:
        expected, movie = read_movie(first, "base"), read_movie(second, "odd")
        said = obstacles(movie) + ([] if movie.is_fragmented else can_join(conform(expected), conform(movie)))
        assert any(item.said in reason for reason in said), said
        with pytest.raises(StitchFailed):
            splice([Source(expected), Source(movie)])
    report = bench.stitch(bench.plan(base, odd, base, fit=Fit.PAD))

    assert report.encoded_clips == ([] if item.is_sound else [1])
    own = [(1, n) for n in range(12)]
    shown = read_frames(bench.film)
    middle = [(2, n) for n in SHOWN.get(name, range(12))]
    if name == "rotation":
        middle = [turned(*frame) for frame in middle]
    assert shown == [*own, *middle, *own]
    packets = video_packets(bench.film)
    assert packets[:12] == packets[-12:] == video_packets(base)
    assert all(abs(join.skew_us or 0) <= 21_300 for join in report.joins)


def turned(clip: int, frame: int) -> tuple[int, int]:
    """Give what a barcode says upside down."""
    number = int(f"{clip << 10 | frame:016b}"[::-1], 2)
    return number >> 10, number & 1023


def test_bitrates_and_clocks_that_differ_are_no_obstacle(base: Path, bench: Bench, tmp_path: Path) -> None:
    other, slow = make_clip(replace(ODD, tone=Tone(frequency_hz=3000)), tmp_path / "other.mp4"), tmp_path / "slow.mp4"
    with_args("-video_track_timescale", "24000")(other, slow)
    boxes = [path.read_bytes().partition(b"btrt")[2][:12] for path in (base, slow)]
    assert boxes[0] != boxes[1]

    report = bench.stitch(bench.plan(base, slow))

    assert (bench.program_calls, report.encoded_clips, report.warnings) == (0, [], [])
    assert read_frames(bench.film) == [(clip, n) for clip in (1, 2) for n in range(12)]


@pytest.mark.parametrize("flags", [(), ("-movflags", "+faststart")], ids=["index behind", "index in front"])
def test_only_headers_are_read_however_large_the_clip_is(tmp_path: Path, flags: tuple[str, ...]) -> None:
    found = []
    for seconds in (1, 6):
        path = tmp_path / f"large{seconds}.mp4"
        noise = f"nullsrc=size=320x192:rate=24:duration={seconds},geq=lum='random(1)*255':cb=128:cr=128"
        sound = ["-f", "lavfi", "-i", f"sine=duration={seconds}", "-c:a", "aac"]
        run_ffmpeg(["-f", "lavfi", "-i", noise, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "4",
                    "-pix_fmt", "yuv420p", *flags, str(path)])  # fmt: skip
        with FileReader(path) as inner:
            reader = Counting(inner)
            probe(reader, path.name)
        found.append((reader.size_bytes, reader.read_bytes, reader.read_count))

    (_, small, _), (size_bytes, large, count) = found
    assert size_bytes > 5_000_000
    assert large < 200_000
    assert large - small < 20_000
    assert count <= 4


class Counting:
    """Counts what is read."""

    def __init__(self, inner: FileReader) -> None:
        self._inner = inner
        self.size_bytes = inner.size_bytes
        self.read_bytes = self.read_count = 0

    def read(self, offset: int, length: int) -> bytes:
        data = self._inner.read(offset, length)
        self.read_bytes += len(data)
        self.read_count += 1
        return data


def test_a_file_whose_media_is_cut_short_is_refused_by_its_headers(base: Path, tmp_path: Path) -> None:
    front, cut = tmp_path / "front.mp4", tmp_path / "cut.mp4"
    with_args("-movflags", "+faststart")(base, front)
    cut.write_bytes(front.read_bytes()[:-100])

    with FileReader(cut) as reader, pytest.raises(BadMedia, match="ends"):
        probe(reader, "cut.mp4")
