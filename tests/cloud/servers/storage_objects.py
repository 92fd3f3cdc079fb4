"""The objects of the storage server: their bytes in files, their generations, their preconditions."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.cloud.servers.http import Refused
from tests.cloud.servers.storage_content import Content, ContentWriter

#: What a writer may say of an object.
FIELDS = (
    "contentType",
    "metadata",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "customTime",
)
#: Source: https://cloud.google.com/storage/docs/objects#naming
NAME_MAX_BYTES = 1024


@dataclass(frozen=True)
class StoredObject:
    """One generation of one object."""

    bucket: str
    name: str
    content: Content
    generation: int
    time_created: str
    updated: str
    metageneration: int = 1
    #: Of `FIELDS`, what the writer said.
    fields: dict[str, Any] = field(default_factory=dict)
    #: How many objects a composed one came from; None for one that was uploaded.
    component_count: int | None = None

    @property
    def uri(self) -> str:
        return f"gs://{self.bucket}/{self.name}"

    @property
    def content_type(self) -> str:
        return str(self.fields.get("contentType") or "application/octet-stream")

    @property
    def etag(self) -> str:
        return base64.b64encode(f"{self.generation}/{self.metageneration}".encode()).decode()

    def resource(self, server_url: str) -> dict[str, Any]:
        """Give the object resource of the JSON API."""
        path = f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        shown = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{server_url}/{path}",
            "mediaLink": f"{server_url}/download/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "storageClass": "STANDARD",
            "size": str(self.content.size_bytes),
            "crc32c": self.content.crc32c,
            "etag": self.etag,
            "timeCreated": self.time_created,
            "updated": self.updated,
            "timeStorageClassUpdated": self.time_created,
            **self.fields,
            "contentType": self.content_type,
        }
        # A composed object has no MD5: Source: https://cloud.google.com/storage/docs/hashes-etags
        own = {"md5Hash": self.content.md5} if self.component_count is None else {}
        return shown | own | ({"componentCount": self.component_count} if self.component_count else {})


@dataclass(frozen=True)
class Conditions:
    """The preconditions of one request; None asks nothing."""

    generation: int | None = None
    generation_not: int | None = None
    metageneration: int | None = None
    metageneration_not: int | None = None

    @classmethod
    def of_query(cls, query: Mapping[str, str], prefix: str = "if") -> Conditions:
        """Read them from a query, or with `ifSource` those of a copy's source."""
        names = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")
        return cls(*(_number(query.get(prefix + name), prefix + name) for name in names))

    def check(self, present: StoredObject | None, refusal: int = 412) -> None:
        """Raise `Refused` when the present generation is another than the one asked for."""
        generation = present.generation if present else 0
        met = (
            self.generation in {None, generation},
            self.generation_not != generation,
            self.metageneration is None or (present is not None and present.metageneration == self.metageneration),
            self.metageneration_not is None or present is None or present.metageneration != self.metageneration_not,
        )
        if not all(met[0::2]):
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
        if not all(met):
            raise Refused(refusal, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")


def _number(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise Refused(400, f"Invalid value for {name}: {text!r}", "invalid")
    return int(text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Objects:
    """All objects of all buckets. Thread-safe.

    Args:
        folder: where the bytes lie, in files without a name of their own.
        finalized: is told of every new object, after it is there.
    """

    def __init__(self, folder: Path, finalized: Callable[[StoredObject], None]) -> None:
        self.buckets: dict[str, dict[str, Any]] = {}
        #: Bytes that a bucket may hold; none of a bucket without a limit.
        self.room_bytes: dict[str, int] = {}
        self._folder = folder
        self._finalized = finalized
        self._objects: dict[tuple[str, str], StoredObject] = {}
        self._lock = threading.RLock()
        self._generation = 0
        self._files = 0

    def create_bucket(self, name: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._lock:
            if name in self.buckets:
                raise Refused(409, "Your previous request to create the named bucket succeeded.", "conflict")
            own = {"kind": "storage#bucket", "id": name, "name": name, "metageneration": "1", "location": "US"}
            when = {"timeCreated": _now(), "updated": _now(), "storageClass": "STANDARD", "projectNumber": "1"}
            self.buckets[name] = {**own, **when, **(fields or {})}
            return self.buckets[name]

    def bucket(self, name: str) -> dict[str, Any]:
        if name not in self.buckets:
            raise Refused(404, "The specified bucket does not exist.", "notFound")
        return self.buckets[name]

    def delete_bucket(self, name: str) -> None:
        with self._lock:
            self.bucket(name)
            if any(bucket == name for bucket, _ in self._objects):
                raise Refused(409, "The bucket you tried to delete is not empty.", "conflict")
            del self.buckets[name]

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """Give the present generation; None when there is none."""
        self.bucket(bucket)
        return self._objects.get((bucket, name))

    def get(self, bucket: str, name: str, generation: str | int | None = None) -> StoredObject:
        """Give the present generation, or refuse with 404."""
        present = self.find(bucket, name)
        if present is None or generation not in {None, present.generation, str(present.generation)}:
            raise Refused(404, f"No such object: {bucket}/{name}", "notFound")
        return present

    def listed(self, bucket: str) -> list[StoredObject]:
        """Give all objects of a bucket, by name."""
        self.bucket(bucket)
        with self._lock:
            found = [each for (owner, _), each in self._objects.items() if owner == bucket]
        return sorted(found, key=lambda each: each.name)

    def writer(self) -> ContentWriter:
        """Give a place for bytes."""
        with self._lock:
            self._files += 1
            return ContentWriter(self._folder / f"{self._files}.bytes")

    def take(self, pieces: Iterable[bytes]) -> Content:
        """Put bytes into a file."""
        writer = self.writer()
        writer.write(pieces)
        return writer.content()

    def put(
        self,
        bucket: str,
        name: str,
        content: Content,
        fields: Mapping[str, Any] | None = None,
        conditions: Conditions | None = None,
        component_count: int | None = None,
    ) -> StoredObject:
        """Make a new generation, atomically, and tell of it.

        Raises:
            Refused: no bucket, a bad name, a precondition, a checksum that differs, or no room.
        """
        said = fields or {}
        _check_name(name)
        _check_sums(said, content)
        with self._lock:
            (conditions or Conditions()).check(self.find(bucket, name))
            self._check_room(bucket, name, content)
            self._generation = max(self._generation + 1, time.time_ns() // 1000)
            kept = {key: said[key] for key in FIELDS if said.get(key) is not None}
            moment = _now()
            made = StoredObject(bucket, name, content, self._generation, moment, moment, 1, kept, component_count)
            self._objects[bucket, name] = made
        self._finalized(made)
        return made

    def patch(self, bucket: str, name: str, changes: Mapping[str, Any], conditions: Conditions) -> StoredObject:
        """Change what is said of an object; its bytes and its generation stay."""
        with self._lock:
            present = self.get(bucket, name)
            conditions.check(present)
            fields = dict(present.fields)
            for key in FIELDS:
                if key in changes:
                    fields[key] = _patched(fields.get(key), changes[key])
            fields = {key: value for key, value in fields.items() if value is not None}
            changed = replace(present, fields=fields, metageneration=present.metageneration + 1, updated=_now())
            self._objects[bucket, name] = changed
            return changed

    def delete(self, bucket: str, name: str, generation: str | None, conditions: Conditions) -> None:
        with self._lock:
            conditions.check(self.get(bucket, name, generation))
            del self._objects[bucket, name]

    def _check_room(self, bucket: str, name: str, content: Content) -> None:
        room = self.room_bytes.get(bucket)
        if room is not None:
            others = (each for each in self.listed(bucket) if each.name != name)
            if sum(each.content.size_bytes for each in others) + content.size_bytes > room:
                raise Refused(403, "The storage quota of this bucket is exceeded.", "quotaExceeded")


def _patched(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {key: value for key, value in {**old, **new}.items() if value is not None}


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > NAME_MAX_BYTES or "\r" in name or "\n" in name or name in {".", ".."}:
        raise Refused(400, f"The specified object name is not valid: {name[:80]!r}", "invalid")


def _check_sums(said: Mapping[str, Any], content: Content) -> None:
    if said.get("crc32c") not in {None, content.crc32c}:
        text = f"Provided CRC32C {said['crc32c']!r} doesn't match calculated CRC32C {content.crc32c!r}."
        raise Refused(400, text, "invalid")
    if said.get("md5Hash") not in {None, content.md5}:
        text = f"Provided MD5 hash {said['md5Hash']!r} doesn't match calculated MD5 hash {content.md5!r}."
        raise Refused(400, text, "invalid")
