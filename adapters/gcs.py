"""Objects in Cloud Storage.

Every write says which generation it replaces, or is tried once only: a repeated request whose first answer was lost
could otherwise lay an old version over a newer one. Each write carries a token in the object's metadata, so that a
refusal which only says that our own first try got through is recognised.

Why the deadlines: the library repeats a failing request for 120 seconds, which is twice as long as our functions run.
After 20 seconds a call gives up with `Unavailable`; the event is then delivered again, by which time another machine
may do better.
"""

from __future__ import annotations

import base64
import errno
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.gcs_client import SOCKET_SECONDS, carried_out_never, patience, storage_errors, tries
from events.errors import LimitExceeded, NotFound, PipelineError, PreconditionFailed, Unavailable
from events.names import ObjectUri, parse_uri
from pipeline.object_port import ObjectInfo

if TYPE_CHECKING:
    from google.cloud.storage.blob import Blob
    from google.cloud.storage.client import Client

#: How long a call is repeated in a function that has 60 seconds, so that two may fail in one delivery.
DEADLINE_SECONDS = 20.0
#: How long the transfer of a film is repeated, in a job that has hours.
TRANSFER_SECONDS = 600.0
#: Bytes of an upload that are in memory at once; a multiple of 256 KiB, as the protocol wants.
CHUNK_SIZE_BYTES = 8 * 1024 * 1024
#: Source: https://cloud.google.com/storage/docs/composite-objects
COMPOSE_SOURCES_MAX = 32
#: Bytes of a name in UTF-8. Source: https://cloud.google.com/storage/docs/objects#naming
NAME_MAX_BYTES = 1024
#: The key in an object's metadata under which its writer's token stands.
WRITER_KEY = "longreel-write"

#: A larger upload has several requests, which the library repeats without harm: one session makes one object.
_ONE_REQUEST_MAX_BYTES = 8 * 1024 * 1024
_CONTENT_TYPES = {".mp4": "video/mp4", ".png": "image/png", ".json": "application/json"}


class CloudObjectStore:
    """Objects in Cloud Storage. Safe to use from many threads.

    Args:
        client: makes the client (`gcs_client.storage_client`); called once, by the first call that needs it.
        deadline_seconds: how long a failing call is repeated before it is `Unavailable`.
    """

    def __init__(self, client: Callable[[], Client], deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._make_client = client
        self._made: Client | None = None
        self._lock = threading.Lock()
        self._deadline_seconds = deadline_seconds

    def stat(self, uri: str) -> ObjectInfo | None:
        """Give the present version of an object; None when there is none."""
        found = self._find(parse_uri(uri))
        return None if found is None else _info(found)

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Give every object whose URI starts with `prefix_uri`, by name."""
        # With a letter behind it, a prefix must be a name.
        parsed = parse_uri(f"{prefix_uri}x")
        with storage_errors(f"list {prefix_uri}"):
            pages = self._client().list_blobs(
                parsed.bucket,
                prefix=parsed.name[:-1] or None,
                fields="items(bucket,name,generation,size,crc32c),nextPageToken",
                timeout=SOCKET_SECONDS,
                retry=patience(self._deadline_seconds),
            )
            return sorted((_info(blob) for blob in pages), key=lambda info: info.uri)

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        """Read a range of an object; only that range is fetched."""
        named = parse_uri(uri)
        if length is not None and length <= 0:
            return b""
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        ranged = offset > 0 or length is not None
        with self._reading(named):
            try:
                content: bytes = self._blob(named).download_as_bytes(
                    start=offset if ranged else None,
                    end=None if length is None else offset + length - 1,
                    if_generation_match=generation,
                    raw_download=True,
                    checksum=None if ranged else "crc32c",
                    timeout=SOCKET_SECONDS,
                    retry=patience(self._deadline_seconds),
                )
            except RequestRangeNotSatisfiable:
                return b""  # It begins behind the end.
        return content

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        """Write a whole object atomically."""
        retry = patience(self._deadline_seconds) if len(content) > _ONE_REQUEST_MAX_BYTES else None

        def upload(blob: Blob, condition: int | None) -> None:
            blob.upload_from_string(
                content,
                content_type=_content_type(uri),
                if_generation_match=condition,
                checksum="crc32c",
                timeout=SOCKET_SECONDS,
                retry=retry,
            )

        return self._make(f"write {uri}", uri, if_generation, upload, self._deadline_seconds)

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        """Write an object that is its sources one after another; no byte of them is moved."""
        named, sources = parse_uri(uri), [parse_uri(source) for source in source_uris]
        if not 1 <= len(sources) <= COMPOSE_SOURCES_MAX:
            raise PipelineError(f"compose {uri}: {len(sources)} sources; one call takes 1 to {COMPOSE_SOURCES_MAX}")
        if {source.bucket for source in sources} != {named.bucket}:
            raise PipelineError(f"compose {uri}: a source lies in another bucket")

        def compose(blob: Blob, condition: int | None) -> None:
            blob.content_type = _content_type(uri)
            parts = [self._blob(source) for source in sources]
            blob.compose(parts, if_generation_match=condition, timeout=SOCKET_SECONDS, retry=None)

        try:
            return self._make(f"compose {uri}", uri, if_generation, compose, self._deadline_seconds)
        except NotFound as exc:
            missing = next((str(source) for source in sources if self._find(source) is None), "its bucket")
            raise NotFound(f"compose {uri}: there is no {missing}") from exc

    def delete(self, uri: str) -> None:
        """Delete an object; without one, nothing happens."""
        named = parse_uri(uri)
        # Only what is there now: a repeated request must not delete what came after.
        found = self._find(named)
        if found is None:
            return
        try:
            with storage_errors(f"delete {uri}"):
                retry = patience(self._deadline_seconds)
                found.delete(if_generation_match=found.generation, timeout=SOCKET_SECONDS, retry=retry)
        except (NotFound, PreconditionFailed):
            return  # Somebody else was faster: that version is gone.

    def download_to(self, uri: str, path: Path, generation: int | None = None) -> None:
        """Fetch a whole object into a file, a piece at a time; the file is whole and its checksum right, or not there.

        Raises:
            NotFound: there is no such object, or `generation` is not its present one.
            LimitExceeded: the disk is full.
        """
        named = parse_uri(uri)
        part = path.with_name(f"{path.name}.part")
        try:
            with self._reading(named), _disk(f"fetch {uri}"), part.open("wb") as file:
                self._blob(named).download_to_file(
                    file,
                    if_generation_match=generation,
                    raw_download=True,
                    checksum="crc32c",
                    timeout=SOCKET_SECONDS,
                    retry=patience(TRANSFER_SECONDS),
                )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def upload_from(
        self, path: Path, uri: str, content_type: str = "video/mp4", if_generation: int | None = None
    ) -> ObjectInfo:
        """Write a file as a whole object, a chunk at a time; a break costs one chunk, and the checksum is compared.

        Raises:
            PreconditionFailed: the present generation is another than `if_generation`.
            LimitExceeded: there is no room for it.
        """

        def upload(blob: Blob, condition: int | None) -> None:
            blob.chunk_size = CHUNK_SIZE_BYTES
            size_bytes = path.stat().st_size
            with path.open("rb") as file:
                blob.upload_from_file(
                    file,
                    size=size_bytes,
                    content_type=content_type,
                    if_generation_match=condition,
                    checksum="crc32c",
                    timeout=SOCKET_SECONDS,
                    retry=patience(TRANSFER_SECONDS) if size_bytes > _ONE_REQUEST_MAX_BYTES else None,
                )

        return self._make(f"write {uri}", uri, if_generation, upload, TRANSFER_SECONDS)

    def _make(
        self,
        doing: str,
        uri: str,
        if_generation: int | None,
        attempt: Callable[[Blob, int | None], None],
        deadline_seconds: float,
    ) -> ObjectInfo:
        """Make an object, once, however often `attempt` has to be repeated."""
        named, token, condition = _writable(doing, uri), secrets.token_hex(8), if_generation
        for is_last in tries(deadline_seconds):
            blob = self._blob(named)
            blob.metadata = {WRITER_KEY: token}
            try:
                with storage_errors(doing):
                    attempt(blob, condition)
                return _info(blob)
            except (PreconditionFailed, Unavailable) as exc:
                found = self._find(named)
                if found is not None and (found.metadata or {}).get(WRITER_KEY) == token:
                    return _info(found)  # An earlier try of ours got through; only its answer was lost.
                if isinstance(exc, PreconditionFailed) and if_generation is None:
                    # The caller asked for no condition: it was ours, and a later call may succeed.
                    raise Unavailable(f"{doing}: somebody else wrote at the same time ({exc.message})") from exc
                if is_last or isinstance(exc, PreconditionFailed) or _may_undo(exc, condition, found):
                    raise
                if condition is None and not carried_out_never(exc):
                    condition = 0
        raise AssertionError("the last try either returns or raises")

    def _find(self, named: ObjectUri) -> Blob | None:
        if len(named.name.encode()) > NAME_MAX_BYTES:
            return None
        with storage_errors(f"look at {named}"):
            bucket = self._client().bucket(named.bucket)
            return bucket.get_blob(named.name, timeout=SOCKET_SECONDS, retry=patience(self._deadline_seconds))

    def _blob(self, named: ObjectUri) -> Blob:
        return self._client().bucket(named.bucket).blob(named.name)

    def _client(self) -> Client:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    @contextmanager
    def _reading(self, named: ObjectUri) -> Iterator[None]:
        if len(named.name.encode()) > NAME_MAX_BYTES:
            raise NotFound(f"read {named}: no object has so long a name")
        try:
            with storage_errors(f"read {named}"):
                yield
        except PreconditionFailed as exc:
            raise NotFound(f"read {named}: it was changed since it was looked at") from exc


def _writable(doing: str, uri: str) -> ObjectUri:
    named = parse_uri(uri)
    if len(named.name.encode()) > NAME_MAX_BYTES:
        raise PipelineError(f"{doing}: its name should have at most {NAME_MAX_BYTES} bytes")
    return named


def _may_undo(exc: PipelineError, condition: int | None, found: Blob | None) -> bool:
    """Tell whether what is there now could be newer than a try of which nobody knows whether it arrived."""
    return condition is None and found is not None and not carried_out_never(exc)


@contextmanager
def _disk(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise LimitExceeded(f"{doing}: the disk has no room for it") from exc
        raise


def _info(blob: Blob) -> ObjectInfo:
    crc32c = None if blob.crc32c is None else int.from_bytes(base64.b64decode(blob.crc32c), "big")
    return ObjectInfo(f"gs://{blob.bucket.name}/{blob.name}", int(blob.generation), int(blob.size), crc32c)


def _content_type(uri: str) -> str:
    return _CONTENT_TYPES.get(uri[uri.rfind(".") :], "application/octet-stream")
