"""Shows that the program is at work, from a thread of its own: a line now and then, and the renewal of its lease."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from events.errors import PipelineError
from events.log_lines import redacted
from events.own_words import own_words

#: Does something from time to time; False where the work must not go on.
Beat = Callable[[], bool]


@contextmanager
def heartbeat(beats: list[Beat], interval_seconds: float) -> Iterator[None]:
    """Call `beats` every so many seconds during the block; one that gives False ends the program as SIGTERM does."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_seconds):
            if not all(_goes_on(beat) for beat in beats):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=run, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(interval_seconds)


def _goes_on(beat: Beat) -> bool:
    try:
        return beat()
    except BrokenPipeError:
        return False  # Nobody hears us any more.
    except PipelineError as exc:
        # A store that does not answer once is no reason to stop; the next beat may reach it.
        sys.stderr.write(redacted(f"say that the work goes on: {own_words(exc)}\n"))
        return True
