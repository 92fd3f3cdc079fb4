"""How `longreel` ends: its exit codes, and errors as one sentence and a next step."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from events.errors import (
    AlreadyRunning,
    BadMessage,
    LimitExceeded,
    NotFound,
    NotPossible,
    PipelineError,
    Unavailable,
    UnknownJob,
)

DONE = 0
#: The job failed; or an error that is none of those below.
FAILED = 1
#: The command line is wrong (typer's own), or what was asked for is refused before anything is made.
REFUSED = 2
#: The project has an active job of this type already.
ALREADY_RUNNING = 3
#: The job was cancelled.
CANCELLED = 4
#: There is no such job or dead letter.
NOT_FOUND = 5
#: Something outside did not answer; the same command may succeed later.
TRY_AGAIN = 75
#: Our bug; the log file has the trace.
BUG = 70
#: Ctrl-C or SIGTERM; `longreel resume` finishes the job.
INTERRUPTED = 130

#: Exit code → what it says; the table of docs/operating.md.
MEANINGS: dict[int, str] = {
    DONE: "done",
    FAILED: "the job failed, or something on the way did; the message says what",
    REFUSED: "refused before anything was made: the command line or the request is wrong",
    ALREADY_RUNNING: "the project has an active job of this type; the message names it",
    CANCELLED: "the job was cancelled",
    NOT_FOUND: "there is no such job or dead letter",
    TRY_AGAIN: "something outside did not answer; run the same command again",
    BUG: "a mistake in Longreel; the log file has the details",
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
    if isinstance(error, NotPossible | LimitExceeded):
        return FAILED
    return FAILED


@contextmanager
def errors_in_words() -> Iterator[None]:
    """End with one sentence on standard error instead of a traceback."""
    try:
        yield
    except PipelineError as exc:
        say_error(_sentence(exc))
        raise SystemExit(exit_code_of(exc)) from exc
    except Exit as exc:
        raise SystemExit(exc.code) from exc
    except KeyboardInterrupt as exc:
        say_error("Stopped.")
        raise SystemExit(INTERRUPTED) from exc
    except BrokenPipeError as exc:
        # Whoever read our output has gone, as `head` does; there is nobody to tell.
        sys.stderr.close()
        raise SystemExit(DONE) from exc
    except Exception as exc:
        log = logging.getLogger("longreel.cli")
        log.critical("command failed", exc_info=exc, extra={"action": "bug"})
        say_error(f"This is a mistake in Longreel ({type(exc).__name__}: {exc}). Details are in {_log_file(log)}.")
        raise SystemExit(BUG) from exc


def say_error(sentence: str) -> None:
    """Print one sentence for a person, on standard error."""
    sys.stderr.write(f"longreel: {sentence}\n")
    sys.stderr.flush()


def _sentence(error: PipelineError) -> str:
    if isinstance(error, AlreadyRunning):
        job = error.job_id
        steps = f"`longreel watch {job}` shows it, `longreel resume {job}` goes on with it, --force-restart starts anew"
        return f"{error.message.split(';')[0]}. {steps}."
    return error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."


def _log_file(log: logging.Logger) -> str:
    for handler in logging.getLogger("longreel").handlers or log.handlers:
        if isinstance(handler, logging.FileHandler):
            return handler.baseFilename
    return "no log file, because the home could not be opened"
