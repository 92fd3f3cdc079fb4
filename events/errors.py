"""The error tree.

    PipelineError
    ├── BadMessage          a message or request that cannot be read; permanent
    │   └── InvalidRequest  a request that names what is wrong and what would be right; permanent
    │       └── TooFewClips a reel of fewer than two clips; permanent
    ├── UnknownJob          no such job; permanent
    ├── AlreadyRunning      the project has an active job of this type; permanent, carries its id
    ├── IllegalTransition   our own mistake: an event that can never meet this state; permanent
    ├── NotPossible         an order that the job's state does not allow (resume a completed job); permanent
    ├── BadMedia            a file that is not a usable clip; permanent, says what the file is instead
    ├── RenderFailed        a generator said no; permanent unless it says otherwise
    ├── StitchFailed        the stitch said no; permanent unless it says otherwise
    ├── NotAllowed          somebody may not do this: a user, or our own service account; permanent
    ├── NotFound            an object that should be there is not; permanent
    ├── PreconditionFailed  somebody else wrote first; permanent for this attempt
    ├── LimitExceeded       more than this machine, user or project may have; permanent
    │   ├── DailyLimitReached  new paid work would pass what a day may cost; permanent, says when the next day begins
    │   └── DiskFull        a disk is full; retryable, because what we left there is gone, and others make room too
    └── Unavailable         the outside did not answer; retryable
        └── OutOfMemory     a program was killed because memory ran out; retryable with more of it, or less at a time

Handlers look at `retryable` only: a retryable error is raised, so that the event is delivered again; a
permanent one is recorded on the job and the event acknowledged. A text says what we were doing, to what,
and what the reader can do.
"""

from __future__ import annotations

from datetime import datetime


class PipelineError(Exception):
    """Something went wrong that Longreel knows how to name."""

    #: A short snake_case word for programs; stable.
    code = "internal"
    #: Whether the same call may succeed later without a change.
    retryable = False
    #: When the other side wishes to be asked again, in seconds from now; None where it did not say.
    retry_after_seconds: float | None = None

    def __init__(self, message: str, *, code: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class BadMessage(PipelineError):
    """A message cannot be read: a field is missing or has the wrong type."""

    code = "bad_message"


class InvalidRequest(BadMessage):
    """A request is refused before anything is made; names the field and what would be right."""

    code = "invalid_request"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        #: Path of the field on the wire, such as `prompts[3].durationMs`.
        self.field = field


class TooFewClips(InvalidRequest):
    """A reel was asked for of fewer than two clips."""

    code = "too_few_clips"


class UnknownJob(PipelineError):
    """There is no job of this id."""

    code = "unknown_job"


class AlreadyRunning(PipelineError):
    """The project has an active job of this type already."""

    code = "already_running"

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message)
        #: The active job.
        self.job_id = job_id


class IllegalTransition(PipelineError):
    """An event met a state in which it can never happen: a mistake in Longreel itself."""

    code = "illegal_transition"


class NotPossible(PipelineError):
    """The job's state does not allow this order."""

    code = "not_possible"


class BadMedia(PipelineError):
    """A file is not a clip that can be used; says what it is or where it breaks."""

    code = "bad_media"


class RenderFailed(PipelineError):
    """A generator could not make a segment."""

    code = "render_failed"


class StitchFailed(PipelineError):
    """The finished video could not be made."""

    code = "stitch_failed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        segment_index: int | None = None,
    ) -> None:
        super().__init__(message, code=code, retryable=retryable)
        #: The segment (0-based) whose clip is to blame; None when no single one is.
        self.segment_index = segment_index


class NotAllowed(PipelineError):
    """A user, or our own service account, may not do this."""

    code = "permission_denied"


class NotFound(PipelineError):
    """An object that should be there is not."""

    code = "not_found"


class PreconditionFailed(PipelineError):
    """The object or document was changed by somebody else first."""

    code = "precondition_failed"


class LimitExceeded(PipelineError):
    """More than is allowed or than fits."""

    code = "limit_exceeded"


class DailyLimitReached(LimitExceeded):
    """New paid work would take the day over what it may cost.

    Args:
        doing: what was asked for.
        limit_micro_usd: what a day may cost.
        promised_micro_usd: what the day's jobs have cost or may still cost; None where nobody asked, because the
            work alone is above the limit.
        estimated_micro_usd: what the work that is refused should cost.
        opens_at: when the next day begins; None where no day is enough.
    """

    code = "daily_limit"

    def __init__(
        self,
        doing: str,
        limit_micro_usd: int,
        promised_micro_usd: int | None,
        estimated_micro_usd: int,
        opens_at: datetime | None,
    ) -> None:
        limit, estimated = _usd(limit_micro_usd), _usd(estimated_micro_usd)
        if opens_at is None or promised_micro_usd is None:
            text = f"it should cost {estimated}, which the project's limit of {limit} a day never allows: ask for less"
        else:
            spent = f"{_usd(promised_micro_usd)} spent or promised, this should cost {estimated}"
            text = f"the project's limit of {limit} a day is reached ({spent}): it opens at {opens_at:%Y-%m-%dT%H:%MZ}"
        super().__init__(f"{doing}: {text}; the operator sets LONGREEL_DAILY_LIMIT_USD")
        self.limit_micro_usd = limit_micro_usd
        self.promised_micro_usd = promised_micro_usd
        self.estimated_micro_usd = estimated_micro_usd
        self.opens_at = opens_at


class DiskFull(LimitExceeded):
    """A disk has no room; says which folder, and how much is missing where that is known."""

    code = "disk_full"
    retryable = True


class Unavailable(PipelineError):
    """The outside did not answer; the same call may succeed later."""

    code = "unavailable"
    retryable = True


class OutOfMemory(Unavailable):
    """A program of ours was killed because memory ran out."""

    code = "out_of_memory"


def _usd(micro_usd: int) -> str:
    """Give money for people; whoever is held to a limit is told no less than it costs.

    >>> _usd(3_100_000), _usd(1)
    ('$3.10', '$0.01')
    """
    cents = -(-micro_usd // 10_000)
    return f"${cents // 100:,}.{cents % 100:02}"
