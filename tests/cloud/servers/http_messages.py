"""What a loopback server is asked and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from io import BufferedIOBase
from typing import Any

#: Bytes of a body that are held at once.
PIECE_SIZE_BYTES = 1 << 18


class Refused(Exception):
    """A handler says no: answered as Google's JSON error."""

    def __init__(self, status: int, message: str, reason: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.headers = headers or {}

    def answer(self) -> Answer:
        """Give it as Google's REST services do."""
        error = {"message": self.message, "domain": "global", "reason": self.reason or "refused"}
        body = {"error": {"code": self.status, "message": self.message, "errors": [error]}}
        if self.reason.isupper():
            # The newer services name a gRPC code, such as NOT_FOUND.
            body["error"]["status"] = self.reason
        return Answer.of_json(body, self.status, self.headers)


@dataclass
class Answer:
    """What a handler answers."""

    status: int = 200
    #: The body, whole or in pieces; pieces need `length`.
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/octet-stream"
    #: Length of the body in bytes; None for that of whole `body`.
    length: int | None = None

    def length_bytes(self) -> int:
        """Give the length of the body that is announced."""
        if self.length is not None:
            return self.length
        assert isinstance(self.body, bytes), "a body in pieces needs a length"
        return len(self.body)

    def pieces(self) -> Iterable[bytes]:
        """Give the body a piece at a time."""
        return [self.body] if isinstance(self.body, bytes) else self.body

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
        return cls(status, json.dumps(value).encode(), headers or {}, "application/json; charset=UTF-8")


@dataclass
class Request:
    """What a client asks."""

    method: str
    #: As sent, percent-encoded, without the query.
    path: str
    #: The query, decoded; the first value of each name.
    query: dict[str, str]
    #: Names in any case.
    headers: Message
    #: The named groups of the route's pattern, decoded.
    found: dict[str, str]
    stream: BodyStream
    #: The query as sent.
    raw_query: str = ""

    def body(self) -> bytes:
        """Read the rest of the body."""
        return b"".join(self.stream.pieces())

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object.

        Raises:
            Refused: it is none.
        """
        return json_object(self.body())


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; nothing is an empty one.

    Raises:
        Refused: it is none.
    """
    try:
        value = json.loads(body or b"{}")
    except ValueError as exc:
        raise Refused(400, f"Parse Error: {exc}", "parseError") from exc
    if not isinstance(value, dict):
        raise Refused(400, "Parse Error: the body should be a JSON object", "parseError")
    return value


class BodyStream:
    """The body of one request, sent with a length or in chunks; read once."""

    def __init__(self, file: BufferedIOBase, headers: Message) -> None:
        self._file = file
        self._chunked = "chunked" in (headers.get("Transfer-Encoding") or "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self._over = not self._chunked and self._left == 0
        #: Bytes read so far.
        self.received_bytes = 0

    def pieces(self) -> Iterator[bytes]:
        """Give what has not been read yet, a piece at a time.

        Raises:
            ConnectionError: the client went away before the end.
        """
        while not self._over:
            if self._left == 0 and not self._next_chunk():
                return
            piece = self._file.read(min(self._left, PIECE_SIZE_BYTES))
            if not piece:
                raise ConnectionResetError("the client went away in the middle of a body")
            self._left -= len(piece)
            self.received_bytes += len(piece)
            self._end_of_chunk()
            yield piece

    def _next_chunk(self) -> bool:
        self._left = int(self._file.readline().partition(b";")[0].strip() or b"0", 16)
        if self._left == 0:
            self._file.readline()
            self._over = True
        return not self._over

    def _end_of_chunk(self) -> None:
        if self._left == 0:
            if self._chunked:
                self._file.readline()
            else:
                self._over = True
