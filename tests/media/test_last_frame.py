"""The last frame of a clip is the very last one that a viewer sees, whatever the clip is like."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from events.errors import BadMedia
from media.last_frame import last_frame_png
from media.reader import FileReader
from media.write import splice_files
from tests.gpu_job import mixed_clips
from tests.gpu_job.mixed_clips import HEARD, ODD_LOOKS, OWN, Clip, Look, read_code
from tests.media.clips import FFMPEG, ClipSpec, Tone, make_clip, run_ffmpeg

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")


def take(path: Path) -> bytes:
    with FileReader(path) as reader:
        return last_frame_png(reader, path.name)


def rgb(source: io.BytesIO | str) -> list[bytes]:
    with av.open(source) as opened:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in opened.decode(video=0)]


def is_a_frame_or_refused(path: Path) -> bool:
    """Tell whether the outcome is one picture, or a refusal that names the clip."""
    try:
        png = take(path)
    except BadMedia as exc:
        return path.name in exc.message
    return len(rgb(io.BytesIO(png))) == 1


@dataclass
class CountingReader:
    """Counts the bytes that are read of a clip."""

    content: bytes
    read_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        data = self.content[offset : offset + length]
        self.read_bytes += len(data)
        return data


SPECS = {
    "h264 with B-frames": ClipSpec(1, frames=30, tone=None, video=(*X264, "-g", "12", "-bf", "3")),
    "an open GOP": ClipSpec(
        2, frames=30, tone=None, video=(*X264, "-g", "12", "-bf", "3", "-x264-params", "open-gop=1")
    ),
    "one single GOP": ClipSpec(3, frames=30, tone=None, video=(*X264, "-g", "300", "-bf", "3")),
    "key frames only": ClipSpec(4, frames=10, tone=None, video=(*X264, "-g", "1")),
    "a key frame at the very end": ClipSpec(5, frames=25, tone=None, video=(*X264, "-g", "12", "-bf", "0")),
    "a single frame": ClipSpec(6, frames=1, tone=None),
    "sound that goes on longer": ClipSpec(7, frames=24, tone=Tone(longer=0.5)),
    "sound that ends sooner": ClipSpec(8, frames=24, tone=Tone(longer=-0.3)),
    "a frame rate of television": ClipSpec(9, frames=30, fps="30000/1001", tone=None),
    "a fragmented file": ClipSpec(10, frames=30, tone=None, muxer=("-movflags", "frag_keyframe+empty_moov")),
    "the index in front": ClipSpec(11, frames=30, tone=None, muxer=("-movflags", "+faststart")),
    "a QuickTime file": ClipSpec(12, frames=30, suffix=".mov"),
    "Matroska": ClipSpec(13, frames=30, suffix=".mkv"),
    "a transport stream": ClipSpec(14, frames=30, suffix=".ts"),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_it_is_pixel_for_pixel_the_last_frame_that_a_decoder_gives(
    clip: Callable[[ClipSpec], Path], spec: ClipSpec
) -> None:
    path = clip(spec)
    frames = rgb(str(path))

    png = take(path)

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    (picture,) = rgb(io.BytesIO(png))
    assert picture == frames[-1]
    assert len(frames) == 1 or picture != frames[0]


@pytest.mark.parametrize("look", [OWN, *ODD_LOOKS], ids=lambda look: look.name)
def test_the_last_frame_of_every_kind_of_clip_is_the_one_that_a_decoder_shows_last(look: Look, tmp_path: Path) -> None:
    clip = Clip(3, look, HEARD, count=37)
    path = mixed_clips.make(clip, tmp_path, FFMPEG)
    with av.open(str(path)) as opened:
        *_, shown = (frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0))

    with av.open(io.BytesIO(take(path))) as opened:
        (frame,) = opened.decode(video=0)
        picture, luma = frame.to_ndarray(format="rgb24"), frame.to_ndarray(format="gray")

    # Turned clockwise as a player turns it; not a value is changed.
    assert np.array_equal(picture, np.rot90(shown, -look.turned // 90))
    assert (read_code(luma, Fraction(luma.shape[1], luma.shape[0])) or ())[:2] == (3, 36)


@pytest.mark.parametrize("keep_ms", [1, 300, 500, 510, 979, 1000, 2000])
@pytest.mark.parametrize("kind", ["h264 with B-frames", "one single GOP", "an open GOP"])
def test_of_a_clip_that_is_kept_in_part_it_is_the_frame_with_which_the_film_leaves_it(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, kind: str, keep_ms: int
) -> None:
    path, film = clip(SPECS[kind]), tmp_path / "film.mp4"
    splice_files([path], film, keep_ms=[keep_ms])

    with FileReader(path) as reader:
        png = last_frame_png(reader, path.name, keep_ms)

    assert rgb(io.BytesIO(png)) == rgb(str(film))[-1:]


def test_the_same_clip_always_gives_the_same_bytes(clip: Callable[[ClipSpec], Path]) -> None:
    path = clip(SPECS["h264 with B-frames"])

    assert take(path) == take(path)


def test_frames_that_an_edit_list_hides_are_not_the_last(clip: Callable[[ClipSpec], Path], tmp_path: Path) -> None:
    whole, cut = clip(ClipSpec(20, frames=48, tone=None, video=(*X264, "-g", "48", "-bf", "0"))), tmp_path / "cut.mp4"
    run_ffmpeg(["-ss", "0.5", "-i", str(whole), "-c", "copy", str(cut)])
    shown = rgb(str(cut))

    assert rgb(io.BytesIO(take(cut))) == shown[-1:]


def test_a_picture_with_an_alpha_or_ten_bits_becomes_eight_bits_of_colour(tmp_path: Path) -> None:
    video = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p10le")
    path = make_clip(ClipSpec(21, frames=4, tone=None, video=video), tmp_path / "ten.mp4")

    with av.open(io.BytesIO(take(path))) as opened:
        (frame,) = opened.decode(video=0)

    assert frame.format.name == "rgb24"


def test_only_the_end_of_a_long_clip_is_read(tmp_path: Path) -> None:
    noisy = ["-f", "lavfi", "-i", "nullsrc=s=160x96:r=24,geq=random(1)*255:128:128", "-frames:v", "240"]
    path = tmp_path / "long.mp4"
    run_ffmpeg([*noisy, *X264, "-g", "12", "-movflags", "+faststart", str(path)])
    reader = CountingReader(path.read_bytes())

    png = last_frame_png(reader, "long.mp4")

    assert rgb(io.BytesIO(png)) == rgb(str(path))[-1:]
    assert reader.read_bytes < reader.size_bytes / 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a video"),
        (b"\x89PNG\r\n\x1a\n and more", "PNG"),
        (b"hello, this is a text\n" * 50, "not a video"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(4096), "cannot be decoded"),
    ],
)
def test_what_is_no_video_is_refused_by_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)

    with pytest.raises(BadMedia, match=said) as refused:
        take(path)

    assert refused.value.message.startswith("take the last frame of clip.mp4: ")


def test_a_clip_of_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=0.5", "-c:a", "aac", str(path)])

    with pytest.raises(BadMedia, match=r"sound\.mp4"):
        take(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_clip_gives_its_last_whole_frame_or_is_refused(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, share: float
) -> None:
    whole = clip(SPECS["the index in front"]).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: int(len(whole) * share)])

    assert is_a_frame_or_refused(path)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_clip_never_ends_in_anything_but_a_frame_or_bad_media(
    clip: Callable[[ClipSpec], Path], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    content = bytearray(clip(SPECS["h264 with B-frames"]).read_bytes())
    for _ in range(40):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)

    assert is_a_frame_or_refused(path)
