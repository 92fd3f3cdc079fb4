"""What the stitch program says while it works: one JSON object a line on standard output.

{"type": "progress", "percent": 40, "message": "Encoding… 2 of 7 parts are done"}
{"type": "note", "message": "…"}    for the operator's log
{"type": "result", …}          the StitchReport, last line of a success
{"type": "error", "code": …, "message": …, "retryable": …, "segmentIndex": …}     last line of a failure
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from events.clip import StitchReport
from events.errors import PipelineError

#: Shortest time between two progress lines, if nobody says otherwise: a person sees no more, and each is an event.
_INTERVAL_SECONDS = 0.2

#: Longest time without a line while we work, or twice as long at most: whoever hears nothing for longer may worry.
HEARTBEAT_SECONDS = 5


class Reporter:
    """Writes the lines; progress never goes backwards and comes at most once an interval. Safe for several threads.

    Args:
        out: where the lines go.
        clock: seconds that only rise.
        interval_seconds: shortest time between two progress lines; the line of 100 percent comes at once.
    """

    def __init__(
        self,
        out: IO[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        interval_seconds: float = _INTERVAL_SECONDS,
    ) -> None:
        self._out = out
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._percent = -1
        #: As far as the work is, said or not.
        self._reached = 0
        self._message = ""
        self._said_at: float | None = None
        self._lock = threading.RLock()

    def progress(self, percent: int, message: str) -> None:
        """Say how far the work is, 0 to 100; a lower number than before is held at the one before."""
        percent = max(0, min(100, percent))
        with self._lock:
            self._message = message
            self._reached = max(self._reached, percent)
            now = self._clock()
            early = self._said_at is not None and now - self._said_at < self._interval_seconds
            if percent > self._percent and (percent == 100 or not early):
                self._say(percent, now)

    def beat(self) -> None:
        """Say again how far the work is, if nothing was said for `HEARTBEAT_SECONDS`: that it goes on."""
        with self._lock:
            now = self._clock()
            if self._said_at is not None and now - self._said_at >= HEARTBEAT_SECONDS and self._percent < 100:
                self._say(self._percent, now)

    def _say(self, percent: int, now: float) -> None:
        self._percent, self._said_at = percent, now
        self._write({"type": "progress", "percent": percent, "message": self._message})

    def end(self) -> None:
        """Say how far the work came, where that was held back: whoever goes on knows then that it brought something."""
        with self._lock:
            if self._said_at is not None and self._reached > self._percent:
                self._say(self._reached, self._clock())

    def share(self, first: int, last: int, share: float, message: str) -> None:
        """Say how much of a part of the work is done, 0 to 1; the part spans `first` to `last` percent."""
        self.progress(first + int((last - first) * max(0.0, min(1.0, share))), message)

    def note(self, message: str) -> None:
        """Say something for the operator's log."""
        self._write({"type": "note", "message": message})

    def result(self, report: StitchReport) -> None:
        """Say what came out."""
        self.end()
        self._write({"type": "result", **report.to_wire()})

    def error(self, error: PipelineError, segment_index: int | None = None) -> None:
        """Say what went wrong, and with which segment where it is one's."""
        # The error is the last line, whatever was held back.
        self.end()
        line: dict[str, Any] = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
        }
        if segment_index is not None:
            line["segmentIndex"] = segment_index
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._out.flush()
