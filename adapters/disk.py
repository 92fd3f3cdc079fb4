"""The embedded object store: a folder laid out `bucket/object`, so that a person finds a clip with `ls`.

An object is written beside the folder under a name of its own and renamed into place: readers see all of it or none.
Its generation is its modification time in nanoseconds, which only rises; so a file needs no paper beside it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from events.errors import DiskFull, LimitExceeded, NotFound, PipelineError, PreconditionFailed
from events.names import CHECKPOINTS, parse_uri
from pipeline.object_port import ObjectInfo

#: What the system says where there is no object of a name.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}

#: The folder of half-written objects; its name is no bucket's.
_PARTS = ".parts"
#: The file in it whose lock is held while an object is put into place.
_TURN = "turn"
#: When a half-written object is nobody's any more; every job ends within a day.
LEFT_OVER_SECONDS = 2 * 24 * 3600
#: How long the checkpoints of a film are kept that nobody goes on with (decision 0018).
CHECKPOINTS_KEPT_SECONDS = 7 * 24 * 3600


class DiskObjectStore:
    """Objects in a folder.

    Args:
        root: the folder; it is made when it is not there.
        on_finalize: is told of every object that was written; None tells nobody.
    """

    def __init__(self, root: Path, on_finalize: Callable[[ObjectInfo], None] | None = None) -> None:
        #: The folder that holds the buckets.
        self.root = root.absolute()
        #: The folder of half-written objects, on the same file system.
        self.parts = self.root / _PARTS
        self._on_finalize = on_finalize
        self.parts.mkdir(parents=True, exist_ok=True)

    def stat(self, uri: str) -> ObjectInfo | None:
        """Give the present version of an object; None when there is none."""
        try:
            found = self.path(uri).stat()
        except OSError as exc:
            if exc.errno in _ABSENT:
                return None
            raise PipelineError(f"look at {uri}: {exc.strerror or exc}") from exc
        # A folder is no object, though a name may lead to one.
        return ObjectInfo(uri, found.st_mtime_ns, found.st_size) if S_ISREG(found.st_mode) else None

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Give every object whose URI starts with `prefix_uri`, by name."""
        # With a letter behind it, a prefix must be a name; so it cannot lead out of the folder either.
        parsed = parse_uri(f"{prefix_uri}x")
        bucket, prefix = parsed.bucket, parsed.name[:-1]
        folder = self.root / bucket
        start = folder / prefix.rpartition("/")[0]
        found = []
        for path in start.rglob("*") if start.is_dir() else ():
            name = path.relative_to(folder).as_posix()
            if name.startswith(prefix) and path.is_file():
                info = self.stat(f"gs://{bucket}/{name}")
                found += [info] if info is not None else []
        return sorted(found, key=lambda info: info.uri)

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        """Read a range of an object."""
        try:
            with self.path(uri).open("rb") as file:
                if generation is not None and os.fstat(file.fileno()).st_mtime_ns != generation:
                    raise NotFound(f"read {uri}: it was changed since it was looked at")
                file.seek(offset)
                return file.read(-1 if length is None else length)
        except OSError as exc:
            if exc.errno in _ABSENT:
                raise NotFound(f"read {uri}: there is no such object") from exc
            raise PipelineError(f"read {uri}: {exc.strerror or exc}") from exc

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        """Write a whole object atomically."""
        with self.part(uri) as part:
            part.write_bytes(content)
            return self.finish(part, uri, if_generation)

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        """Write an object that is its sources one after another."""
        if not 1 <= len(source_uris) <= 32:
            raise PipelineError(f"compose {uri}: {len(source_uris)} sources; one call takes 1 to 32")
        if {parse_uri(source).bucket for source in source_uris} != {parse_uri(uri).bucket}:
            raise PipelineError(f"compose {uri}: a source lies in another bucket")
        with self.part(uri) as part:
            with part.open("wb") as whole:
                for source in source_uris:
                    with self._source(uri, source) as file:
                        shutil.copyfileobj(file, whole, 1 << 20)
            return self.finish(part, uri, if_generation)

    def delete(self, uri: str) -> None:
        """Delete an object; without one, nothing happens."""
        if self.stat(uri) is not None:
            self.path(uri).unlink(missing_ok=True)

    def path(self, uri: str) -> Path:
        """Give the file of an object, for those who read it in place.

        Raises:
            BadMessage: the URI is not well formed, so it cannot lead out of the folder.
        """
        parsed = parse_uri(uri)
        return self.root / parsed.bucket / parsed.name

    @contextmanager
    def part(self, uri: str) -> Iterator[Path]:
        """Lend a place for a half-written object, on the same file system; it is removed afterwards."""
        path = self.parts / f"{os.getpid()}-{secrets.token_hex(8)}{Path(uri).suffix}"
        try:
            yield path
        except OSError as exc:
            if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise disk_full(f"write {uri}", self.root) from exc
            if exc.errno == errno.EFBIG:
                raise LimitExceeded(f"write {uri}: it is larger than a file may be here") from exc
            raise PipelineError(f"write {uri}: {exc.strerror or exc}") from exc
        finally:
            path.unlink(missing_ok=True)

    def finish(self, part: Path, uri: str, if_generation: int | None = None) -> ObjectInfo:
        """Make a finished part an object, atomically and durably, and tell of it."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        with self._turn():
            present = self.stat(uri)
            generation = present.generation if present else 0
            if if_generation is not None and if_generation != generation:
                raise PreconditionFailed(f"write {uri}: its generation is {generation}, not {if_generation}")
            _set_generation(part, generation + 1)
            part.replace(target)
        self._keep_name(target)
        info = self.stat(uri)
        assert info is not None
        if self._on_finalize is not None:
            self._on_finalize(info)
        return info

    def _keep_name(self, target: Path) -> None:
        """Make a new name survive a power cut: it stands in its folder, and the folder perhaps in a new one too."""
        for folder in target.parents:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if folder == self.root:
                break

    def take_in(self, source: Path, uri: str) -> ObjectInfo:
        """Make a user's file an object: by a hard link where the file system allows it, else by a copy.

        Raises:
            NotFound: the file is not there or cannot be read.
        """
        target = self.path(uri)
        with self.part(uri) as part:
            try:
                _link_or_copy(source.resolve(strict=True), part)
            except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
                raise NotFound(f"read {source}: {exc.strerror or exc}") from exc
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._turn():
                present = self.stat(uri)
                if present is not None and part.stat().st_mtime_ns <= present.generation and not part.samefile(target):
                    # A generation only rises, and the time of a user's own file is not ours to change.
                    _make_own(part)
                    _set_generation(part, present.generation + 1)
                part.replace(target)
        info = self.stat(uri)
        assert info is not None
        return info

    def tidy(self) -> None:
        """Remove what writers that died have left half-written, and checkpoints that nobody goes on with.

        Nobody writes at one object for LEFT_OVER_SECONDS, nor at a film without one for CHECKPOINTS_KEPT_SECONDS.
        """
        for path in self.parts.iterdir():
            with suppress(FileNotFoundError):
                if path.name != _TURN and time.time() - path.stat().st_mtime > LEFT_OVER_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        for job in self.root.glob(f"*/{CHECKPOINTS}/*"):
            with suppress(FileNotFoundError):
                latest = max(path.stat().st_mtime for path in (job, *job.rglob("*")))
                if time.time() - latest > CHECKPOINTS_KEPT_SECONDS:
                    shutil.rmtree(job)

    def announce(self, uri: str) -> bool:
        """Tell again of an object that is there, in case its writer died before it could; give whether it is."""
        info = self.stat(uri)
        if info is not None and self._on_finalize is not None:
            self._on_finalize(info)
        return info is not None

    def _source(self, uri: str, source: str) -> BinaryIO:
        try:
            return self.path(source).open("rb")
        except OSError as exc:
            if exc.errno in _ABSENT:
                raise NotFound(f"compose {uri}: there is no {source}") from exc
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Compare-and-rename needs a turn of its own among all processes; it takes microseconds.
        with (self.parts / _TURN).open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def disk_full(doing: str, folder: Path) -> DiskFull:
    """Make the error about a full disk: what we were doing, in which folder, and what is free there now.

    What was written by halves is gone by the time that anybody reads it.
    """
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    return DiskFull(f"{doing}: the disk is full: {free_mb:,} MB are free in {folder}; free some space and resume")


def _set_generation(part: Path, lowest: int) -> None:
    # The file system's own times are too coarse: two versions within four milliseconds would look the same.
    os.utime(part, ns=(time.time_ns(), max(time.time_ns(), lowest)))


def _link_or_copy(source: Path, part: Path) -> None:
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)


def _make_own(part: Path) -> None:
    linked = part.rename(part.with_name(f"{part.name}.linked"))
    try:
        shutil.copyfile(linked, part)
    finally:
        linked.unlink()
