"""The three ways into the storage server: media, multipart and resumable."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import Any

from tests.cloud.servers.http import Answer, Refused, Request, json_object
from tests.cloud.servers.storage_content import ContentWriter
from tests.cloud.servers.storage_objects import Conditions, Objects, StoredObject

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class _Session:
    """One resumable upload."""

    bucket: str
    name: str
    fields: dict[str, Any]
    conditions: Conditions
    writer: ContentWriter
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: The object resource, once it is whole; not the object, whose bytes may go before the session is forgotten.
    made: dict[str, Any] | None = None


class Uploads:
    """Takes uploads; a refused one leaves nothing.

    Args:
        objects: where they go.
        resource: gives the object resource that a finished upload answers.
    """

    def __init__(self, objects: Objects, resource: Callable[[StoredObject], dict[str, Any]]) -> None:
        self._objects = objects
        self._resource = resource
        self._sessions: dict[str, _Session] = {}

    def media(self, request: Request) -> StoredObject:
        """Take an upload that is nothing but the content."""
        fields = {"contentType": request.headers.get("Content-Type"), **sums_of(request.headers)}
        content = self._objects.take(request.stream.pieces())
        name = request.query.get("name", "")
        return self._objects.put(request.found["bucket"], name, content, fields, Conditions.of_query(request.query))

    def multipart(self, request: Request) -> StoredObject:
        """Take an upload of two parts: what is said of the object, and its content."""
        boundary = _headers(f"Content-Type: {request.headers.get('Content-Type')}".encode()).get_boundary()
        if not boundary:
            raise Refused(400, "Missing boundary in the content type of a multipart upload.", "invalid")
        (_, said), (head, content) = _parts(request.body(), boundary.encode())
        fields = {"contentType": head.get("Content-Type"), **json_object(said)}
        name = fields.get("name") or request.query.get("name", "")
        conditions = Conditions.of_query(request.query)
        return self._objects.put(request.found["bucket"], name, self._objects.take([content]), fields, conditions)

    def begin(self, request: Request) -> str:
        """Begin a resumable upload; give its id."""
        said = request.json()
        fields = {"contentType": request.headers.get("X-Upload-Content-Type"), **said}
        name, conditions = said.get("name") or request.query.get("name", ""), Conditions.of_query(request.query)
        return self.begin_session(request.found["bucket"], name, fields, conditions)

    def begin_session(self, bucket: str, name: str, fields: dict[str, Any], conditions: Conditions) -> str:
        """Begin a resumable upload whose preconditions hold now; they are looked at again at its end."""
        conditions.check(self._objects.find(bucket, name))
        upload_id = secrets.token_urlsafe(24)
        self._sessions[upload_id] = _Session(bucket, name, fields, conditions, self._objects.writer())
        return upload_id

    def resume(self, request: Request) -> Answer:
        """Take a chunk, or say how much is here (308); give the object when it is whole."""
        session = self._session(request)
        with session.lock:
            if session.made is None:
                total = self._take_chunk(session, request)
                if total is None or session.writer.size_bytes < total:
                    have = session.writer.size_bytes
                    return Answer(308, headers={"Range": f"bytes=0-{have - 1}"} if have else {})
                session.made = self._resource(self._finish(session, request))
            return Answer.of_json(session.made)

    def _finish(self, session: _Session, request: Request) -> StoredObject:
        fields, content = session.fields | sums_of(request.headers), session.writer.content()
        try:
            return self._objects.put(session.bucket, session.name, content, fields, session.conditions)
        except Refused:
            # Its bytes are gone with it.
            self._sessions.pop(request.query["upload_id"], None)
            raise

    def cancel(self, request: Request) -> Answer:
        """Forget a resumable upload."""
        self._session(request)
        del self._sessions[request.query["upload_id"]]
        # Source: https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
        return Answer(499)

    def _session(self, request: Request) -> _Session:
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise Refused(404, "No such upload session.", "notFound")
        return session

    def _take_chunk(self, session: _Session, request: Request) -> int | None:
        """Append what is new of a chunk; give the length of the whole where it is known."""
        said = request.headers.get("Content-Range")
        if said is None:
            session.writer.write(request.stream.pieces())
            return session.writer.size_bytes
        found = _CONTENT_RANGE.fullmatch(said)
        if found is None:
            raise Refused(400, f"Invalid Content-Range: {said!r}", "invalid")
        if found[1] is not None:
            if int(found[1]) > session.writer.size_bytes:
                raise Refused(400, f"A gap: {session.writer.size_bytes} bytes are here.", "invalid")
            session.writer.write(_without(request.stream.pieces(), session.writer.size_bytes - int(found[1])))
        return None if found[3] == "*" else int(found[3])


def sums_of(headers: Message) -> dict[str, str]:
    """Give the checksums that `X-Goog-Hash` names, as fields of an object."""
    sums = {}
    for said in headers.get("X-Goog-Hash", "").split(","):
        name, _, value = said.strip().partition("=")
        if field_name := {"crc32c": "crc32c", "md5": "md5Hash"}.get(name):
            sums[field_name] = value
    return sums


def _without(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Leave the first `count` bytes out: they came before."""
    for piece in pieces:
        if rest := piece[count:]:
            yield rest
        count = max(0, count - len(piece))


def _parts(body: bytes, boundary: bytes) -> list[tuple[Message, bytes]]:
    """Give head and content of both parts; the content may hold anything but the boundary."""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(parts) != 4 or not parts[-1].startswith(b"--"):
        raise Refused(400, "A multipart upload should have two parts.", "invalid")
    found = []
    for part in parts[1:3]:
        head, _, content = part.partition(b"\r\n\r\n")
        found.append((_headers(head.strip()), content))
    return found


def _headers(head: bytes) -> Message:
    return BytesParser().parsebytes(head + b"\r\n\r\n")
