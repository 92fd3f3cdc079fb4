"""The Cloud Storage client as Longreel wants it: wide enough for threads, patient only for so long, its errors ours."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from adapters.google_errors import translated
from events.errors import LimitExceeded, PipelineError, Unavailable

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage.client import Client
    from requests import Response

#: Connections kept open to one host. A stitch reads its clips in 16 threads; a pool smaller than its threads throws
#: connections away, and each new one costs a TLS handshake.
CONNECTIONS_MAX = 64
#: Longest wait for a connection, and for the next bytes of an answer, in seconds.
SOCKET_SECONDS = (5.0, 15.0)
#: What Google says where there is no more room or allowance; waiting for seconds does not change it.
#: Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes
_NO_ROOM = {"quotaExceeded", "dailyLimitExceeded", "uploadTooLarge"}
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}


def storage_client(project: str) -> Client:
    """Make a client that may be used by many threads at once.

    STORAGE_EMULATOR_HOST is followed by the library itself; it then needs no credentials.

    Args:
        project: the project that pays.

    Raises:
        NotAllowed: there are no usable credentials.
    """
    from google.cloud.storage.client import Client
    from requests.adapters import HTTPAdapter

    with translated("sign in to Cloud Storage"):
        client = Client(project=project)
    # For traces that we do not write, it would look the bucket up in a thread of its own, and our functions may not.
    client._bucket_metadata_cache = None
    client._http.hooks["response"].append(_read_refusal)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS_MAX))
    return client


def _read_refusal(response: Response, **_sent: object) -> None:
    # The library leaves the text of a refused download unread, and its connection with it; a burst would use them up.
    if response.status_code >= 400:
        _ = response.content


def patience(deadline_seconds: float) -> Retry:
    """Give the rule by which a call that may be repeated is repeated: at growing intervals, until the deadline."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry: Retry = DEFAULT_RETRY.with_delay(initial=0.25, maximum=4.0, multiplier=2.0).with_timeout(deadline_seconds)
    return retry


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Translate what a call to Cloud Storage raises, as `translated` does; knows quotas and damaged transfers too.

    Raises:
        LimitExceeded: no room or no allowance is left.
        Unavailable: what arrived is not what was sent; the same call may succeed.
    """
    import urllib3.exceptions
    from google.api_core.exceptions import Forbidden
    from google.cloud.storage.exceptions import DataCorruption

    try:
        with translated(doing):
            try:
                yield
            except Forbidden as exc:
                _of_reason(doing, exc)
                raise
    except DataCorruption as exc:
        raise Unavailable(f"{doing}: the bytes were damaged on the way: their checksum differs") from exc
    except urllib3.exceptions.HTTPError as exc:
        raise Unavailable(f"{doing}: no answer ({type(exc).__name__})") from exc


def _of_reason(doing: str, exc: Any) -> None:
    """Raise what a 403 is besides a missing role."""
    reasons = {str(error.get("reason")) for error in _errors_of(exc)}
    if reasons & _NO_ROOM:
        raise LimitExceeded(f"{doing}: there is no room for it ({', '.join(sorted(reasons))})") from exc
    if reasons & _TOO_FAST:
        raise Unavailable(f"{doing}: too many requests at once ({', '.join(sorted(reasons))})") from exc


def _errors_of(exc: Any) -> list[dict[str, Any]]:
    """Give the details of an error; for uploads the library leaves them in the answer's body."""
    if exc.errors:
        return list(exc.errors)
    try:
        return list(exc.response.json()["error"]["errors"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def carried_out_never(exc: PipelineError) -> bool:
    """Tell whether the other side cannot have done what failed: it said "too many requests"."""
    return getattr(exc.__cause__, "code", None) == 429


def tries(deadline_seconds: float) -> Iterator[bool]:
    """Give whether this try is the last, before each; wait between them, at growing intervals."""
    end, wait = time.monotonic() + deadline_seconds, 0.25
    while time.monotonic() + wait < end:
        yield False
        time.sleep(random.uniform(wait / 2, wait))  # noqa: S311 chance spreads the retries; it keeps no secret
        wait = min(2 * wait, 4.0)
    yield True
