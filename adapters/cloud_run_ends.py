"""What the end of a Cloud Run execution means where the program left no word of its own: pure, from Google's words.

Overrides of a run cannot change its memory, so a machine that was too small is made good by another job.
"""

from __future__ import annotations

import re
from typing import Final

from events.errors import OutOfMemory
from pipeline.retry import TIME_LIMIT

#: Words for the end of a task that used more memory than its container may have, or was killed for it.
#: Source: executions of others, as `gcloud run jobs executions describe` shows them, 2026: "Task X-task0 failed with
#: message: The configured memory limit was reached.", "Container terminated on signal 9".
_MEMORY = re.compile(r"memory limit|out of memory|\bsignal:? 9\b|\bexit code:? 137\b", re.IGNORECASE)
#: The same of one whose time was up. Source: "The configured timeout was reached.", pull request 14497 of
#: PrefectHQ/prefect; "Terminating task because it has reached the maximum timeout of 600 seconds", its log.
_TIME = re.compile(r"\btimeout was reached|maximum timeout", re.IGNORECASE)

#: Cloud Run's words for a job that no other try can start.
_MISCONFIGURED: Final = frozenset(
    {
        "CONTAINER_MISSING",
        "CONTAINER_PERMISSION_DENIED",
        "CONTAINER_IMAGE_UNAUTHORIZED",
        "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED",
        "ENCRYPTION_KEY_PERMISSION_DENIED",
        "SECRETS_ACCESS_CHECK_FAILED",
        "VPC_NETWORK_NOT_FOUND",
    }
)


def ended_by(message: str, reason: str) -> tuple[str, bool]:
    """Give the code of a failure, and whether another try may do better.

    Args:
        message: of the execution's `Completed` condition.
        reason: its reason, such as `NON_ZERO_EXIT_CODE`.

    >>> ended_by("Task x-task0 failed with message: The configured timeout was reached.", "NON_ZERO_EXIT_CODE")
    ('time_limit', True)
    """
    if reason in {"CANCELLED", "CANCELLING"}:
        return "execution_cancelled", True
    if _MEMORY.search(message):
        return OutOfMemory.code, True
    if _TIME.search(message):
        return TIME_LIMIT, True
    return "execution_failed", reason not in _MISCONFIGURED
