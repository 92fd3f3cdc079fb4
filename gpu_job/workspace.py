"""A folder for one stitch's temporary files: locked while it is used, gone afterwards, and checked for room before."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from events.errors import DiskFull, Unavailable

#: Kept free whatever we do: a full disk breaks more than this stitch.
RESERVE_BYTES = 64 * 1024 * 1024


@contextmanager
def workspace(work: Path, job_id: str) -> Iterator[Path]:
    """Make an empty folder for a job's stitch inside `work`; it is removed at the end of the `with` block.

    What a killed stitch of the same job left there is removed first. The kernel lets go of the lock when the process
    dies, however it dies.

    Raises:
        Unavailable: another stitch of this job is at work here.
    """
    work.mkdir(parents=True, exist_ok=True)
    # A job id may come from a plan that somebody typed: it is no file name.
    name = f"stitch-{hashlib.sha256(job_id.encode()).hexdigest()[:16]}"
    lock = os.open(work / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Unavailable(f"stitch job {job_id}: another stitch of it is at work in {work}") from exc
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder.absolute()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def require_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse to begin what cannot end.

    Raises:
        DiskFull: less than `needed_bytes` and the reserve is free.
    """
    free = shutil.disk_usage(folder).free
    needed = needed_bytes + RESERVE_BYTES
    if free < needed:
        raise DiskFull(
            f"{what}: about {_megabytes(needed)} MB of disk are needed in {folder}, {_megabytes(free)} MB are free, "
            f"so {_megabytes(needed - free)} MB are missing; free some space, or name another folder by --work"
        )


def _megabytes(size_bytes: int) -> str:
    return f"{-(-size_bytes // 1_000_000):,}"
