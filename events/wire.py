"""How our words look on the wire: camelCase JSON with a `schemaVersion`.

Unknown fields are ignored, missing ones refused with the field's path.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from events.errors import BadMessage, InvalidRequest

#: The version that this code writes; a reader takes any version up to this one.
SCHEMA_VERSION = 1


class WireModel(BaseModel):
    """A frozen value that crosses a process as camelCase JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_json(self) -> str:
        """Give the compact JSON text, camelCase, without fields that are None."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON value as a dict, camelCase, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text.

        Raises:
            BadMessage: it is not JSON, or a field is missing or wrong; the text names the first such field.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as exc:
            field, reason = first_problem(exc)
            where = f" field {field}" if field else ""
            raise BadMessage(f"read {cls.__name__}:{where} {reason}") from exc


def first_problem(exc: ValidationError) -> tuple[str, str]:
    """Give the wire path of the first wrong field, such as `prompts[3].durationMs`, and what is wrong with it."""
    first = exc.errors(include_url=False, include_context=False)[0]
    path = ""
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _names_a_union_branch(part):
            path += f".{part}" if path else part
    reason = first["msg"].removeprefix("Value error, ")
    return path, f"{reason}" if first["type"] != "missing" else "is missing"


def _names_a_union_branch(part: str) -> bool:
    # Pydantic puts the tried branch of a union ("str", "PromptSpec", …) into the path; people did not write that.
    return part in {"str", "int", "bool", "list", "dict"} or part[:1].isupper() or "[" in part


def invalid_request(exc: ValidationError) -> InvalidRequest:
    """Turn a failed validation into the error that a person reads."""
    field, reason = first_problem(exc)
    return InvalidRequest(field, reason)
