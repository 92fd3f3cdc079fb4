"""Clips whose index looks even and is not: frames come in even turns to the decoder, and late to the viewer."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.probe import probe
from media.reader import FileReader
from tests.gpu_job.bench import Bench
from tests.media.clips import ClipSpec, make_clip, read_frames, run_ffmpeg

#: Each fifth frame is shown for three turns.
LATE = "setpts='(N+2*floor(N/5))/12/TB'"
CODED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "6", "-bf", "2", "-pix_fmt", "yuv420p")


def uneven(folder: Path, frames: int, *muxer: str) -> Path:
    plain = make_clip(ClipSpec(3, frames=frames, fps="12", video=CODED, tone=None), folder / "plain.mp4")
    path = folder / "uneven.mp4"
    run_ffmpeg(["-i", str(plain), "-vf", LATE, "-fps_mode", "passthrough", *CODED, *muxer, str(path)])
    return path


@pytest.mark.parametrize(("frames", "shown"), [(6, 8), (7, 9), (8, 10), (11, 15)])
@pytest.mark.parametrize("muxer", [(), ("-use_editlist", "0")], ids=["edits", "no edits"])
def test_no_frame_is_lost_of_a_clip_that_shows_one_longer(
    bench: Bench, tmp_path: Path, frames: int, shown: int, muxer: tuple[str, ...]
) -> None:
    own = make_clip(ClipSpec(1, frames=12, fps="12", video=CODED, tone=None), tmp_path / "own.mp4")
    late = uneven(tmp_path, frames, *muxer)

    report = bench.stitch(bench.plan(own, late))

    assert report.encoded_clips == [1]
    turns = [frame + 2 * (frame // 5) for frame in range(frames)]
    due = [max(frame for frame in range(frames) if turns[frame] <= n) for n in range(shown)]
    assert read_frames(bench.film)[12:] == [(3, frame) for frame in due]


def test_a_clip_that_shows_a_frame_longer_has_no_rate(tmp_path: Path) -> None:
    path = uneven(tmp_path, 6)

    with FileReader(path) as reader:
        facts = probe(reader, path.name)

    assert (facts.frame_rate, facts.conform["frameRate"], facts.frame_count) == (None, "variable", 6)
    assert facts.duration_ms in (666, 667)  # as exact as the clock of its index
    assert facts.obstacles == ["two of its frames are shown at the same time, or one too late"]
