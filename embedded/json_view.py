"""Jobs and segments as programs read them: camelCase JSON values like the wire's. docs/cli.md lists every field."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.words import job_title, segment_title
from pipeline.records import Failure, Film, Job, Route, Segment
from pipeline.view import message_of, next_attempt_at, phase_of


def job_value(job: Job) -> dict[str, Any]:
    """Give a job without its segments."""
    return {
        "jobId": job.job_id,
        "kind": job.kind,
        "projectId": job.project_id,
        "title": job_title(job),
        "state": job.state,
        "phase": phase_of(job),
        "message": message_of(job),
        "nextAttemptAt": _instant(next_attempt_at(job)),
        "progress": job.progress,
        "segmentCount": job.segment_count,
        "doneCount": job.done_count,
        "skippedCount": job.skipped_count,
        "resumeCount": job.resume_count,
        "warnings": list(job.warnings),
        "createdAt": _instant(job.created_at),
        "updatedAt": _instant(job.updated_at),
        "endedAt": _instant(job.ended_at),
        "error": failure_value(job.error),
        "stitchError": failure_value(job.stitch_error),
        "route": _route_value(job.route),
        "film": _film_value(job.film),
    }


def segment_value(segment: Segment) -> dict[str, Any]:
    """Give one segment."""
    return {
        "index": segment.index,
        "state": segment.state,
        "attempt": segment.attempt,
        "title": segment_title(segment),
        "clip": segment.clip.to_wire() if segment.clip else None,
        "error": failure_value(segment.error),
        "waitingQuota": segment.waiting_quota,
        "notBefore": _instant(segment.not_before),
    }


def end_value(job: Job, output: Path | None, exit_code: int) -> dict[str, Any]:
    """Give how a job ended.

    Args:
        job: it is over.
        output: where its film is; None when it has none.
        exit_code: what the command ends with.
    """
    return {
        "type": "end",
        "jobId": job.job_id,
        "state": job.state,
        "output": str(output) if output else None,
        "warnings": list(job.warnings),
        "error": failure_value(job.error),
        "exitCode": exit_code,
    }


def failure_value(failure: Failure | None) -> dict[str, Any] | None:
    """Give why something failed; `segment` is 0-based, null when no single one is to blame."""
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "segment": failure.segment_index}


def _route_value(route: Route | None) -> dict[str, Any] | None:
    if route is None:
        return None
    price = {"priceUsd": route.price_micro_usd / 1_000_000}
    lists = {"losers": list(route.losers), "warnings": list(route.warnings)}
    return {"stitcher": route.stitcher, "reason": route.reason} | price | lists


def _film_value(film: Film | None) -> dict[str, Any] | None:
    return {"uri": film.uri, "generation": film.generation, "report": film.report.to_wire()} if film else None


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
