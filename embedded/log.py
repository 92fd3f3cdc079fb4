"""The log of the embedded mode: JSON lines in a file, one a decision; the terminal stays for people.

The fields are those of the cloud's log. `embedded/log_view.py` shows them to people.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import UTC, datetime
from pathlib import Path

from events.log_lines import entry

#: Size at which the log is rolled over; three old ones are kept.
LOG_SIZE_BYTES = 5_000_000
OLD_LOGS = 3


class JsonLines(logging.Formatter):
    """One JSON object a record, the trace of an exception included."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = entry(record, record.args, record.exc_info)
        return json.dumps({"time": at, **line, "process": record.process}, ensure_ascii=False)


def log_path(home: Path) -> Path:
    """Give where a home's log is."""
    return home / "logs" / "longreel.log"


def log_to(home: Path) -> Path:
    """Send our log lines to the home's log file; give its path."""
    path = log_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_SIZE_BYTES, backupCount=OLD_LOGS, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(JsonLines())
    log = logging.getLogger("longreel")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    # A log that cannot be written must not fill the terminal with its own complaints.
    logging.raiseExceptions = False
    return path
