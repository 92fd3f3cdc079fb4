"""Plans for the Transcoder API: real ones of clips that lie in a bucket, and made-up ones of facts alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from adapters.transcoder_job import target_of
from events.clip import ClipFacts
from events.plan import Compression, Fit, Orientation, PlannedClip, StitchPlan
from media.probe import probe
from media.reader import BytesReader
from media.treatment import Picture
from tests.cloud.servers.storage import StorageServer
from tests.media.clips import ClipSpec, Tone, make_clip

BUCKET = "films"
JOB_ID = "job_abc123"


def long_clip(number: int, *, sound: bool = False, **fields: Any) -> ClipSpec:
    """Describe a clip that is just long enough: 5 s at 24 frames a second."""
    return ClipSpec(number, **{"frames": 120, "tone": Tone() if sound else None} | fields)


@cache
def clip_bytes(spec: ClipSpec) -> bytes:
    """Give a clip; encoded once."""
    with tempfile.TemporaryDirectory(prefix="longreel-clips-") as folder:
        return make_clip(spec, Path(folder) / f"clip{spec.suffix}").read_bytes()


def planned(storage: StorageServer, specs: Sequence[ClipSpec], **fields: Any) -> StitchPlan:
    """Put clips into the bucket, where they do not lie there yet, and plan their film."""
    clips = []
    for index, spec in enumerate(specs):
        content = clip_bytes(spec)
        uri = f"gs://{BUCKET}/jobs/{JOB_ID}/segments/{index}/1/clip.mp4"
        stored = storage.find(uri) or storage.put(uri, content)
        facts = probe(BytesReader(content), uri)
        clips.append(PlannedClip(uri=uri, generation=stored.generation, facts=facts, segment_index=index))
    return plan_of(clips, **fields)


def plan_of(clips: Sequence[PlannedClip], **fields: Any) -> StitchPlan:
    """Plan a film of clips."""
    attempt = fields.pop("attempt", 1)
    defaults = {
        "job_id": JOB_ID,
        "attempt": attempt,
        "clips": list(clips),
        "output_uri": f"gs://{BUCKET}/jobs/{JOB_ID}/output/{attempt}/film.mp4",
        "report_uri": f"gs://{BUCKET}/jobs/{JOB_ID}/stitch/{attempt}/report.json",
    }
    return StitchPlan.model_validate(defaults | fields)


def facts_of(**fields: Any) -> ClipFacts:
    """Give facts of a clip that the Transcoder API has nothing against, and of which `fields` differ."""
    defaults = {
        "container": "mp4",
        "size_bytes": 1_000_000,
        "duration_ms": 8_000,
        "frame_count": 192,
        "width_px": 1280,
        "height_px": 720,
        "frame_rate": "24/1",
        "video_codec": "h264",
        "audio_codec": "aac",
        "sample_rate_hz": 48_000,
        "channel_count": 2,
        "conform": {"rotation": "0", "pixelAspect": "1:1", "color": "1/1/1 tv"},
    }
    return ClipFacts.model_validate(defaults | fields)


def clip_of(index: int = 0, **fields: Any) -> PlannedClip:
    """Give a planned clip of facts alone."""
    keep_ms = fields.pop("keep_ms", None)
    uri = fields.pop("uri", f"gs://{BUCKET}/given/{index}.mp4")
    return PlannedClip(uri=uri, generation=1, facts=facts_of(**fields), segment_index=index, keep_ms=keep_ms)


def picture_of(plan: StitchPlan) -> Picture:
    """Give what the film is to look like."""
    return target_of(plan).picture


_SIZES = st.tuples(st.integers(2, 4096), st.integers(2, 4096)) | st.sampled_from(
    [(1280, 720), (1920, 1080), (720, 1280), (1080, 1080), (854, 480), (3840, 2160)]
)
_RATES = st.sampled_from(["24/1", "25/1", "30000/1001", "24000/1001", "60/1", "15/1", None])


@st.composite
def plans(draw: st.DrawFn) -> StitchPlan:
    """Draw plans that the rules have nothing against."""
    sound = draw(st.sampled_from(["aac", "opus", None]))
    clips = []
    for index in range(draw(st.integers(1, 6))):
        width, height = draw(_SIZES)
        length_ms = draw(st.integers(5_000, 60_000))
        clips.append(
            clip_of(
                draw(st.integers(0, 3)) * 10 + index,
                width_px=width,
                height_px=height,
                duration_ms=length_ms,
                frame_rate=draw(_RATES),
                audio_codec=sound,
                keep_ms=draw(st.none() | st.integers(1, 70_000)),
            )
        )
    again = draw(st.booleans())
    return plan_of(
        [*clips, clips[0].model_copy(update={"segment_index": 99, "keep_ms": 1_000})] if again else clips,
        orientation=draw(st.sampled_from(Orientation)),
        fit=draw(st.sampled_from([Fit.PAD, Fit.CROP])),
        compression=draw(st.sampled_from([Compression.OPTIMIZED, Compression.SMALL])),
        attempt=draw(st.integers(1, 999)),
    )
