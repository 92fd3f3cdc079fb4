"""Jobs and segments with anything in any field, for Hypothesis; instants in whole milliseconds, as stores keep them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from events.clip import Clip, ClipFacts, Join, StitchReport
from events.requests import Kind, OnSegmentFailure
from pipeline.records import Cost, Failure, Film, Job, JobState, Route, Segment, SegmentState, StitchWork

#: Any text that a JSON document can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNT = st.integers(0, 2**53)
#: 1970 to 2100, in whole milliseconds.
INSTANT = st.integers(0, 4_102_444_800_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
FAILURE = st.builds(Failure, TEXT, TEXT, st.none() | COUNT)
FACTS = st.builds(
    ClipFacts,
    container=TEXT,
    size_bytes=COUNT,
    duration_ms=COUNT,
    frame_count=st.none() | COUNT,
    width_px=st.integers(1, 10_000),
    height_px=st.integers(1, 10_000),
    frame_rate=st.none() | TEXT,
    video_codec=TEXT,
    audio_codec=st.none() | TEXT,
    conform=st.dictionaries(TEXT, TEXT, max_size=3),
    obstacles=st.lists(TEXT, max_size=3),
)
CLIP = st.builds(Clip, uri=TEXT, generation=st.integers(0, 2**63 - 1), facts=FACTS)
JOIN = st.builds(Join, clip_index=st.integers(1, 500), at_ms=COUNT, skew_us=st.integers(-(10**6), 10**6))
REPORT = st.builds(
    StitchReport,
    frame_count=COUNT,
    duration_ms=COUNT,
    width_px=st.integers(1, 10_000),
    height_px=st.integers(1, 10_000),
    size_bytes=COUNT,
    sound=TEXT,
    joins=st.lists(JOIN, max_size=2),
    encoded_clips=st.lists(COUNT, max_size=3),
    encoder=st.none() | TEXT,
    warnings=st.lists(TEXT, max_size=2),
)
JOB_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "job_id": st.just("job_abc123"),
    "kind": st.sampled_from(Kind),
    "project_id": TEXT,
    "user_id": TEXT,
    "generator": TEXT,
    "settings": TEXT,
    "segment_count": COUNT,
    "width": COUNT,
    "on_segment_failure": st.sampled_from(OnSegmentFailure),
    "daisy_chain": st.booleans(),
    "created_at": INSTANT,
    "updated_at": INSTANT,
    "deadline_at": INSTANT,
    "wake_at": st.none() | INSTANT,
    "state": st.sampled_from(JobState),
    "done_count": COUNT,
    "skipped_count": COUNT,
    "resume_count": COUNT,
    "progress": st.integers(0, 100),
    "error": st.none() | FAILURE,
    "stitch_error": st.none() | FAILURE,
    "warnings": st.lists(TEXT, max_size=3).map(tuple),
    "route": st.none() | st.builds(Route, TEXT, TEXT, COUNT, st.lists(TEXT, max_size=2).map(tuple)),
    "film": st.none() | st.builds(Film, TEXT, st.integers(0, 2**63 - 1), REPORT),
    "stitch": st.builds(
        StitchWork,
        attempt=COUNT,
        tries=COUNT,
        claimed=st.booleans(),
        operation=st.none() | TEXT,
        percent=st.integers(0, 100),
        not_before=st.none() | INSTANT,
        larger=st.booleans(),
        reached=st.integers(0, 100),
        began_at=st.none() | INSTANT,
    ),
    "cost": st.builds(Cost, COUNT, COUNT, COUNT),
    "last_frame": st.none() | TEXT,
    "superseded_by": st.none() | TEXT,
    "started_at": st.none() | INSTANT,
    "ended_at": st.none() | INSTANT,
}
JOB = st.builds(Job, **JOB_FIELDS)
SEGMENT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "job_id": st.just("job_abc123"),
    "index": st.just(0),
    "spec": TEXT,
    "updated_at": INSTANT,
    "state": st.sampled_from(SegmentState),
    "attempt": COUNT,
    "tries": COUNT,
    "claimed_at": st.none() | INSTANT,
    "operation": st.none() | TEXT,
    "not_before": st.none() | INSTANT,
    "waiting_quota": st.booleans(),
    "clip": st.none() | CLIP,
    "error": st.none() | FAILURE,
    "price_micro_usd": COUNT,
    "wasted_micro_usd": COUNT,
    "wake_at": st.none() | INSTANT,
}
SEGMENT = st.builds(Segment, **SEGMENT_FIELDS)
