"""Evaluates the part of Cloud Logging's query language that our metrics use, over lines that were really written.

Comparisons joined by AND: `PATH="text"`, `PATH=true`, `PATH>=1`, `PATH>1`, `PATH=~"regular expression"`. A field that
is missing makes a comparison false. Source: https://cloud.google.com/logging/docs/view/logging-query-language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_COMPARISON: Final = re.compile(r'(?P<path>[A-Za-z_]\w*(?:\.\w+)*)(?P<op>=~|>=|>|=)(?P<value>"(?:[^"\\]|\\.)*"|\w+)\Z')
_EXTRACTOR: Final = re.compile(r"EXTRACT\((?P<path>[\w.]+)\)\Z")


def matches(query: str, entry: Mapping[str, Any]) -> bool:
    """Tell whether a log entry is found by a filter.

    Args:
        query: as in the metric.
        entry: `resource` and `jsonPayload`, as Cloud Logging has them.

    Raises:
        ValueError: the filter has something that this evaluator does not know.
    """
    return all(_holds(comparison, entry) for comparison in query.split(" AND "))


def extracted(extractor: str, entry: Mapping[str, Any]) -> Any:
    """Give what an extractor such as `EXTRACT(jsonPayload.jobMs)` finds; None where the field is missing."""
    found = _EXTRACTOR.match(extractor)
    if found is None:
        raise ValueError(f"{extractor}: only EXTRACT(a.b.c) is known")
    return _at(found["path"], entry)


def _holds(comparison: str, entry: Mapping[str, Any]) -> bool:
    found = _COMPARISON.match(comparison.strip())
    if found is None:
        raise ValueError(f"{comparison}: only comparisons joined by AND are known")
    value, wanted = _at(found["path"], entry), json.loads(found["value"])
    if value is None:
        return False
    if found["op"] == "=~":
        return re.search(wanted, value) is not None
    if isinstance(value, bool) or isinstance(wanted, bool | str):
        return bool(found["op"] == "=" and value == wanted)
    return bool(value >= wanted if found["op"] == ">=" else value > wanted if found["op"] == ">" else value == wanted)


def _at(path: str, entry: Any) -> Any:
    for name in path.split("."):
        entry = entry.get(name) if isinstance(entry, Mapping) else None
    return entry
