"""Clips come from Cloud Storage and the film goes there: each clip is copied to the container's disk first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from events.errors import NotFound, PreconditionFailed
from gpu_job.leases import Holder, take_lease
from gpu_job.objects import Lease
from pipeline.object_port import ObjectInfo

if TYPE_CHECKING:
    from adapters.gcs import CloudObjectStore

#: What a browser should take an object for.
_CONTENT_TYPES = {".mp4": "video/mp4", ".json": "application/json"}


class CloudObjects:
    """Objects of Cloud Storage, as `gpu_job/objects.py` promises them.

    Args:
        store: speaks to Cloud Storage.
    """

    def __init__(self, store: CloudObjectStore) -> None:
        self._store = store

    @property
    def store(self) -> CloudObjectStore:
        """Cloud Storage."""
        return self._store

    def keep(self, path: Path, uri: str) -> ObjectInfo:
        """Upload the file."""
        content_type = _CONTENT_TYPES.get(Path(uri).suffix, "application/octet-stream")
        return self._store.upload_from(path, uri, content_type)

    def lease(self, uri: str, holder: Holder, seconds: float) -> Lease | None:
        """Take the lease that an object stands for."""
        return take_lease(self._store, uri, holder, seconds)

    def fetch(self, uri: str, generation: int, into: Path) -> Path:
        """Copy the object to `into`, once however often it is asked for."""
        name = hashlib.sha256(uri.encode()).hexdigest()[:16]
        path = into / f"fetched-{name}-{generation}"
        if path.exists():
            return path
        try:
            self._store.download_to(uri, path, generation)
        except NotFound as exc:
            raise self._why_not(uri, generation, exc) from exc
        return path

    def _why_not(self, uri: str, generation: int, missed: NotFound) -> NotFound | PreconditionFailed:
        present = self._store.stat(uri)
        if present is None or present.generation == generation:
            return missed
        return PreconditionFailed(
            f"fetch {uri}: it was changed after the plan was made "
            f"(generation {present.generation}, planned {generation})"
        )

    def copy_bytes(self, uri: str, size_bytes: int) -> int:
        """Give the object's own length: it is copied whole."""
        del uri
        return size_bytes

    def own_file(self, uri: str) -> None:
        """Give None: objects are far away."""
        del uri

    def read(self, uri: str) -> bytes | None:
        """Give a small object's bytes, or None."""
        try:
            return self._store.read(uri)
        except NotFound:
            return None

    def size_bytes(self, uri: str) -> int | None:
        """Give an object's length, or None."""
        found = self._store.stat(uri)
        return found.size_bytes if found else None

    def publish(self, path: Path, uri: str) -> None:
        """Upload the file; Cloud Storage shows an object only when all of it is there."""
        self.keep(path, uri)

    def write(self, uri: str, content: bytes) -> None:
        """Write a small object, or write over it."""
        self._store.write(uri, content)
