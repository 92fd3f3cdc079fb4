"""The real gcloud's own table of commands and flags, by which commands are looked up that nobody can run here."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.cloud.emulators import _sdk as cloud_sdk


def absent(reason: str) -> None:
    """Skip a test, with how to get what is not here; fail where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def tree() -> dict[str, Any]:
    """Give gcloud's own table of commands and flags, by which it completes what is typed."""
    sdk = cloud_sdk()
    table = sdk and sdk / "data" / "cli" / "gcloud_completions.py"
    if not table or not table.is_file():
        absent("there is no Cloud SDK here; install google-cloud-cli")
    found: dict[str, Any] = runpy.run_path(str(table))["STATIC_COMPLETION_CLI_TREE"]
    return found


def unknown(call: list[str]) -> Iterator[str]:
    """Give what gcloud does not know of a call."""
    node, words = tree(), [each for each in call[1:] if not each.startswith("-")]
    flags = dict(node["flags"])
    while words and words[0] in node.get("commands", {}):
        node = node["commands"][words.pop(0)]
        flags |= node.get("flags", {})
    if node.get("commands"):
        yield f"{' '.join(call)}: no such command"
    for each in call[1:]:
        name, given, value = each.partition("=")
        if each.startswith("--") and name not in flags and name.replace("--no-", "--") not in flags:
            yield f"{' '.join(call)}: no flag {name}"
        if given and flags.get(name) == "bool":
            yield f"{' '.join(call)}: {name} takes no value"
        if given and isinstance(choices := flags.get(name), list) and value not in choices:
            yield f"{' '.join(call)}: {name} is one of {', '.join(choices)}"
