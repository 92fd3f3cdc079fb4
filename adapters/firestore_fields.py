"""The fields of a Firestore document, read with suspicion: what is not as it should be is named by path and field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from events.errors import BadMessage, PipelineError
from events.wire import WireModel

E = TypeVar("E", bound=Enum)
M = TypeVar("M", bound=WireModel)
T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Marks a key of a map whose bare form Firestore would not take as a field's name.
_MARK = "~"
#: The first integer that is too large for Firestore.
_INTEGER_END = 2**63


class Fields:
    """The fields of one document, or of one map in it. Unknown fields are ignored.

    Args:
        path: the document's path, for the text of an error.
        values: the fields as Google's client gives them.
        within: the dotted name of the map that they are in, with a dot at its end; "" for the document itself.
    """

    def __init__(self, path: str, values: Mapping[str, Any], within: str = "") -> None:
        self._path = path
        self._values = values
        self._within = within

    def text(self, name: str) -> str:
        """Give a string."""
        return self._take(name, str, "a string")

    def text_or_none(self, name: str) -> str | None:
        """Give a string, or None where there is none."""
        return self._or_none(name, self.text)

    def integer(self, name: str) -> int:
        """Give an integer."""
        if isinstance(self._values.get(name), bool):
            raise self._wrong(name, "an integer")
        return self._take(name, int, "an integer")

    def integer_or_none(self, name: str) -> int | None:
        """Give an integer, or None where there is none."""
        return self._or_none(name, self.integer)

    def flag(self, name: str) -> bool:
        """Give a boolean."""
        return self._take(name, bool, "true or false")

    def flag_or(self, name: str, *, otherwise: bool) -> bool:
        """Give a boolean, or what stands for it in documents that are older than the field."""
        return otherwise if self._values.get(name) is None else self.flag(name)

    def instant(self, name: str) -> datetime:
        """Give a timestamp, aware, UTC."""
        value = self._take(name, datetime, "a timestamp")
        # The client's own kind of datetime becomes a plain one.
        return _EPOCH + (value - _EPOCH)

    def instant_or_none(self, name: str) -> datetime | None:
        """Give a timestamp, aware, UTC, or None where there is none."""
        return self._or_none(name, self.instant)

    def choice(self, name: str, of: type[E]) -> E:
        """Give the member of an enum that is named by its value."""
        text = self.text(name)
        if (found := next((each for each in of if each.value == text), None)) is None:
            raise self._wrong(name, f"one of {', '.join(str(each.value) for each in of)}")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Give an array of strings."""
        return tuple(self._array(name, str, "an array of strings"))

    def part(self, name: str) -> Fields:
        """Give the fields of a map."""
        return Fields(self._path, self._take(name, dict, "a map"), f"{self._within}{name}.")

    def made_or_none(self, name: str, make: Callable[[Fields], T]) -> T | None:
        """Give what is made of the fields of a map, or None where there is none."""
        return self._or_none(name, lambda name: make(self.part(name)))

    def model_or_none(self, name: str, of: type[M]) -> M | None:
        """Give a value of the wire, or None where there is none."""
        return self._or_none(name, lambda name: self.model(name, of))

    def parts(self, name: str) -> list[Fields]:
        """Give the fields of each map of an array."""
        maps = self._array(name, dict, "an array of maps")
        return [Fields(self._path, each, f"{self._within}{name}[{place}].") for place, each in enumerate(maps)]

    def model(self, name: str, of: type[M]) -> M:
        """Give a value of the wire from a map that `map_of` made."""
        value = self._take(name, dict, "a map")
        try:
            return of.from_json(json.dumps(_bare(value), default=str))
        except BadMessage as exc:
            raise self.damaged(name, exc.message) from exc

    def damaged(self, name: str, fault: str) -> PipelineError:
        """Give the error that names a field and what is wrong with it."""
        text = f"{fault}; only Longreel may write its documents: restore it from a backup"
        return PipelineError(f"read document {self._path}, field {self._within}{name}: {text}", code="damaged_document")

    def _take(self, name: str, kind: type[T], wanted: str) -> T:
        value = self._values.get(name)
        if not isinstance(value, kind):
            raise self._wrong(name, wanted)
        return value

    def _or_none(self, name: str, read: Callable[[str], T]) -> T | None:
        return None if self._values.get(name) is None else read(name)

    def _array(self, name: str, of: type[T], wanted: str) -> list[T]:
        values = self._take(name, list, wanted)
        if not all(isinstance(each, of) for each in values):
            raise self._wrong(name, wanted)
        return values

    def _wrong(self, name: str, wanted: str) -> PipelineError:
        found = f"{self._values[name]!r:.80}" if name in self._values else "nothing"
        return self.damaged(name, f"it should be {wanted}, and is {found}")


def map_of(model: WireModel) -> dict[str, Any]:
    """Give a value of the wire as a map, camelCase, without what is None.

    Keys may be any text in our words; Firestore takes no empty one and keeps `__…__` for itself, so such a key gets a
    mark in front. An integer of more than 64 bits becomes its digits, which our words read as well.
    """
    guarded: dict[str, Any] = _with_keys(model.to_wire(), _guard)
    return guarded


def _bare(value: Any) -> Any:
    return _with_keys(value, lambda key: key.removeprefix(_MARK))


def _guard(key: str) -> str:
    return f"{_MARK}{key}" if not key or key.startswith(("__", _MARK)) else key


def _with_keys(value: Any, rename: Callable[[str], str]) -> Any:
    match value:
        case dict():
            return {rename(key): _with_keys(each, rename) for key, each in value.items()}
        case list():
            return [_with_keys(each, rename) for each in value]
        case int() if not -_INTEGER_END <= value < _INTEGER_END:
            return str(value)
        case _:
            return value
