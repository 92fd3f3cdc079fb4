"""What our log lines carry: one table of fields for both columns, the only way to fill them, and what never gets out.

A call site says `log.info("%s", text, extra=fields(action="gone", job_id=…))`; whoever writes the lines asks `entry`.
The metrics in `infra/metrics.yaml` and `docs/operating.md` name the same fields; tests hold all three together.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, TypedDict, Unpack

from events.own_words import own_words, trace_of

#: As `sys.exc_info()` gives it, and logging takes it.
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

#: Name of the record's attribute that holds the fields.
ATTRIBUTE = "longreel"
#: What stands for something that must not be read in a log.
HIDDEN = "[hidden]"


@dataclass(frozen=True, slots=True)
class LogField:
    """One field of a line."""

    #: Its name in JSON.
    name: str
    meaning: str
    #: Whether Cloud Logging has it as a label as well.
    label: bool = False


class Values(TypedDict, total=False):
    """What a call site may give; None is as good as nothing."""

    action: str
    event: str | None
    job_id: str | None
    user_id: str
    project_id: str
    job_type: str
    clip_count: int | None
    segment: int | None
    attempt: int | None
    state_before: str | None
    state_after: str | None
    job_state_before: str
    job_state_after: str
    changed: bool
    reason: str
    error_code: str | None
    generator: str
    engine: str | None
    topic: str
    delivery: int
    generation_ms: int | None
    first_segment_ms: int | None
    stitch_ms: int | None
    job_ms: int | None
    megapixels_per_s: float | None
    spent_micro_usd: int | None
    wasted_micro_usd: int | None
    quota_hit: bool | None
    paid_retry: bool | None
    peak_memory_bytes: int | None
    wall_ms: int | None


#: Name at the call site → the field.
FIELDS: dict[str, LogField] = {
    "action": LogField("action", "what the line is about: `created`, `decision`, `dead_letter`, `stitched`, …"),
    "event": LogField("event", "decision: what happened, such as `SegmentDone`"),
    "job_id": LogField("jobId", "the job", label=True),
    "user_id": LogField("userId", "whose job it is, as Firebase names the user", label=True),
    "project_id": LogField("projectId", "the project that the request named"),
    "job_type": LogField("jobType", "`long_form` or `stitch`"),
    "clip_count": LogField("clipCount", "how many clips: of a new job, those asked for; of a film, those in it"),
    "segment": LogField("segment", "0-based index of the segment", label=True),
    "attempt": LogField("attempt", "1-based number of the segment's, or else of the stitch's, attempt", label=True),
    "state_before": LogField("stateBefore", "decision about a segment: its state before"),
    "state_after": LogField("stateAfter", "decision about a segment: its state after"),
    "job_state_before": LogField("jobStateBefore", "decision: the job's state before"),
    "job_state_after": LogField("jobStateAfter", "decision: the job's state after"),
    "changed": LogField("changed", "decision: whether anything was written; else the event was ignored"),
    "reason": LogField("reason", "why, in words"),
    "error_code": LogField("errorCode", "code of what went wrong; the job's document has the words"),
    "generator": LogField("generator", "who makes the segments: `veo`, `omni`, `storyboard`, `clip`"),
    "engine": LogField("engine", "who makes the film: `splice`, `transcoder`, `gpu`, `cpu`"),
    "topic": LogField("topic", "topic of the message that failed"),
    "delivery": LogField("delivery", "1-based number of the delivery that failed"),
    "generation_ms": LogField("generationMs", "a segment is done: time since its attempt was claimed"),
    "first_segment_ms": LogField("firstSegmentMs", "the first segment is done: time since the request"),
    "stitch_ms": LogField("stitchMs", "the film is there: time since the last segment ended"),
    "job_ms": LogField("jobMs", "the job is over: time since the request, or since the resume"),
    "megapixels_per_s": LogField("megapixelsPerS", "the film is there: its pixels by the time of the stitch"),
    "spent_micro_usd": LogField("spentMicroUsd", "what this decision found to be spent, in millionths of a dollar"),
    "wasted_micro_usd": LogField("wastedMicroUsd", "what it found to be paid for nothing, the same"),
    "quota_hit": LogField("quotaHit", "true where a provider or an engine had no room"),
    "paid_retry": LogField("paidRetry", "true where a clip is ordered again that may have been billed already"),
    "peak_memory_bytes": LogField("peakMemoryBytes", "stitched: the most memory that the Cloud Run task held"),
    "wall_ms": LogField("wallMs", "stitched: how long the Cloud Run task took"),
}

#: Fields that Cloud Logging has as labels too, and where it looks for these.
LABELS = tuple(field.name for field in FIELDS.values() if field.label)
LABELS_FIELD = "logging.googleapis.com/labels"

_SECRETS = r"""
  # All that follows the ? of a URL: signatures, upload ids, tokens.
  (?P<url>https?(?:://|%3A%2F%2F)[^\s"'<>?]+?)(?:\?|%3F)[^\s"'<>]*
  # The same without its beginning, in headers and in quoted headers.
| (?P<key>\b(?:x-(?:goog|amz)-(?:signature|credential|security-token|iam-authorization-token)|signature|sig
    |upload_?id|(?:access_|id_|refresh_|custom_)?token|api_?key|key|password|secret)
    (?:=|%3D|["']?\s*:\s*(?:b?["'])?|["']\s*,\s*["']))(?!\s|(?:b?["'])?\[hidden\])[^\s"'&,;)\]}]+
| (?P<header>\b(?:proxy-)?authorization["']?\s*[:=,]\s*["']?)[^"'\r\n]+
| (?P<scheme>\b(?:bearer|basic)\s+)[\w\-.~+/=]+
  # Tokens that are known by their looks: JSON web tokens, Google's own, keys, long signatures.
| \beyJ[\w\-]{5,}(?:\.[\w\-]*)* | \bya29\.[\w\-.]+ | \bAIza[\w\-]{30,} | \b[0-9a-f]{128,}\b
| -----BEGIN[ ]?[A-Z ]*PRIVATE[ ]KEY-----(?:.|\n)*?(?:-----END[ ]?[A-Z ]*PRIVATE[ ]KEY-----|\Z)
  # What pydantic quotes of a value that it could not read.
| (?P<given>\binput_value=)(?:.|\n)*?(?=,[ ]input_type=|\Z)
"""
#: Each of the above has one of these, or is so long: the search itself would be most of what a line costs.
_HINTS = (
    "http", "sig", "x-goog", "x-amz", "upload", "token", "key", "password", "secret", "authoriz", "bearer", "basic",
    "eyj", "ya29", "aiza", "input_value",
)  # fmt: skip
_LONG_SIGNATURE = 128


def fields(**values: Unpack[Values]) -> dict[str, dict[str, object]]:
    """Give a log call its `extra`."""
    return {ATTRIBUTE: {FIELDS[name].name: value for name, value in values.items() if value is not None}}


def redacted(text: str) -> str:
    """Give a text without what must never be logged: signed URLs, upload URLs, tokens, keys, quoted input."""
    lower = text.lower()
    is_suspect = len(text) >= _LONG_SIGNATURE or any(hint in lower for hint in _HINTS)
    return _secrets().sub(_hidden, text) if is_suspect else text


@cache
def _secrets() -> re.Pattern[str]:
    # Compiled when a text is first suspect: it takes as long as a small library's import.
    return re.compile(_SECRETS, re.VERBOSE | re.IGNORECASE | re.ASCII)


def _hidden(found: re.Match[str]) -> str:
    # What introduces a secret may be read; a URL keeps its ?, so that one sees that there was more.
    kept = found[found.lastgroup] if found.lastgroup else ""
    return f"{kept}?{HIDDEN}" if found.lastgroup == "url" else f"{kept}{HIDDEN}"


def entry(record: logging.LogRecord, args: object, exc_info: ExcInfo | None) -> dict[str, object]:
    """Give what is written of a record, ready for JSON: severity, message, our fields, and the trace of an error.

    Args:
        record: what was logged.
        args: what its text is to be filled with; of an error, its own words are taken.
        exc_info: the error that was caught.
    """
    line: dict[str, object] = {"severity": record.levelname, "message": _message(record.msg, args)}
    line.update(getattr(record, ATTRIBUTE, {}))
    if exc_info and exc_info[1] is not None:
        line["stack_trace"] = trace_of(exc_info[1])
    return {name: redacted(value) if isinstance(value, str) else value for name, value in line.items()}


def _message(template: object, args: Any) -> str:
    text = str(_spoken(template))
    if not args:
        return text
    try:
        values = tuple(map(_spoken, args)) if isinstance(args, tuple) else args
        return text % values
    except (TypeError, ValueError, KeyError):
        # Somebody's call does not fit its own text. Python would print all that was given to it.
        return text


def _spoken(value: object) -> object:
    return own_words(value) if isinstance(value, BaseException) else value
