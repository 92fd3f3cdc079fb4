"""How the stitch program ends: its exit codes, so that whoever started it can tell "again" from "never".

The numbers are those of `sysexits.h` where it has one. Source: https://man.freebsd.org/cgi/man.cgi?query=sysexits.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.disk import disk_full
from events.errors import (
    BadMedia,
    BadMessage,
    DiskFull,
    LimitExceeded,
    NotAllowed,
    NotFound,
    OutOfMemory,
    PipelineError,
    PreconditionFailed,
    Unavailable,
)

DONE: Final = 0
USAGE: Final = 64
BAD_INPUT: Final = 65
NO_INPUT: Final = 66
NO_PROGRAM: Final = 69
OUR_BUG: Final = 70
NO_ROOM: Final = 73
DISK_FULL: Final = 74
TRY_AGAIN: Final = 75
NOT_ALLOWED: Final = 77
STOPPED: Final = 143


@dataclass(frozen=True, slots=True)
class Exit:
    """What one exit code says."""

    meaning: str
    #: Whether the same plan may succeed later without a change.
    retryable: bool


#: Every code that the program gives on purpose. Another one is a death that it had no say in: retryable.
#: 137, which is signal 9, mostly means that memory ran out.
EXITS: Final[dict[int, Exit]] = {
    DONE: Exit("the film and its report are uploaded", retryable=False),
    USAGE: Exit("the command line is wrong", retryable=False),
    BAD_INPUT: Exit("the plan or a clip cannot be used; the error line names the segment", retryable=False),
    NO_INPUT: Exit("a clip is not there, or is another generation than the plan's", retryable=False),
    NO_PROGRAM: Exit("no usable FFmpeg; installing one helps, trying again does not", retryable=False),
    OUR_BUG: Exit("a mistake in Longreel; the log has the trace", retryable=False),
    NO_ROOM: Exit("more than is allowed, such as a bucket's quota; the error line says of what", retryable=False),
    DISK_FULL: Exit("the disk is full; the error line says which, and how much is missing", retryable=True),
    TRY_AGAIN: Exit("something outside failed; the same plan may succeed later", retryable=True),
    NOT_ALLOWED: Exit("the service account lacks a role; the error line says which", retryable=False),
    STOPPED: Exit("told to stop, by a signal or by the end of its parent", retryable=True),
}

#: `code` of the error that says that there is no FFmpeg.
NO_FFMPEG: Final = "no_ffmpeg"


def exit_code_of(error: PipelineError) -> int:
    """Give the exit code that tells an error's kind."""
    if isinstance(error, DiskFull):
        return DISK_FULL
    if error.retryable:
        return TRY_AGAIN
    if error.code == NO_FFMPEG:
        return NO_PROGRAM
    if isinstance(error, BadMedia | BadMessage):
        return BAD_INPUT
    if isinstance(error, NotFound | PreconditionFailed):
        return NO_INPUT
    if isinstance(error, LimitExceeded):
        return NO_ROOM
    if isinstance(error, NotAllowed):
        return NOT_ALLOWED
    return OUR_BUG


def error_of(exc: OSError | MemoryError, work: Path = Path()) -> PipelineError:
    """Turn what the operating system said into an error with a name; `work` is the folder of temporary files."""
    if isinstance(exc, MemoryError) or exc.errno == errno.ENOMEM:
        return OutOfMemory("stitch: memory ran out; it is tried again with less at a time")
    where = exc.filename or "the film"
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(f"write {where}", _there(Path(exc.filename) if exc.filename else work))
    return Unavailable(f"stitch: {exc.strerror or exc} ({where})")


def _there(path: Path) -> Path:
    """Give the nearest folder above a path that is there: what it lay in may be tidied away by now."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
