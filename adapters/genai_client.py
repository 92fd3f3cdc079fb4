"""The client of Google's video models, made at the first call, and what its calls raise, translated once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

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

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        #: HTTP status, 400 to 499.
        self.status = status
        #: Its own words.
        self.said = said


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

        # An order that costs money must not be sent twice. Of `attempts`, the SDK makes the number of requests for
        # Veo, and the number of *further* requests for Omni; 0 it turns into 1, and None into 3 further ones for Omni.
        # Only a negative number means one request for both. tests/cloud count them.
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
        raise _of_status(doing, exc.code, exc.message or str(exc)) from exc
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


@contextmanager
def asking_interactions(doing: str) -> Iterator[None]:
    """Translate what a call of the SDK's Interactions half raises, which has errors of its own; see `asking`."""
    # Loading it takes half as long again, which Veo need not pay for.
    with loading("google.genai._interactions"):
        from google.genai import _interactions as interactions

    with asking(doing):
        try:
            yield
        except interactions.APIStatusError as exc:
            raise _of_status(doing, exc.status_code or 0, _message_in(exc.body) or exc.message) from exc
        except interactions.APIConnectionError as exc:
            raise Unavailable(f"{doing}: no answer ({exc})") from exc
        except interactions.APIError as exc:
            raise Unavailable(f"{doing}: the answer cannot be read ({exc})") from exc


def _of_status(doing: str, status: int, said: str) -> Refused | Unavailable:
    if 400 <= status < 500 and status not in _UNCLEAR:
        return Refused(status, said)
    return Unavailable(f"{doing}: {status} {said}")


def _message_in(body: object) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None
