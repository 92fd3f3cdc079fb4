"""The embedded stitcher shows only so much of a clip as its plan keeps."""

from __future__ import annotations

from pathlib import Path

from events.clip import StitchReport
from media.mp4_index import read_movie
from media.reader import BytesReader
from media.trim import nearest_cut
from tests.contract import local_rigs
from tests.contract.test_stitcher import make, plan_of
from tests.media.clips import read_frames


def test_a_clip_of_which_less_is_kept_is_cut_without_encoding(tmp_path: Path) -> None:
    for rig in local_rigs.stitcher(tmp_path):
        plan = plan_of(rig)
        trimmed = plan.clips[0].model_copy(update={"keep_ms": 250})
        plan = plan.model_copy(update={"clips": [trimmed, plan.clips[1]]})

        make(rig, plan)

        count = nearest_cut(read_movie(BytesReader(rig.objects.read(trimmed.uri)), "clip").video, 250).frame_count
        (tmp_path / "film.mp4").write_bytes(rig.objects.read(plan.output_uri))
        shown = read_frames(tmp_path / "film.mp4")
        report = StitchReport.from_json(rig.objects.read(plan.report_uri))
        assert shown == [(1, i) for i in range(count)] + [(2, i) for i in range(12)]
        assert 1 <= count < 12
        assert (report.frame_count, report.encoded_clips) == (len(shown), [])
