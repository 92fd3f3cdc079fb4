"""What is wrong with a value that came from outside, as a sentence that a stranger understands.

Pydantic finds what is wrong and where; its words are about Python. Here they become words about the wire: the field's
path as it was written, what would be right, and what was given.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

#: Characters of a wrong value that are quoted.
_QUOTED_MAX = 60
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNITS = {"Ms": "milliseconds", "Us": "microseconds", "Px": "pixels", "Bytes": "bytes", "Hz": "hertz"}
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "string_unicode": "a text of valid Unicode",
    "list_type": "a list",
    "dict_type": "an object with fields",
    "model_type": "an object with fields",
    "model_attributes_type": "an object with fields",
}


def first_problem(exc: ValidationError, model: type[BaseModel] | None = None) -> tuple[str, str]:
    """Give the wire path of the first wrong field, such as `prompts[3].durationMs`, and what is wrong with it.

    An unknown field comes first, because it is often the misspelt name of one that is missing.

    Args:
        exc: the failed validation.
        model: what was validated; lets the text name what the caller may have meant.
    """
    errors = exc.errors(include_url=False)
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    return _path(first["loc"]), _reason(first, model)


def quoted(value: object) -> str:
    """Give a wrong value as it is shown in a complaint: short, and without characters that a terminal would obey."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number with very many digits"
    cut = value[:_QUOTED_MAX] + "…" if isinstance(value, str) and len(value) > _QUOTED_MAX else value
    return ascii(cut) if isinstance(cut, str) and not cut.isprintable() else repr(cut)


def _path(loc: Iterable[str | int]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _PLAIN_KEY.fullmatch(part):
            path += f"[{quoted(part)}]"
        else:
            path += f".{part}" if path else part
    return path


def _reason(error: ErrorDetails, model: type[BaseModel] | None) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_field(name, _holder(model, error["loc"]))
    if kind == "json_invalid":
        return f"is not JSON: {context['error']}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    if name == "schemaVersion" and kind == "less_than_equal":
        return f"is {quoted(given)}, but this Longreel reads versions up to {context['le']}; update Longreel"
    return f"should {_demand(error, name, model)}"


def _demand(error: ErrorDetails, name: str, model: type[BaseModel] | None) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    unit = next((f" ({word})" for suffix, word in _UNITS.items() if name.endswith(suffix)), "")
    match kind:
        case "greater_than_equal":
            return f"be at least {context['ge']}{unit}, not {quoted(given)}"
        case "less_than_equal":
            return f"be at most {context['le']}{unit}, not {quoted(given)}"
        case "string_too_short":
            return "not be empty" if not given.strip() else f"have at least {context['min_length']} characters"
        case "string_too_long":
            return f"have at most {context['max_length']} characters, not {len(given)}"
        case "too_short" | "too_long":
            return f"hold {_item_bounds(error, model)} {name}, not {context['actual_length']}"
        case "enum" | "literal_error":
            choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
            return f"be {'one of ' if ',' in choices else ''}{choices}, not {quoted(given)}"
        case _ if kind in _EXPECTED:
            return f"be {_EXPECTED[kind]}, not {quoted(given)}"
        case _:
            return error["msg"].removeprefix("Input should ").removesuffix(".")


def _unknown_field(name: str, holder: type[BaseModel] | None) -> str:
    known = [field.alias or key for key, field in holder.model_fields.items()] if holder else []
    folded = {_folded(field): field for field in known}
    near = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.6)
    if near:
        return f"unknown field; did you mean `{folded[near[0]]}`?"
    return f"unknown field; known here are {', '.join(known)}" if known else "unknown field"


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _item_bounds(error: ErrorDetails, model: type[BaseModel] | None) -> str:
    holder = _holder(model, error["loc"])
    found: dict[str, Any] = dict(error.get("ctx", {}))
    for key, field in holder.model_fields.items() if holder else ():
        if error["loc"][-1] in (key, field.alias):
            for rule in field.metadata:
                found |= {bound: getattr(rule, bound) for bound in ("min_length", "max_length") if hasattr(rule, bound)}
    if "min_length" in found and "max_length" in found:
        return f"{found['min_length']} to {found['max_length']}"
    return f"at least {found['min_length']}" if "min_length" in found else f"at most {found['max_length']}"


def _holder(model: type[BaseModel] | None, loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """Give the model whose field the last part of `loc` names; None where it cannot be told."""
    for part in loc[:-1]:
        if model is None or isinstance(part, int):
            continue
        fields = {name: field for key, field in model.model_fields.items() for name in (key, field.alias)}
        model = _model_in(fields[part].annotation) if part in fields else None
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
