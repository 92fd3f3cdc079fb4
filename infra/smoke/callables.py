"""What the smoke film says over HTTP: callables, a signed upload, Firestore's REST door. Python's own library alone."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

#: Longest that one answer may take; a cold function needs some seconds.
ANSWER_SECONDS = 70
#: How often a call is made that nothing answered, and the first wait between two; each is twice the one before.
ATTEMPTS = 5
_FIRST_WAIT_SECONDS = 2
#: What was just given, a right or a key, is known everywhere within minutes; how long and how often it is waited for.
SETTLING_SECONDS = 300
_SETTLING_LOOK_SECONDS = 10.0
_WORTH_ANOTHER = {408, 429, 500, 502, 503, 504}
_LOOPBACK = {"127.0.0.1", "localhost"}


class Refused(Exception):
    """An answer that is no success; the text says what was asked and what was answered.

    Attributes:
        status: of HTTP; 0 where nothing answered.
    """

    def __init__(self, doing: str, status: int, said: str) -> None:
        super().__init__(f"{doing}: HTTP {status}: {said[:600]}" if status else f"{doing}: {said}")
        self.status = status


def ask(
    doing: str, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """Send one request, again while nothing answers or the answer is that it cannot now; give the answer's body.

    Everything that is asked here may be asked twice: an upload goes to one place once, and a job has a request id.

    Args:
        doing: for the error's text.
        method: of HTTP.
        url: `https://…`, or `http://` on this machine.
        headers: of the request.
        body: of the request.

    Raises:
        Refused: an answer that will not change, or none at all.
    """
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(doing, method, url, dict(headers or {}), body)
        except Refused as exc:
            if attempt == ATTEMPTS or (exc.status and exc.status not in _WORTH_ANOTHER):
                raise
        time.sleep(wait)
        wait *= 2
    raise AssertionError("the last attempt answers or raises")


def _once(doing: str, method: str, url: str, headers: dict[str, str], body: bytes | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{doing}: {parts.scheme}://{parts.netloc} is not encrypted; a token must not go there")
    kind = http.client.HTTPConnection if parts.scheme == "http" else http.client.HTTPSConnection
    connection = kind(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Refused(doing, 0, f"{parts.netloc} does not answer: {exc}") from exc
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise Refused(doing, answer.status, content.decode(errors="replace"))
    return content


def ask_json(doing: str, method: str, url: str, token: str | None = None, body: object = None, **more: str) -> Any:
    """Ask as `ask` does, JSON in both directions; `token` is a bearer's."""
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return json.loads(ask(doing, method, url, headers, None if body is None else json.dumps(body).encode()) or b"null")


T = TypeVar("T")


def patiently(action: Callable[[], T], is_settling: Callable[[Refused], bool]) -> T:
    """Do something again while its refusal may only mean that a right or a key is new.

    Raises:
        Refused: the refusal is another one, or is still the same after five minutes.
    """
    until = time.monotonic() + SETTLING_SECONDS
    while True:
        try:
            return action()
        except Refused as exc:
            if not is_settling(exc) or time.monotonic() > until:
                raise
        time.sleep(_SETTLING_LOOK_SECONDS)


def call(url: str, token: str, data: object) -> Any:
    """Call a Firebase callable as its SDK does; give its result."""
    doing = f"call {url.rpartition('/')[2]}"

    def refused_at_the_door(exc: Refused) -> bool:
        # A callable refuses in the protocol's JSON; a page of HTML is Cloud Run's, which may not know yet who may call.
        return exc.status in {403, 404} and '"error"' not in str(exc)

    return patiently(lambda: ask_json(doing, "POST", url, token, {"data": data}), refused_at_the_door)["result"]
