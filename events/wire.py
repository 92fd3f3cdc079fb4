"""How our words look on the wire: camelCase JSON with a `schemaVersion`.

Unknown fields are ignored, missing ones refused with the field's path.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from events.complaints import first_problem
from events.errors import BadMessage, InvalidRequest

#: The version that this code writes; a reader takes any version up to this one.
SCHEMA_VERSION = 1


class WireModel(BaseModel):
    """A frozen value that crosses a process as camelCase JSON."""

    # A model is put together when it is first used, which saves every function's start those that it does not use.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", defer_build=True
    )

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
            field, reason = first_problem(exc, cls)
            where = f"field {field}" if field else "it"
            raise BadMessage(f"read {cls.__name__}: {where} {reason}") from exc


def invalid_request(exc: ValidationError, model: type[BaseModel] | None = None) -> InvalidRequest:
    """Turn a failed validation of `model` into the error that a person reads."""
    field, reason = first_problem(exc, model)
    return InvalidRequest(field, reason)
