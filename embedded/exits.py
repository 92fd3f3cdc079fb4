"""How `longreel` ends: its exit codes, and errors as one sentence and a next step."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from embedded.terminal import print_json, say_error
from events.errors import (
    AlreadyRunning,
    BadMessage,
    NotFound,
    PipelineError,
    Unavailable,
    UnknownJob,
)
from events.log_lines import fields

_log = logging.getLogger("longreel.cli")

DONE = 0
#: The job failed; or an error that is none of those below.
FAILED = 1
#: The command line is wrong (typer's own), or what was asked for is refused before anything is made.
REFUSED = 2
#: The project has an active job of this type already.
ALREADY_RUNNING = 3
#: The job was cancelled.
CANCELLED = 4
#: There is no such job, dead letter or home.
NOT_FOUND = 5
#: Something outside did not answer; the same command may succeed later.
TRY_AGAIN = 75
#: Our bug; the log file has the trace.
BUG = 70
#: Ctrl-C or SIGTERM; `longreel resume` finishes the job.
INTERRUPTED = 130

#: Exit code → what it says; the table of docs/operating.md and docs/cli.md.
MEANINGS: dict[int, str] = {
    DONE: "done",
    FAILED: "the job failed, or something on the way did; the message says what",
    REFUSED: "refused: the command line or the request is wrong; nothing was made",
    ALREADY_RUNNING: "the project has an active job of this type; the message names it",
    CANCELLED: "the job was cancelled",
    NOT_FOUND: "there is no such job, dead letter or home",
    BUG: "a mistake in Longreel; the log file has the details",
    TRY_AGAIN: "something outside did not answer; run the same command again",
    INTERRUPTED: "stopped by Ctrl-C or SIGTERM; `longreel resume JOB` finishes the job",
}


class Exit(Exception):
    """End with this code; everything was said already."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def exit_code_of(error: PipelineError) -> int:
    """Give the exit code that tells an error's kind."""
    if isinstance(error, AlreadyRunning):
        return ALREADY_RUNNING
    if isinstance(error, BadMessage):
        return REFUSED
    if isinstance(error, UnknownJob | NotFound):
        return NOT_FOUND
    if isinstance(error, Unavailable):
        return TRY_AGAIN
    return FAILED


@contextmanager
def errors_in_words(*, as_json: bool = False) -> Iterator[None]:
    """End with one sentence on standard error instead of a traceback; with `as_json` also as a line for programs."""
    try:
        yield
    except PipelineError as exc:
        raise SystemExit(_end(exc.code, _sentence(exc), exit_code_of(exc), as_json=as_json)) from exc
    except Exit as exc:
        raise SystemExit(exc.code) from exc
    except KeyboardInterrupt as exc:
        raise SystemExit(_end("interrupted", "Stopped.", INTERRUPTED, as_json=as_json)) from exc
    except BrokenPipeError as exc:
        # Whoever read our output has gone, as `head` does; there is nobody to tell.
        raise SystemExit(DONE) from exc
    except OSError as exc:
        _log.error("command failed", exc_info=exc, extra=fields(action="refused"))
        raise SystemExit(_end("system", _refusal(exc), FAILED, as_json=as_json)) from exc
    except Exception as exc:
        _log.critical("command failed", exc_info=exc, extra=fields(action="bug"))
        said = f"{type(exc).__name__}: {exc}".splitlines()[0]
        text = f"This is a mistake in Longreel ({said}). Details are in {_log_file()}; please report it with them."
        raise SystemExit(_end("bug", text, BUG, as_json=as_json)) from exc


def _end(code: str, sentence: str, exit_code: int, *, as_json: bool) -> int:
    if as_json:
        with suppress(BrokenPipeError):
            print_json({"type": "error", "code": code, "message": sentence, "exitCode": exit_code})
    say_error(sentence)
    return exit_code


def _refusal(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full. Free some space and run the same command again; a job that was begun can be resumed."
    what = f"{error.filename}: " if error.filename else ""
    return f"The system refused: {what}{error.strerror or error}. Details are in {_log_file()}."


def _sentence(error: PipelineError) -> str:
    if isinstance(error, AlreadyRunning):
        job = error.job_id
        steps = (
            f"`longreel watch {job}` shows it, `longreel resume {job}` works on it, `longreel cancel {job}` stops it"
        )
        return f"{error.message.split(';')[0]}. {steps}; --force-restart cancels it and starts anew."
    return error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."


def _log_file() -> str:
    for handler in logging.getLogger("longreel").handlers:
        if isinstance(handler, logging.FileHandler):
            return handler.baseFilename
    return "no log file, because the home could not be opened"
