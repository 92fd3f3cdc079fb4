"""What telephones record in high dynamic range looks, in a film of the standard range, as it was meant to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media.probe import probe
from media.reader import FileReader
from tests.gpu_job.bench import Bench, run
from tests.gpu_job.film_reading import decode, planes

MakeClip = Callable[..., Path]

#: Black, a dark grey, middle grey, the white of paper (203 cd/m2), a light: as ten bits of narrow range.
#: Source: ITU-R BT.2100 and BT.2408.
STEPS = {"smpte2084": (64, 250, 400, 573, 720), "arib-std-b67": (64, 230, 400, 721, 850)}

#: The transfer, whether a box says it, what the clip is coded as, and the kind of file. A box says what the filters
#: say; the picture's own headers say what the encoder is told, which without a filter is the only place.
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "5", "-profile:v", "high10", "-x264-params")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "5", "-tag:v", "hvc1", "-x265-params")
CLIPS = {
    "PQ in the box": ("smpte2084", True, H264, ("mp4",)),
    "HLG in the box": ("arib-std-b67", True, H264, ("mp4",)),
    "PQ in the stream of HEVC": ("smpte2084", False, HEVC, ("mp4",)),
    "HLG in the stream of H.264": ("arib-std-b67", False, H264, ("mp4",)),
    "PQ in fragments": ("smpte2084", False, H264, ("mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof")),
    "HLG in Matroska": ("arib-std-b67", False, HEVC[:-3] + HEVC[-1:], ("mkv",)),
}


@pytest.mark.parametrize("name", CLIPS)
def test_greys_stay_grey_in_their_order_from_black_to_white(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str, tmp_path: Path, name: str
) -> None:
    transfer, is_boxed, coded, (suffix, *muxed) = CLIPS[name]
    clip = tmp_path / f"telephone.{suffix}"
    steps = STEPS[transfer]
    level = "".join(f"if(lt(X,{(n + 1) * 32}),{step}," for n, step in enumerate(steps)) + "940" + ")" * len(steps)
    source = f"color=gray:size=160x96:rate=24,format=yuv420p10le,geq=lum='{level}':cb=512:cr=512"
    if is_boxed:
        source += f",setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    said = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    said += ":log-level=none:pools=none" if "libx265" in coded else ""
    run(ffmpeg_program, "-f", "lavfi", "-i", source, "-frames:v", "6", *coded, said, *muxed, str(clip))
    assert (b"colr" in clip.read_bytes()) == is_boxed
    with FileReader(clip) as reader:
        assert (
            probe(reader, "clip").conform["color"] == {"smpte2084": "9/16/9 tv", "arib-std-b67": "9/18/9 tv"}[transfer]
        )

    report = bench.stitch(bench.plan(make_clip(0), clip))

    assert report.encoded_clips == [1]
    with FileReader(bench.film) as reader:
        facts = probe(reader, "film.mp4")
    assert (facts.video_codec, facts.conform["profile"]) == ("h264", "Main"), "as the clip that was kept"
    luma, cb, cr = planes(decode(bench.film)[-1])
    black, dark, middle, paper, light = (float(np.median(luma[:, n * 32 + 8 : n * 32 + 24])) for n in range(5))
    assert black <= 20
    assert black + 10 < dark < middle - 20
    assert middle + 20 < paper < light
    # As bright as paper is, with room left for what shines.
    assert 160 <= paper <= 235
    assert light <= 236
    assert all(abs(float(np.median(plane)) - 128) <= 2 for plane in (cb, cr))
