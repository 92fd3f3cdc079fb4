"""The exceptions of Google's client libraries, translated once into the tree of `events/errors.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from events.errors import LimitExceeded, NotAllowed, NotFound, PipelineError, PreconditionFailed, Unavailable


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate what a call to Google raises.

    Args:
        doing: what we were doing to what, such as `read gs://bucket/object`; begins the text.

    Raises:
        NotFound: 404.
        PreconditionFailed: 409, 412, FAILED_PRECONDITION.
        NotAllowed: 401, 403; names what to look at.
        Unavailable: 408, 429, 5xx, ABORTED, no connection, no answer in time.
        PipelineError: anything else that Google says, such as 400; permanent.
    """
    # Imported only here, where a call is made anyway: whoever imports this file does not pay for it.
    import requests.exceptions as http
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        yield
    except api.GoogleAPICallError as exc:
        raise _of_call(doing, exc) from exc
    except api.RetryError as exc:
        raise Unavailable(f"{doing}: no answer in time ({exc.cause})") from exc
    except auth.TransportError as exc:
        raise Unavailable(f"{doing}: signing in failed for now ({exc})") from exc
    except auth.GoogleAuthError as exc:
        if exc.retryable:
            # Such as a metadata server that did not answer for a moment.
            raise Unavailable(f"{doing}: signing in failed for now ({exc})") from exc
        raise NotAllowed(f"{doing}: there are no usable credentials ({exc}); see docs/configuration.md") from exc
    except (http.ConnectionError, http.Timeout, http.ChunkedEncodingError, ConnectionError, TimeoutError) as exc:
        raise Unavailable(f"{doing}: no answer ({type(exc).__name__})") from exc


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
        case api.Unauthorized() | api.Forbidden():
            return NotAllowed(f"{doing}: {said}; look at the roles of the service account that runs this")
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
