"""Where clips come from and where the film goes: `gs://bucket/object`, whatever lies behind it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from adapters.disk import DiskObjectStore
from events.errors import NotFound, PreconditionFailed


class Objects(Protocol):
    """What the stitch program needs of an object store."""

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
        with self._store.part(uri) as part:
            shutil.move(path, part)
            self._store.finish(part, uri)
