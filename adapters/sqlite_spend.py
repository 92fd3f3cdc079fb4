"""What the jobs of a day cost, read from the embedded mode's one SQLite file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from adapters.database import Database
from adapters.sqlite_rows import JOB_CHANGING, JOB_FIXED, read_job, to_ms
from adapters.transaction import translated
from pipeline import limits
from pipeline.spend_port import bound_micro_usd

_SELECT_SINCE = f"SELECT {JOB_FIXED}, {JOB_CHANGING} FROM jobs WHERE deadline_at >= ? AND cost IS NOT NULL"  # noqa: S608 - our own columns


@dataclass(frozen=True, slots=True)
class SqliteSpend:
    """The `Spend` of one home."""

    database: Database

    def since(self, start: datetime) -> int:
        """Sum what is bound by jobs that were created, or last resumed, at `start` or later; micro USD."""
        with translated("sum up what the day costs"):
            # The deadline tells when a job was created or last resumed.
            rows = self.database.connection().execute(_SELECT_SINCE, (to_ms(start + limits.JOB_LONGEST),))
            return sum(bound_micro_usd(read_job(row)) for row in rows)
