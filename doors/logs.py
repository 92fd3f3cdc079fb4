"""The cloud's log lines: JSON that Cloud Logging reads, with the trace of the call and the labels of its job.

Lines are written by the standard library's `logging`; structlog renders all of them, those of foreign libraries too, so
that nothing leaves this process unread. Source of the special fields:
https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from flask import has_request_context, request

from events.log_lines import LABELS, LABELS_FIELD, entry

if TYPE_CHECKING:
    import structlog

_SPECIAL = "logging.googleapis.com"
#: Source: https://www.w3.org/TR/trace-context/#traceparent-header.
_TRACEPARENT = re.compile(
    r"[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
#: Source: https://cloud.google.com/trace/docs/trace-context#legacy-http-header.
_CLOUD_TRACE = re.compile(r"(?P<trace>[0-9a-f]{32})(?:/(?P<span>[0-9]{1,20}))?(?:;o=(?P<sampled>[01]))?", re.IGNORECASE)


class Headers(Protocol):
    """The headers of a call, by any way to write their names."""

    def get(self, name: str, default: str, /) -> str:
        """Give one, or `default` where there is none."""
        ...


_Line = MutableMapping[str, Any]


def log_to_cloud(project: str) -> None:
    """Send all log lines of this process to standard error, from where Cloud Run takes them; instead of elsewhere.

    Ours from INFO on, those of foreign libraries from WARNING on: below, HTTP clients tell of every URL.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(project))
    root = logging.getLogger()
    # Any other handler would write each line again, as it is.
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("longreel").setLevel(logging.INFO)


def formatter(project: str) -> structlog.stdlib.ProcessorFormatter:
    """Give what makes a line of a record.

    Args:
        project: id of the Google Cloud project that traces are in.
    """
    import structlog

    def of_the_call(_logger: object, _method: str, line: _Line) -> _Line:
        if has_request_context():
            line.update(trace_fields(project, request.headers))
        return line

    processors: list[structlog.typing.Processor] = [
        _entry,
        _labelled,
        of_the_call,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    # We fill in a text ourselves: an error among its values may quote what must not be read.
    return structlog.stdlib.ProcessorFormatter(processors=processors, use_get_message=False, pass_foreign_args=True)


def _entry(_logger: object, _method: str, told: _Line) -> _Line:
    return entry(told["_record"], told["positional_args"], told.get("exc_info"))


def _labelled(_logger: object, _method: str, line: _Line) -> _Line:
    if labels := {name: str(line[name]) for name in LABELS if name in line}:
        line[LABELS_FIELD] = labels
    return line


def trace_fields(project: str, headers: Headers) -> dict[str, object]:
    """Give the fields that join a line to the call's trace; none where no header names one.

    Args:
        project: id of the Google Cloud project.
        headers: `traceparent`, or Google's own `X-Cloud-Trace-Context`.
    """
    if found := _TRACEPARENT.match(headers.get("traceparent", "")):
        span, is_sampled = found["span"], bool(int(found["flags"], 16) & 1)
    elif found := _CLOUD_TRACE.match(headers.get("X-Cloud-Trace-Context", "")):
        # There it is a decimal number.
        span, is_sampled = f"{int(found['span'] or 0):016x}", found["sampled"] == "1"
    else:
        return {}
    fields: dict[str, object] = {f"{_SPECIAL}/trace": f"projects/{project}/traces/{found['trace'].lower()}"}
    if int(span, 16):
        fields[f"{_SPECIAL}/spanId"] = span
    return fields | {f"{_SPECIAL}/trace_sampled": is_sampled}
