"""What Google's libraries raise, in our words: whether to try again, and what to look at."""

from __future__ import annotations

import pytest
import requests.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from adapters.google_errors import translated
from events.errors import LimitExceeded, NotAllowed, NotFound, PipelineError, PreconditionFailed, Unavailable

TABLE: list[tuple[Exception, type[PipelineError]]] = [
    (api.NotFound("gone"), NotFound),
    (api.AlreadyExists("there"), PreconditionFailed),
    (api.Conflict("changed"), PreconditionFailed),
    (api.PreconditionFailed("changed"), PreconditionFailed),
    (api.FailedPrecondition("changed"), PreconditionFailed),
    (api.Aborted("contention"), Unavailable),
    (api.Unauthorized("who"), NotAllowed),
    (api.Forbidden("no"), NotAllowed),
    (api.PermissionDenied("no"), NotAllowed),
    (api.TooManyRequests("slow down"), Unavailable),
    (api.ResourceExhausted("slow down"), Unavailable),
    (api.InternalServerError("oops"), Unavailable),
    (api.ServiceUnavailable("later"), Unavailable),
    (api.DeadlineExceeded("late"), Unavailable),
    (api.GatewayTimeout("late"), Unavailable),
    (api.Cancelled("gone"), Unavailable),
    (api.RetryError("gave up", api.ServiceUnavailable("later")), Unavailable),
    (api.BadRequest("what"), PipelineError),
    (api.InvalidArgument("what"), PipelineError),
    (api.from_http_status(413, "big"), LimitExceeded),
    (api.from_http_status(408, "late"), Unavailable),
    (requests.exceptions.ConnectionError("cut"), Unavailable),
    (requests.exceptions.ReadTimeout("late"), Unavailable),
    (ConnectionResetError("cut"), Unavailable),
    (TimeoutError("late"), Unavailable),
    (auth.TransportError("no metadata server"), Unavailable),
    (auth.RefreshError("busy", retryable=True), Unavailable),
    (auth.RefreshError("revoked"), NotAllowed),
    (auth.DefaultCredentialsError("none"), NotAllowed),
]


@pytest.mark.parametrize(("raised", "expected"), TABLE, ids=lambda each: getattr(each, "__name__", repr(each)[:40]))
def test_each_error_of_googles_has_one_of_ours(raised: Exception, expected: type[PipelineError]) -> None:
    with pytest.raises(PipelineError) as told, translated("read gs://films/a.mp4"):
        raise raised

    assert type(told.value) is expected
    assert told.value.retryable is (expected is Unavailable)
    assert told.value.message.startswith("read gs://films/a.mp4: ")
    assert told.value.__cause__ is raised


def test_an_error_that_is_not_googles_passes_as_it_is() -> None:
    with pytest.raises(KeyError), translated("read gs://films/a.mp4"):
        raise KeyError("ours")
