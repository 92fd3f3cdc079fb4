"""What the product's own code says of how it wants to be deployed: read from it, never typed a second time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from adapters import config
from events.messages import Topic

ROOT = Path(__file__).parents[2]
#: A row of a table whose first cell is the name of a variable.
_ROW = re.compile(r"^\| `?([A-Z][A-Z0-9_]+)`? \|(.*)\|$", re.M)


@cache
def entry_points() -> Mapping[str, Topic | None]:
    """Give the functions of main.py, each with the topic that it takes events of; None for a callable."""
    return dict(_entry_points(ast.parse((ROOT / "main.py").read_text(encoding="utf-8"))))


def _entry_points(main: ast.Module) -> Iterator[tuple[str, Topic | None]]:
    for node in main.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = [argument.arg for argument in node.args.args]
        decorated = {ast.unparse(decorator) for decorator in node.decorator_list}
        if "functions_framework.cloud_event" in decorated:
            [topic] = re.findall(r"\bTopic\.(\w+)", ast.unparse(node))
            yield node.name, Topic[topic]
        elif arguments == ["request"]:
            yield node.name, None


@cache
def variables_read() -> frozenset[str]:
    """Give the variables that the cloud's configuration is read from, without those of emulators."""
    tree = ast.parse(Path(str(config.__file__)).read_text(encoding="utf-8"))
    readers = {"read_cloud_config", "_bucket"}
    bodies = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in readers]
    constants = {node.value for body in bodies for node in ast.walk(body) if isinstance(node, ast.Constant)}
    names = {each for each in constants if isinstance(each, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{5,}", each)}
    return frozenset(names - emulator_variables())


@cache
def emulator_variables() -> frozenset[str]:
    """Give the variables that only emulators have, by the last table of docs/configuration.md."""
    return frozenset(name for name, _ in _ROW.findall(_configuration().partition("## On emulators")[2]))


@cache
def who_needs() -> Mapping[str, frozenset[str]]:
    """Give each variable's functions, by the table `In Google's cloud` of docs/configuration.md."""
    table = _configuration().partition("## In Google's cloud")[2].partition("## On emulators")[0]
    return {name: frozenset(_functions(rest.split("|")[1])) for name, rest in _ROW.findall(table)}


def _functions(cell: str) -> set[str]:
    woken = {name for name, topic in entry_points().items() if topic is not None}
    words = {
        "every function": set(entry_points()),
        "every function that an event wakes": woken,
        "the callables": set(entry_points()) - woken,
    }
    return words.get(cell.strip()) or set(re.findall(r"`(\w+)`", cell))


def _configuration() -> str:
    return (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
