"""Time and chance of this machine."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime


class SystemClock:
    """The real clock, in whole milliseconds, because that is what the stores keep."""

    def now(self) -> datetime:
        """Give the present time, aware, UTC."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def jitter(self) -> float:
        """Draw a number in [0, 1)."""
        return random.random()  # noqa: S311 - spreads retries; nothing secret


def random_job_id() -> str:
    """Draw a job id that nobody has: 80 random bits."""
    return f"job_{secrets.token_hex(10)}"
