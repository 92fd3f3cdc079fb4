"""The log of the embedded mode: JSON lines in a file, one a decision; the terminal stays for people."""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import UTC, datetime
from pathlib import Path

#: Size at which the log is rolled over; three old ones are kept.
LOG_SIZE_BYTES = 5_000_000

#: What our own log lines carry beside the message.
_FIELDS = (
    "action",
    "job_id",
    "job_state",
    "segment_index",
    "segment_state",
    "attempt",
    "changed",
    "reason",
    "topic",
    "code",
)


class JsonLines(logging.Formatter):
    """One JSON object a record, the trace of an exception included."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "message": record.getMessage(),
            "process": record.process,
        }
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to(home: Path) -> Path:
    """Send our log lines to the home's log file; give its path."""
    path = home / "logs" / "longreel.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_SIZE_BYTES, backupCount=3, encoding="utf-8")
    handler.setFormatter(JsonLines())
    log = logging.getLogger("longreel")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    # A log that cannot be written must not fill the terminal with its own complaints.
    logging.raiseExceptions = False
    return path
