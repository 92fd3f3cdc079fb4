"""The client of Google's video models, made at the first call, and what its calls raise, translated once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from adapters.google_errors import retry_after_seconds
from adapters.loading import loading
from events.errors import NotAllowed, Unavailable

if TYPE_CHECKING:
    from google import genai

#: How long one call may take. A submit answers within seconds, and its claim holds for 90 s.
CALL_TIMEOUT_MS = 40_000

#: Statuses below 500 after which nobody knows whether the order was taken.
_UNCLEAR = frozenset({408, 409, 425, 499})


class Refused(Exception):
    """The service said no, and did nothing."""

    def __init__(self, status: int, said: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{status}: {said}")
        #: HTTP status, 400 to 499.
        self.status = status
        #: Its own words.
        self.said = said
        #: When it wishes to be asked again; None where it did not say.
        self.retry_after_seconds = retry_after_seconds


class UnreadableAnswer(ValueError):
    """The service answered 200 with what is no answer."""


@dataclass(slots=True)
class GenaiClient:
    """Makes the one client of a generator when it is first needed: importing it alone takes a second."""

    project: str
    location: str
    #: `http://host:port` that speaks Vertex; None for Google's own.
    endpoint: str | None = None
    timeout_ms: int = CALL_TIMEOUT_MS
    _client: genai.Client | None = None
    _lock: Lock = field(default_factory=Lock)

    def get(self) -> genai.Client:
        """Give the client; to be called inside `asking`, because it looks for credentials."""
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request below the project's location; to be called inside `asking`.

        For Omni: the SDK's Interactions half takes half as long again to load as all the rest, and repeats orders in
        its own way. This is the layer below it, which signs in, sends and raises like every other call of the SDK.

        Args:
            method: `get` or `post`.
            path: such as `interactions`.
            body: the JSON that is sent.

        Raises:
            ValueError: a kind of it: the answer is no JSON object.
        """
        answer = json.loads(self.get()._api_client.request(method, path, body or {}).body or "")
        if not isinstance(answer, dict):
            raise UnreadableAnswer("the answer is no JSON object")
        return answer

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _make(self) -> genai.Client:
        from google import genai
        from google.genai.types import HttpOptions, HttpRetryOptions
        from google.oauth2.credentials import Credentials

        # An order that costs money must not be sent twice. None leaves it to the SDK, and 0 it turns into 1; a negative
        # number is one request, whichever part of the SDK sends it. tests/cloud count them.
        options = HttpOptions(
            base_url=self.endpoint, timeout=self.timeout_ms, retry_options=HttpRetryOptions(attempts=-1)
        )
        # Anonymous credentials are refused by the SDK, and the loopback server asks for none.
        local = Credentials(token="local") if self.endpoint else None  # type: ignore[no-untyped-call]  # noqa: S106
        return genai.Client(
            vertexai=True, project=self.project, location=self.location, credentials=local, http_options=options
        )


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Translate what a call raises.

    Args:
        doing: what we were doing to what; begins the text.

    Raises:
        Refused: 4xx; nothing was done.
        NotAllowed: there are no credentials; nothing was sent.
        Unavailable: anything that leaves open whether it was done: 5xx, no connection, no answer, an unreadable one.
    """
    with loading("google.genai"):
        import httpx
        from google.auth import exceptions as auth
        from google.genai import errors

    try:
        yield
    except errors.APIError as exc:
        raise _of_status(doing, exc.code, exc.message or str(exc), retry_after_seconds(exc)) from exc
    except auth.TransportError as exc:
        raise Unavailable(f"{doing}: signing in failed for now ({exc})") from exc
    except auth.GoogleAuthError as exc:
        raise NotAllowed(f"{doing}: there are no usable credentials ({exc}); see docs/configuration.md") from exc
    except httpx.HTTPError as exc:
        raise Unavailable(f"{doing}: no answer ({exc})") from exc
    except ValueError as exc:
        if type(exc) is ValueError:
            raise  # The SDK finds fault with our own call and sends nothing: a mistake of ours.
        # Something answered 200 with what is no answer: a proxy, or a format that the SDK does not know.
        raise Unavailable(f"{doing}: the answer cannot be read ({exc})") from exc


def _of_status(doing: str, status: int, said: str, after_seconds: float | None) -> Refused | Unavailable:
    if 400 <= status < 500 and status not in _UNCLEAR:
        return Refused(status, said, after_seconds)
    return Unavailable(f"{doing}: {status} {said}")
