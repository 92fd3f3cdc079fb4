"""The Firebase callables: who asks, what is answered, and which of the protocol's codes an error has.

This module is imported by the functions that a caller may reach, and by no other: it loads Firebase's own libraries.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, cast

import firebase_admin
from firebase_functions import https_fn
from firebase_functions.https_fn import FunctionsErrorCode as Code
from firebase_functions.https_fn import HttpsError
from firebase_functions.options import CorsOptions
from flask import Request, Response, jsonify

from doors.outside import Outside
from events.errors import (
    AlreadyRunning,
    BadMessage,
    DailyLimitReached,
    InvalidRequest,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotPossible,
    PipelineError,
    PreconditionFailed,
    TooFewClips,
    Unavailable,
    UnknownJob,
)
from events.log_lines import fields
from functions import api
from functions.upload import create_upload
from pipeline.ports import Committed
from pipeline.records import Job

log = logging.getLogger("longreel.callables")

_signing_in = Lock()

#: Our error → the protocol's code; the first that fits.
CODES: tuple[tuple[type[PipelineError], Code], ...] = (
    (TooFewClips, Code.FAILED_PRECONDITION),
    (BadMessage, Code.INVALID_ARGUMENT),
    (AlreadyRunning, Code.ALREADY_EXISTS),
    (LimitExceeded, Code.RESOURCE_EXHAUSTED),
    (NotAllowed, Code.PERMISSION_DENIED),
    (UnknownJob, Code.NOT_FOUND),
    (NotFound, Code.NOT_FOUND),
    (NotPossible, Code.FAILED_PRECONDITION),
    (PreconditionFailed, Code.ABORTED),
    (Unavailable, Code.UNAVAILABLE),
)

_OURS = "something went wrong here; it is logged, and nothing was made"

#: The outside, what the caller sent, the caller's id → the answer.
Action = Callable[[Outside, Any, str], dict[str, Any]]


def answer(request: Request, outside: Outside, action: Action) -> Response | tuple[Response, int]:
    """Answer one call by the callable protocol: tokens are verified before `action` is asked."""
    if request.method == "POST" and (fault := _fault_of(request)):
        return jsonify(error={"status": "INVALID_ARGUMENT", "message": f"Bad Request: {fault}"}), 400
    _sign_in(outside.config.project)

    def handle(call: https_fn.CallableRequest[Any]) -> dict[str, Any]:
        if call.auth is None or not call.auth.uid:
            raise HttpsError(Code.UNAUTHENTICATED, "sign in first: this call needs a Firebase ID token")
        user_id = call.auth.uid
        try:
            return action(outside, call.data, user_id)
        except PipelineError as exc:
            raise _told(exc, user_id) from exc
        except Exception as exc:
            # The library would log its text, which may hold a prompt, and no trace.
            extra = fields(action="bug", user_id=user_id)
            log.critical("a call failed by a mistake of ours", exc_info=exc, extra=extra)
            raise HttpsError(Code.INTERNAL, _OURS, {"code": PipelineError.code}) from exc

    options = CorsOptions(cors_origins="*", cors_methods=["post"])
    decorate = https_fn.on_call(enforce_app_check=outside.config.app_check, cors=options)
    # What comes out takes a Flask request, though its type says that it takes what `handle` does.
    call = cast("Callable[[Request], Response]", decorate(handle))
    return call(request)


def _fault_of(request: Request) -> str:
    """Say what is wrong with a body, or nothing: the library logs what it does not expect, or calls it our mistake."""
    body = request.get_json(silent=True)
    if body is None:
        return "the body is no JSON"
    if not isinstance(body, dict) or "data" not in body:
        return "the body should be an object with the field `data`, which holds all that is asked for"
    return "" if len(body) == 1 else "the body should have the field `data` and no other"


def create_job(outside: Outside, data: Any, user_id: str) -> dict[str, Any]:
    """Create a job of the caller."""
    created = api.create_job(outside.services, data, user_id, own_area_only=True)
    return {**_of_job(outside, created.job), "fresh": created.fresh, "warnings": list(created.job.warnings)}


def cancel_job(outside: Outside, data: Any, user_id: str) -> dict[str, Any]:
    """Stop one of the caller's jobs."""
    return _of_change(outside, api.cancel_job(outside.services, _job_id(data), user_id))


def resume_job(outside: Outside, data: Any, user_id: str) -> dict[str, Any]:
    """Let one of the caller's failed jobs go on."""
    return _of_change(outside, api.resume_job(outside.services, _job_id(data), user_id))


def create_upload_url(outside: Outside, data: Any, user_id: str) -> dict[str, Any]:
    """Give leave to upload one file into the caller's own area."""
    upload = create_upload(outside.services, outside.uploads, data, user_id)
    return {
        "uploadUrl": upload.signed.url,
        "headers": dict(upload.signed.headers),
        "clipPath": upload.uri,
        "expiresAt": upload.signed.expires_at.isoformat(timespec="milliseconds"),
    }


def _of_job(outside: Outside, job: Job) -> dict[str, Any]:
    return {
        "jobId": job.job_id,
        "state": str(job.state),
        "estimatedUsd": job.cost.estimated_micro_usd / 1_000_000,
        # Where a page listens.
        "listen": f"{outside.config.jobs_collection}/{job.job_id}",
    }


def _of_change(outside: Outside, committed: Committed) -> dict[str, Any]:
    changed = committed.decision.changes
    return {**_of_job(outside, committed.job), "success": changed, "message": committed.decision.reason}


def _job_id(data: Any) -> str:
    job_id = data.get("jobId") if isinstance(data, dict) else None
    if not isinstance(job_id, str):
        raise InvalidRequest("jobId", "should be the id of a job, such as job_7f3k2m9x4q")
    return job_id


def _told(exc: PipelineError, user_id: str) -> HttpsError:
    code = next((code for kind, code in CODES if isinstance(exc, kind)), Code.INTERNAL)
    if code is Code.INTERNAL:
        log.error("%s", exc, exc_info=exc, extra=fields(action="internal", error_code=exc.code, user_id=user_id))
        return HttpsError(code, _OURS, {"code": exc.code})
    # Who is refused how often is the operator's to see; the words may quote the request, and the caller has them.
    log.info("a call is refused: %s", exc.code, extra=fields(action="refused", error_code=exc.code, user_id=user_id))
    details: dict[str, Any] = {"code": exc.code}
    if isinstance(exc, InvalidRequest):
        details["field"] = exc.field
    if isinstance(exc, AlreadyRunning):
        details["jobId"] = exc.job_id
    if isinstance(exc, DailyLimitReached):
        details |= _of_limit(exc)
    return HttpsError(code, exc.message, details)


def _of_limit(exc: DailyLimitReached) -> dict[str, Any]:
    promised, opens_at = exc.promised_micro_usd, exc.opens_at
    return {
        "limitUsd": exc.limit_micro_usd / 1_000_000,
        "promisedUsd": None if promised is None else promised / 1_000_000,
        "estimatedUsd": exc.estimated_micro_usd / 1_000_000,
        # Null where no day is enough.
        "opensAt": None if opens_at is None else opens_at.isoformat(timespec="seconds"),
    }


def _sign_in(project: str) -> None:
    # A cold instance may get its first calls at once, and Firebase's own library refuses a second app.
    with _signing_in:
        try:
            firebase_admin.get_app()
        except ValueError:
            # With the project named, tokens of any other are refused.
            firebase_admin.initialize_app(options={"projectId": project})
