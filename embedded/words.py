"""Jobs and segments in words, for a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from events.names import parse_uri
from events.requests import Kind, SegmentSpec
from pipeline.records import Job, Segment, SegmentState
from pipeline.view import message_of, phase_of

_STATE_MARKS = {
    SegmentState.PENDING: "·",
    SegmentState.CLAIMED: "○",
    SegmentState.GENERATING: "◐",
    SegmentState.DONE: "●",
    SegmentState.FAILED: "✗",
    SegmentState.SKIPPED: "−",
    SegmentState.CANCELLED: "✗",
}


def segment_noun(job: Job) -> str:
    """Give what a segment of this job is called."""
    return "Scene" if job.kind is Kind.LONG_FORM else "Clip"


def segment_title(segment: Segment) -> str:
    """Give the start of a segment's prompt, or its clip's file name."""
    spec = SegmentSpec.from_json(segment.spec)
    if spec.scene is not None:
        return " ".join(spec.scene.prompt.split())
    assert spec.clip is not None
    return file_name(spec.clip.clip)


def file_name(uri: str) -> str:
    """Give the name that the user knows a clip by: uploads are numbered, and the number is ours."""
    name = parse_uri(uri).name.rsplit("/", 1)[-1]
    return name.partition("-")[2] or name


def segment_mark(segment: Segment) -> str:
    """Give one character for a segment's state."""
    return _STATE_MARKS[segment.state]


def segment_note(segment: Segment, now: datetime) -> str:
    """Give what is going on with a segment, in a few words."""
    if segment.waiting_quota and segment.not_before:
        return f"waits for quota, next try in {in_words(segment.not_before - now)}"
    if segment.state is SegmentState.PENDING and segment.not_before:
        return f"next try in {in_words(segment.not_before - now)}"
    if segment.state in {SegmentState.FAILED, SegmentState.SKIPPED} and segment.error:
        return segment.error.message
    if segment.state is SegmentState.DONE and segment.clip:
        facts = segment.clip.facts
        return f"{facts.duration_ms / 1000:g} s, {facts.width_px}x{facts.height_px}"
    return str(segment.state)


def in_words(span: timedelta) -> str:
    """Give a span of time as people say it.

    >>> in_words(timedelta(seconds=75))
    '1 min 15 s'
    """
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def film_in_words(job: Job) -> str:
    """Give what a finished film is."""
    assert job.film is not None
    report = job.film.report
    length = in_words(timedelta(milliseconds=report.duration_ms))
    count = f"{job.done_count} {segment_noun(job).lower()}{'s' if job.done_count != 1 else ''}"
    return f"{count}, {length}, {report.width_px}x{report.height_px}, {report.size_bytes / 1e6:.1f} MB"


def job_as_json(job: Job, segments: list[Segment] | None = None) -> dict[str, Any]:
    """Give a job as programs read it, camelCase like the wire."""
    value: dict[str, Any] = {
        "jobId": job.job_id,
        "kind": job.kind,
        "projectId": job.project_id,
        "state": job.state,
        "phase": phase_of(job),
        "message": message_of(job),
        "progress": job.progress,
        "segmentCount": job.segment_count,
        "doneCount": job.done_count,
        "skippedCount": job.skipped_count,
        "resumeCount": job.resume_count,
        "warnings": list(job.warnings),
        "createdAt": job.created_at.isoformat(),
        "updatedAt": job.updated_at.isoformat(),
        "endedAt": job.ended_at.isoformat() if job.ended_at else None,
        "error": _failure(job.error),
        "stitchError": _failure(job.stitch_error),
        "route": {"stitcher": job.route.stitcher, "reason": job.route.reason, "losers": list(job.route.losers)}
        if job.route
        else None,
        "film": {"uri": job.film.uri, "generation": job.film.generation, "report": job.film.report.to_wire()}
        if job.film
        else None,
    }
    if segments is not None:
        value["segments"] = [_segment_as_json(segment) for segment in segments]
    return value


def _segment_as_json(segment: Segment) -> dict[str, Any]:
    return {
        "index": segment.index,
        "state": segment.state,
        "attempt": segment.attempt,
        "title": segment_title(segment),
        "clip": segment.clip.to_wire() if segment.clip else None,
        "error": _failure(segment.error),
        "waitingQuota": segment.waiting_quota,
        "notBefore": segment.not_before.isoformat() if segment.not_before else None,
    }


def _failure(failure: Any) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "segment": failure.segment_index}
