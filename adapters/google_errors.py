"""The exceptions of Google's client libraries, translated once into the tree of `events/errors.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from events.errors import LimitExceeded, NotAllowed, NotFound, PipelineError, PreconditionFailed, Unavailable

#: First word of a permission → the role that has all that Longreel does with that service, and where to grant it.
_ROLES: Final = {
    "storage": "roles/storage.objectUser on the bucket",
    "run": "roles/run.jobsExecutorWithOverrides and roles/run.viewer on the Cloud Run job",
    "transcoder": "roles/transcoder.admin in the project",
    "aiplatform": "roles/aiplatform.user in the project",
    "datastore": "roles/datastore.user in the project",
    "pubsub": "roles/pubsub.publisher on the topic",
}
_PERMISSION = re.compile(rf"\b({'|'.join(_ROLES)})\.[a-z]\w*\.\w+\b")
_ACCOUNT = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate what a call to Google raises.

    Args:
        doing: what we were doing to what, such as `read gs://bucket/object`; begins the text.

    Raises:
        NotFound: 404.
        PreconditionFailed: 409, 412, FAILED_PRECONDITION.
        NotAllowed: 401, 403; names the role that is missing, and whose.
        Unavailable: 408, 429, 5xx, ABORTED, no connection, no answer in time.
        PipelineError: anything else that Google says, such as 400; permanent.

    Where Google says when to come again, by `Retry-After` or google.rpc.RetryInfo, `retry_after_seconds` has it.
    """
    # Imported only here, where a call is made anyway: whoever imports this file does not pay for it.
    import requests.exceptions as http
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        yield
    except api.GoogleAPICallError as exc:
        error = _of_call(doing, exc)
        error.retry_after_seconds = retry_after_seconds(exc)
        raise error from exc
    except api.RetryError as exc:
        raise Unavailable(f"{doing}: no answer in time ({exc})") from exc
    except auth.TransportError as exc:
        raise Unavailable(f"{doing}: signing in failed for now ({exc})") from exc
    except auth.GoogleAuthError as exc:
        if exc.retryable:
            # Such as a metadata server that did not answer for a moment.
            raise Unavailable(f"{doing}: signing in failed for now ({exc})") from exc
        raise NotAllowed(f"{doing}: there are no usable credentials ({exc}); see docs/configuration.md") from exc
    except (http.ConnectionError, http.Timeout, http.ChunkedEncodingError, ConnectionError, TimeoutError) as exc:
        raise Unavailable(f"{doing}: no answer ({type(exc).__name__})") from exc


def retry_after_seconds(exc: object) -> float | None:
    """Give when a refused call may be repeated, in seconds from now; None where the answer does not say.

    Args:
        exc: of any of Google's libraries: with `details` of google.rpc messages, or with the HTTP `response`.
    """
    details = getattr(exc, "details", None)
    for detail in details if isinstance(details, list) else ():
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.ToTimedelta().total_seconds())
    headers = getattr(getattr(exc, "response", None), "headers", None) or {}
    # A date is allowed too, but no API of Google's sends one.
    text = str(headers.get("Retry-After", ""))
    return float(text) if text.isascii() and text.isdecimal() else None


def _grant(said: str) -> str:
    """Tell which role is missing, by the permission that Google names, and whose, where Google names that too."""
    account = _ACCOUNT.search(said)
    whose = account[0] if account else "the service account that runs this"
    service = _PERMISSION.search(said)
    if service is None:
        return f"look at the roles of {whose}"
    return f"grant {_ROLES[service[1]]} to {whose}, then resume"


def _of_call(doing: str, exc: Exception) -> PipelineError:
    from google.api_core import exceptions as api

    said = getattr(exc, "message", None) or str(exc)
    match exc:
        case api.NotFound():
            return NotFound(f"{doing}: it is not there ({said})")
        case api.Aborted():
            return Unavailable(f"{doing}: others were writing at the same time ({said})")
        case api.Conflict() | api.PreconditionFailed() | api.FailedPrecondition():
            return PreconditionFailed(f"{doing}: somebody else wrote first ({said})")
        case api.Unauthorized():
            return NotAllowed(f"{doing}: {said}; who runs this is not signed in, see docs/configuration.md")
        case api.Forbidden():
            return NotAllowed(f"{doing}: {said}; {_grant(said)}")
        case api.RequestRangeNotSatisfiable():
            return PipelineError(f"{doing}: {said}")
        case api.TooManyRequests() | api.ServerError() | api.RetryError() | api.Cancelled():
            return Unavailable(f"{doing}: {said}")
        case api.GoogleAPICallError(code=408):
            return Unavailable(f"{doing}: {said}")
        case api.GoogleAPICallError(code=413):
            return LimitExceeded(f"{doing}: {said}")
        case _:
            return PipelineError(f"{doing}: {type(exc).__name__}: {said}")
