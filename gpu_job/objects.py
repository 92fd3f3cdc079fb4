"""Where clips come from and where the film goes: `gs://bucket/object`, whatever lies behind it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Protocol

from adapters.disk import DiskObjectStore
from events.errors import NotFound, PreconditionFailed, Unavailable
from gpu_job.leases import Holder
from pipeline.object_port import ObjectInfo, ObjectStore


class Lease(Protocol):
    """A right to work that one worker has at a time; it ends with its holder."""

    def renew(self) -> bool:
        """Say that the holder still works; False where somebody else has taken the lease over."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


class Objects(Protocol):
    """What the stitch program needs of an object store."""

    @property
    def store(self) -> ObjectStore:
        """The store itself, for small objects and for looking around."""
        ...

    def keep(self, path: Path, uri: str) -> ObjectInfo:
        """Make a file an object, as `publish` does, and tell which version it became."""
        ...

    def lease(self, uri: str, holder: Holder, seconds: float) -> Lease | None:
        """Take the lease of this name; None where another worker has it and is alive.

        Args:
            uri: of an object that may stand for the lease.
            holder: who takes it.
            seconds: how long a holder may be silent before it counts as dead, where only its silence tells.
        """
        ...

    def fetch(self, uri: str, generation: int, into: Path) -> Path:
        """Give a local file with the object's bytes; it is read only, and may be a new file below `into`.

        Raises:
            NotFound: there is no such object.
            PreconditionFailed: it is another generation.
            Unavailable: the store did not answer.
        """
        ...

    def copy_bytes(self, uri: str, size_bytes: int) -> int:
        """Give how many bytes of disk fetching this object takes: none where it can be read in place."""
        ...

    def own_file(self, uri: str) -> Path | None:
        """Give the file that is an object, or would be; None where objects are far away."""
        ...

    def read(self, uri: str) -> bytes | None:
        """Give a small object's bytes; None where there is no such object."""
        ...

    def size_bytes(self, uri: str) -> int | None:
        """Give an object's length; None where there is no such object."""
        ...

    def publish(self, path: Path, uri: str) -> None:
        """Make the file the object, all at once: nobody ever sees a part of it; an older one is replaced.

        The file itself may be gone afterwards.

        Raises:
            LimitExceeded: there is no room for it.
            Unavailable: the store did not answer.
        """
        ...


class DiskObjects:
    """The embedded store's objects: clips are read where they lie, the film is moved into place."""

    def __init__(self, root: Path) -> None:
        self._store = DiskObjectStore(root)

    @property
    def store(self) -> DiskObjectStore:
        """The folder."""
        return self._store

    def keep(self, path: Path, uri: str) -> ObjectInfo:
        """Move the file into its place; one that lies in the store is never in between."""
        with self._store.part(uri) as part:
            if path.is_relative_to(self._store.root):
                return self._store.finish(path, uri)
            shutil.move(path, part)
            return self._store.finish(part, uri)

    def lease(self, uri: str, holder: Holder, seconds: float) -> Lease:
        """Take a lock of the kernel, which ends with its holder, however that dies.

        Raises:
            Unavailable: another process has it.
        """
        del holder, seconds
        name = f"lease-{hashlib.sha256(uri.encode()).hexdigest()[:16]}.lock"
        handle = os.open(self._store.parts / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(handle)
            # Whoever started us waits for a film: it may ask again, and finds then what the other one has made.
            raise Unavailable(f"stitch by {uri}: another stitch of it is at work") from exc
        return _Lock(handle)

    def fetch(self, uri: str, generation: int, into: Path) -> Path:
        """Give the object's own file."""
        del into
        found = self._store.stat(uri)
        if found is None:
            raise NotFound(f"fetch {uri}: there is no such object in {self._store.root}")
        if found.generation != generation:
            raise PreconditionFailed(
                f"fetch {uri}: it was changed after the plan was made "
                f"(generation {found.generation}, planned {generation})"
            )
        return self._store.path(uri)

    def copy_bytes(self, uri: str, size_bytes: int) -> int:
        """Give 0: objects are read in place."""
        del uri, size_bytes
        return 0

    def own_file(self, uri: str) -> Path:
        """Give the object's own file."""
        return self._store.path(uri)

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
        """Move the file into its place; it is copied first where it lies on another file system."""
        self.keep(path, uri)


class _Lock:
    """A locked file; the kernel lets go of it when it is closed."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def renew(self) -> bool:
        """Do nothing: as long as we live it is ours."""
        return True

    def release(self) -> None:
        """Let go of it; once."""
        os.close(self._handle)
