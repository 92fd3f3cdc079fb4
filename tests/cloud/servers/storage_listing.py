"""How objects are listed: by prefix, folded at a delimiter, a page at a time."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.cloud.servers.http import Refused
from tests.cloud.servers.storage_objects import StoredObject

PAGE_SIZE_MAX = 1000


def listing(
    found: Sequence[StoredObject], query: Mapping[str, str], resource: Callable[[StoredObject], dict[str, Any]]
) -> dict[str, Any]:
    """Give one page of `found` (sorted by name), as `objects.list` does."""
    wanted = int(query.get("maxResults") or PAGE_SIZE_MAX)
    page_size = min(wanted, PAGE_SIZE_MAX) if wanted > 0 else PAGE_SIZE_MAX
    after = _name_of_token(query["pageToken"]) if query.get("pageToken") else None
    entries = [entry for entry in _entries(found, query) if after is None or entry[0] > after]
    page, left = entries[:page_size], entries[page_size:]
    answer: dict[str, Any] = {"kind": "storage#objects", "items": [resource(each) for _, each in page if each]}
    if prefixes := [name for name, each in page if each is None]:
        answer["prefixes"] = prefixes
    if left:
        answer["nextPageToken"] = base64.urlsafe_b64encode(page[-1][0].encode()).decode()
    return answer


def _entries(found: Sequence[StoredObject], query: Mapping[str, str]) -> list[tuple[str, StoredObject | None]]:
    """Give name and object of what the query asks for; the object is None for a folded prefix."""
    prefix, delimiter, glob = query.get("prefix", ""), query.get("delimiter"), query.get("matchGlob")
    start, end = query.get("startOffset", ""), query.get("endOffset")
    fits = glob_pattern(glob).fullmatch if glob else lambda _name: True
    entries: dict[str, StoredObject | None] = {}
    for each in found:
        name = each.name
        if not name.startswith(prefix) or name < start or (end and name >= end) or not fits(name):
            continue
        folded = name.find(delimiter, len(prefix)) if delimiter else -1
        if delimiter and folded >= 0:
            entries[name[: folded + len(delimiter)]] = None
        else:
            entries[name] = each
    return sorted(entries.items(), key=lambda entry: entry[0])


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Give the regular expression of a `matchGlob`: `*` and `?` stay within a folder, `**` does not; `[…]`, `{a,b}`.

    Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
    """
    steps = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    text = ""
    for token in re.findall(r"\*\*|\[[^\]]+\]|.", glob, re.DOTALL):
        if len(token) > 2 and token[0] == "[":
            text += (
                "[" + ("^" if token[1] in "!^" else "") + re.escape(token[1:].lstrip("!^")).replace(r"\-", "-") + "]"
            )
        elif token == "," and "{" not in glob:
            text += ","
        else:
            text += steps.get(token, re.escape(token))
    try:
        return re.compile(text, re.DOTALL)
    except re.error as exc:
        raise Refused(400, f"Invalid matchGlob: {glob!r}", "invalid") from exc


def _name_of_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError as exc:
        raise Refused(400, "Invalid pageToken.", "invalid") from exc
