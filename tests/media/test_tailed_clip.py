"""A clip of which the first frames are copied and the last ones encoded, whose sound is cut to both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from media.clean_cuts import CleanCuts
from media.clip_file import ClipFile, TailedClip
from media.conform import obstacles
from media.write import FilmPart, write_film
from tests.media.clips import ClipSpec, Tone, decode_sound, make_clip, read_frames

#: B-frames that others refer to.
VIDEO = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", "-crf", "20", "-pix_fmt", "yuv420p")

MakeFile = Callable[..., ClipFile]


@pytest.fixture(scope="module")
def make_file(tmp_path_factory: pytest.TempPathFactory) -> MakeFile:
    folder = tmp_path_factory.mktemp("tails")

    def make(number: int, frames: int, tone: Tone | None) -> ClipFile:
        path = folder / f"{number}-{frames}-{tone is None}.mp4"
        if not path.exists():
            make_clip(ClipSpec(number, frames, tone=tone, video=VIDEO), path)
        return ClipFile(path)

    return make


@pytest.mark.parametrize("tail_frames", [1, 2, 7])
@pytest.mark.parametrize("tone", [Tone(), None], ids=["sound", "silent"])
def test_a_clip_goes_on_with_its_tail_from_every_clean_cut(
    make_file: MakeFile, tmp_path: Path, tail_frames: int, tone: Tone | None
) -> None:
    clip, tail, then = make_file(1, 24, tone), make_file(2, tail_frames, None), make_file(3, 12, tone)
    cuts = CleanCuts(clip.movie.video, lambda _: False)

    for count in sorted({cuts.cut_before(frame) for frame in range(24 - tail_frames)}):
        tailed = TailedClip(clip, count, tail)
        film = tmp_path / f"film-{count}.mp4"
        report = write_film([FilmPart(tailed), FilmPart(then)], film)

        assert obstacles(tailed.movie) == []
        shown = [(1, i) for i in range(count)] + [(2, i) for i in range(tail_frames)]
        assert read_frames(film) == shown + [(3, i) for i in range(12)]
        assert [join.at_ms for join in report.joins] == [round(1000 * len(shown) / 24)]
        if tone:
            assert abs(len(decode_sound(film)) / 48000 - (len(shown) + 12) / 24) < 0.025


def test_bytes_of_a_tailed_clip_are_those_of_its_files(make_file: MakeFile) -> None:
    clip, tail = make_file(1, 24, Tone()), make_file(2, 2, None)
    tailed = TailedClip(clip, 0, tail)
    both = clip.path.read_bytes() + tail.path.read_bytes()

    assert tailed.size_bytes == len(both)
    for offset, length in ((0, 10), (clip.size_bytes - 5, 10), (len(both) - 3, 10)):
        assert tailed.read(offset, length) == both[offset : offset + length]
