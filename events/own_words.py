"""An error as a log may have it: our own words, and nobody else's.

Whoever refuses something may quote it, a prompt or a signed address, and a mistake of ours may hold anything in its
text. So of an error that we have named our sentence is kept, with the names of its causes in place of what they said;
of any other its name alone. The words stay where their owner looks: on the job, in the ledger of failures, in the dead
letter.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

from events.errors import BadMessage, PipelineError

#: A value as `repr` and `ascii` quote it.
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'" r'|"(?:[^"\\]|\\.)*"', re.DOTALL)
#: Libraries whose errors speak of themselves and never quote what they were given.
_HARMLESS = frozenset({"sqlite3"})


def own_words(error: BaseException) -> str:
    """Give an error's text without what others said.

    >>> own_words(ValueError("a lighthouse at dawn"))
    'ValueError'
    >>> own_words(BadMessage("read Requested: field jobId should look like job_…, not 'a lighthouse at dawn'"))
    'read Requested: field jobId should look like job_…, not …'
    """
    if not isinstance(error, PipelineError):
        return _name(error) + (f": {error}" if _is_harmless(error) else "")
    text = error.message
    # Of two that begin alike the longer one goes first.
    for said, name in sorted(_said(error), key=lambda each: -len(each[0])):
        # Whole words only: a cause that said `1` would else spoil every number.
        text = re.sub(rf"(?<!\w){re.escape(said)}(?!\w)", f"[{name}]", text)
    # What cannot be read is somebody else's, and so is what is quoted of it.
    return _QUOTED.sub("…", text) if isinstance(error, BadMessage) else text


def trace_of(error: BaseException) -> str:
    """Give the trace of an error and of its causes, the first cause first; of their texts, our own words only."""
    return "\n\nThen, while that was handled:\n\n".join(
        "Traceback (most recent call last):\n" + "".join(traceback.format_tb(each.__traceback__)) + _ending(each)
        for each in reversed(list(_chain(error)))
    )


def _ending(error: BaseException) -> str:
    return f"{_name(error)}: {own_words(error)}" if isinstance(error, PipelineError) else own_words(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error, then what it was raised from, and so on."""
    seen: set[int] = set()
    below: BaseException | None = error
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)


def _said(error: BaseException) -> set[tuple[str, str]]:
    """Give each text that a foreign cause may have put into ours, and the cause's name."""
    found = set()
    for cause in _chain(error):
        if not isinstance(cause, PipelineError) and not _is_harmless(cause):
            texts = (str(cause), getattr(cause, "message", ""), getattr(cause, "said", ""), *cause.args)
            plain = {text for text in texts if isinstance(text, str) and text.strip()}
            # As they are, and as `repr` writes them, alone and within the cause's own.
            found |= {
                (text, type(cause).__name__) for text in plain | {repr(cause), *(repr(each)[1:-1] for each in plain)}
            }
    return found


def _is_harmless(error: BaseException) -> bool:
    # The operating system's own words name a file, and why not; whoever makes one by hand gives it no number.
    of_the_system = isinstance(error, OSError) and type(error).__module__ == "builtins" and error.errno is not None
    return of_the_system or type(error).__module__.partition(".")[0] in _HARMLESS


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
