"""What an interaction says, out of its JSON. Pure; a part of another type than expected counts as not there.

The SDK's own classes for this are 300 modules, and half a second of every cold start.
Source: https://ai.google.dev/api/interactions, resource `Interaction`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One interaction, as it was when somebody asked."""

    #: Its id, or its full name; empty if it has none.
    interaction_id: str
    #: `in_progress`, `completed`, `failed`, …; empty if it has none.
    status: str
    #: When it last changed, aware; None where that cannot be read.
    updated: datetime | None
    #: It shows a video that has an address.
    has_video: bool
    #: What the model wrote.
    text: str
    #: google.rpc.Code of the first error that has one.
    code: int | None
    #: The words of everything that is said to have gone wrong.
    fault: str


def read_answer(value: Mapping[str, Any]) -> Answer:
    """Read an interaction."""
    steps = list(_maps(value.get("steps")))
    contents = [part for step in steps if step.get("type") == "model_output" for part in _maps(step.get("content"))]
    faults = [step["error"] for step in steps if isinstance(step.get("error"), Mapping)]
    said = [_text(each.get("message")) or _text(each.get("code")) for each in _maps(value.get("errors"))]
    said += [_text(fault.get("message")) for fault in faults]
    return Answer(
        interaction_id=_text(value.get("id")),
        status=_text(value.get("status")),
        updated=_time(_text(value.get("updated"))),
        has_video=any(part.get("type") == "video" and _text(part.get("uri")) for part in contents),
        text="".join(_text(part.get("text")) for part in contents if part.get("type") == "text"),
        code=next((fault["code"] for fault in faults if isinstance(fault.get("code"), int)), None),
        fault="; ".join(filter(None, said)),
    )


def _maps(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
