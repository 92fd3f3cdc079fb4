"""Files that are there when they are done, and not before; and what is said where the disk has no room for them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from events.errors import LimitExceeded, NotFound, StitchFailed

#: What a full disk says: no space, quota used up, file too large.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def new_file(output: Path, size_bytes: int) -> Iterator[tuple[Path, int]]:
    """Give a temporary file beside `output` that takes its name when the block ends well, and is gone when not.

    Raises:
        NotFound: the folder does not exist.
        LimitExceeded: the disk has no room, beforehand or on the way.
    """
    part = output.with_name(f".{output.name}.{os.urandom(4).hex()}.part")
    try:
        refuse_too_large(output, size_bytes)
        target = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFound(f"write {output}: there is no folder {output.parent}") from exc
    except OSError as exc:
        raise StitchFailed(f"write {output}: {exc.strerror}") from exc
    try:
        try:
            yield part, target
        finally:
            os.close(target)
        part.replace(output)
    except OSError as exc:
        raise disk_error(output, size_bytes, exc) from exc
    finally:
        part.unlink(missing_ok=True)


def refuse_too_large(output: Path, size_bytes: int) -> None:
    """Raise LimitExceeded where the disk has no room for so many bytes."""
    free = _free_bytes(output)
    if free < size_bytes:
        raise LimitExceeded(
            f"write {output}: the film needs {size_bytes} bytes, but the disk has {free} free; "
            "make room or choose another disk"
        )


def _free_bytes(output: Path) -> int:
    disk = os.statvfs(output.parent)
    return disk.f_bavail * disk.f_frsize


def disk_error(output: Path, size_bytes: int, exc: OSError) -> LimitExceeded | StitchFailed:
    """Give the error of a film of so many bytes that could not be written for this reason."""
    if exc.errno in _FULL:
        return LimitExceeded(
            f"write {output}: the disk became full ({exc.strerror}); the film needs {size_bytes} bytes. "
            "Nothing was left behind; make room or choose another disk"
        )
    return StitchFailed(f"write {output}: {exc.strerror or exc}")
