"""A fade that cannot be rendered names the clip that is broken, so that the job can go on without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from events.plan import Transition
from gpu_job.tasks import ClipFailed
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import barcodes

MakeClip = Callable[..., Path]
FADE = {"transition": Transition.CROSSFADE, "transition_ms": 250}


def damaged(clip: Path, folder: Path, kind: str, frames: slice) -> Path:
    """Copy a clip and overwrite some of its packets of one kind; its index stays as it is."""
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as opened:
        stream = next(stream for stream in opened.streams if stream.type == kind)
        packets = [packet for packet in opened.demux(stream) if packet.size]
        for packet in packets[frames]:
            assert packet.pos is not None
            data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path = folder / f"damaged-{clip.name}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("broken", "kind", "where"),
    [
        (1, "video", slice(-12, None)),
        (1, "video", slice(0, 12)),
        (0, "video", slice(-12, None)),
        (2, "audio", slice(0, 20)),
    ],
    ids=["near-its-end", "at-its-start", "the-first-one", "its-sound"],
)
def test_the_clip_that_is_broken_where_it_fades_is_named(
    bench: Bench, make_clip: MakeClip, tmp_path: Path, broken: int, kind: str, where: slice
) -> None:
    clips = [make_clip(number, frames=48) for number in range(3)]
    clips[broken] = damaged(clips[broken], tmp_path, kind, where)

    with pytest.raises(ClipFailed, match=rf"^decode clip {10 * broken + 1} \(gs://.* where it fades") as failed:
        bench.stitch(bench.plan(*clips, **FADE))

    assert failed.value.segment_index == 10 * broken
    assert failed.value.error.code == "bad_media"


def test_the_film_is_made_without_the_clip_that_was_named(bench: Bench, make_clip: MakeClip, tmp_path: Path) -> None:
    clips = [make_clip(number, frames=48) for number in range(3)]
    plan = bench.plan(clips[0], damaged(clips[1], tmp_path, "video", slice(-12, None)), clips[2], **FADE)
    with pytest.raises(ClipFailed) as failed:
        bench.stitch(plan)

    left = [clip for clip in plan.clips if clip.segment_index != failed.value.segment_index]
    report = bench.stitch(plan.model_copy(update={"clips": left, "attempt": 2}))

    assert report is not None
    assert report.frame_count == 2 * 48 - 6
    assert {code.clip for code in barcodes(bench.film)[:40]} == {0}
