"""Jobs and segments ↔ Firestore documents. Pure.

The documents are what an app's page listens to: camelCase, native types, the owner's `userId` on each. Money stands in
every document twice: `…Usd` is a float for people, `…MicroUsd` an exact integer, and only the latter is read back. What
is empty is null, so that a page finds every field of every document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.firestore_fields import Fields, map_of
from events.clip import Clip, StitchReport
from events.requests import Kind, OnSegmentFailure
from pipeline.records import Cost, Failure, Film, Job, JobState, Route, Segment, SegmentState, StitchWork
from pipeline.spend_port import bound_micro_usd
from pipeline.view import message_of, next_attempt_at, phase_of

Document = dict[str, Any]

_MICRO = 1_000_000


def changed(before: Mapping[str, Any], after: Document) -> Document:
    """Give the fields of `after` that `before` has not, or has otherwise."""
    return {name: value for name, value in after.items() if name not in before or before[name] != value}


def job_document(job: Job) -> Document:
    """Give the job's document."""
    return {
        "jobId": job.job_id,
        "kind": job.kind.value,
        "projectId": job.project_id,
        "userId": job.user_id,
        "generator": job.generator,
        "settings": job.settings,
        "segmentCount": job.segment_count,
        "width": job.width,
        "onSegmentFailure": job.on_segment_failure.value,
        "daisyChain": job.daisy_chain,
        "createdAt": job.created_at,
        "updatedAt": job.updated_at,
        "deadlineAt": job.deadline_at,
        "wakeAt": job.wake_at,
        "startedAt": job.started_at,
        "endedAt": job.ended_at,
        "state": job.state.value,
        "phase": phase_of(job),
        "message": message_of(job),
        "nextAttemptAt": next_attempt_at(job),
        "progress": job.progress,
        "doneCount": job.done_count,
        "skippedCount": job.skipped_count,
        "resumeCount": job.resume_count,
        "error": _failure_map(job.error),
        "stitchError": _failure_map(job.stitch_error),
        "warnings": list(job.warnings),
        "route": _route_map(job.route),
        "film": _film_map(job.film),
        "stitch": _work_map(job.stitch),
        "cost": _cost_map(job),
        "lastFrame": job.last_frame,
        "supersededBy": job.superseded_by,
    }


def read_job(fields: Fields) -> Job:
    """Make the job of a document.

    Raises:
        PipelineError: the document is damaged; names its path and the field.
    """
    return Job(
        job_id=fields.text("jobId"),
        kind=fields.choice("kind", Kind),
        project_id=fields.text("projectId"),
        user_id=fields.text("userId"),
        generator=fields.text("generator"),
        settings=fields.text("settings"),
        segment_count=fields.integer("segmentCount"),
        width=fields.integer("width"),
        on_segment_failure=fields.choice("onSegmentFailure", OnSegmentFailure),
        daisy_chain=fields.flag("daisyChain"),
        created_at=fields.instant("createdAt"),
        updated_at=fields.instant("updatedAt"),
        deadline_at=fields.instant("deadlineAt"),
        wake_at=fields.instant_or_none("wakeAt"),
        started_at=fields.instant_or_none("startedAt"),
        ended_at=fields.instant_or_none("endedAt"),
        state=fields.choice("state", JobState),
        progress=fields.integer("progress"),
        done_count=fields.integer("doneCount"),
        skipped_count=fields.integer("skippedCount"),
        resume_count=fields.integer("resumeCount"),
        error=fields.made_or_none("error", _read_failure),
        stitch_error=fields.made_or_none("stitchError", _read_failure),
        warnings=fields.texts("warnings"),
        route=fields.made_or_none("route", _read_route),
        film=fields.made_or_none("film", _read_film),
        stitch=_read_work(fields.part("stitch")),
        cost=_read_cost(fields.part("cost")),
        last_frame=fields.text_or_none("lastFrame"),
        superseded_by=fields.text_or_none("supersededBy"),
    )


def segment_document(segment: Segment, user_id: str) -> Document:
    """Give the segment's document.

    Args:
        segment: the segment.
        user_id: who owns its job.
    """
    return {
        "jobId": segment.job_id,
        "userId": user_id,
        "index": segment.index,
        "spec": segment.spec,
        "updatedAt": segment.updated_at,
        "state": segment.state.value,
        "attempt": segment.attempt,
        "tries": segment.tries,
        "claimedAt": segment.claimed_at,
        "operation": segment.operation,
        "notBefore": segment.not_before,
        "waitingQuota": segment.waiting_quota,
        "clip": map_of(segment.clip) if segment.clip else None,
        "error": _failure_map(segment.error),
        **_money("price", segment.price_micro_usd),
        **_money("wasted", segment.wasted_micro_usd),
        "wakeAt": segment.wake_at,
    }


def read_segment(fields: Fields) -> Segment:
    """Make the segment of a document.

    Raises:
        PipelineError: the document is damaged; names its path and the field.
    """
    return Segment(
        job_id=fields.text("jobId"),
        index=fields.integer("index"),
        spec=fields.text("spec"),
        updated_at=fields.instant("updatedAt"),
        state=fields.choice("state", SegmentState),
        attempt=fields.integer("attempt"),
        tries=fields.integer("tries"),
        claimed_at=fields.instant_or_none("claimedAt"),
        operation=fields.text_or_none("operation"),
        not_before=fields.instant_or_none("notBefore"),
        waiting_quota=fields.flag("waitingQuota"),
        clip=fields.model_or_none("clip", Clip),
        error=fields.made_or_none("error", _read_failure),
        price_micro_usd=fields.integer("priceMicroUsd"),
        wasted_micro_usd=fields.integer("wastedMicroUsd"),
        wake_at=fields.instant_or_none("wakeAt"),
    )


def _money(name: str, micro_usd: int) -> Document:
    return {f"{name}Usd": micro_usd / _MICRO, f"{name}MicroUsd": micro_usd}


def _failure_map(failure: Failure | None) -> Document | None:
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "segment": failure.segment_index}


def _read_failure(fields: Fields) -> Failure:
    return Failure(fields.text("code"), fields.text("message"), fields.integer_or_none("segment"))


def _route_map(route: Route | None) -> Document | None:
    if route is None:
        return None
    words = {"stitcher": route.stitcher, "reason": route.reason}
    lists = {"losers": list(route.losers), "warnings": list(route.warnings)}
    return words | _money("price", route.price_micro_usd) | lists


def _read_route(fields: Fields) -> Route:
    return Route(
        stitcher=fields.text("stitcher"),
        reason=fields.text("reason"),
        price_micro_usd=fields.integer("priceMicroUsd"),
        losers=fields.texts("losers"),
        warnings=fields.texts("warnings"),
    )


def _film_map(film: Film | None) -> Document | None:
    return {"uri": film.uri, "generation": film.generation, "report": map_of(film.report)} if film else None


def _read_film(fields: Fields) -> Film:
    return Film(fields.text("uri"), fields.integer("generation"), fields.model("report", StitchReport))


def _work_map(work: StitchWork) -> Document:
    return {
        "attempt": work.attempt,
        "tries": work.tries,
        "claimed": work.claimed,
        "operation": work.operation,
        "percent": work.percent,
        "notBefore": work.not_before,
        "larger": work.larger,
        "reached": work.reached,
        "deaths": work.deaths,
        "beganAt": work.began_at,
    }


def _read_work(fields: Fields) -> StitchWork:
    return StitchWork(
        attempt=fields.integer("attempt"),
        tries=fields.integer("tries"),
        claimed=fields.flag("claimed"),
        operation=fields.text_or_none("operation"),
        percent=fields.integer("percent"),
        not_before=fields.instant_or_none("notBefore"),
        larger=fields.flag_or("larger", otherwise=False),
        reached=fields.integer_or_none("reached") or 0,
        deaths=fields.integer_or_none("deaths") or 0,
        began_at=fields.instant_or_none("beganAt"),
    )


def _cost_map(job: Job) -> Document:
    cost = job.cost
    return (
        _money("estimated", cost.estimated_micro_usd)
        | _money("spent", cost.spent_micro_usd)
        | _money("wasted", cost.wasted_micro_usd)
        # Follows from the rest; it is here to be summed up by `adapters/firestore_spend.py`.
        | _money("bound", bound_micro_usd(job))
    )


def _read_cost(fields: Fields) -> Cost:
    return Cost(fields.integer("estimatedMicroUsd"), fields.integer("spentMicroUsd"), fields.integer("wastedMicroUsd"))
