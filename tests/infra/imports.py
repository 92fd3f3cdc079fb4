"""What a module of ours imports, and what that imports, wherever in a file it stands: handlers import at first use."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def imports_of(module: str) -> frozenset[str]:
    """Give the names that one module imports; of `from a import b` both `a` and `a.b`."""
    path = file_of(module)
    assert path is not None, module
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return frozenset(found)


def file_of(module: str) -> Path | None:
    """Give the file of a module of ours; None for what is not."""
    path = ROOT / module.replace(".", "/")
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def reached(module: str) -> tuple[set[str], set[str]]:
    """Give everything that a module reaches: our own modules, itself among them, and the names of all others."""
    ours, others, waiting = {module}, set[str](), [module]
    while waiting:
        for name in imports_of(waiting.pop()) - ours:
            if file_of(name) is None:
                others.add(name)
            else:
                ours.add(name)
                waiting.append(name)
    return ours, {each for each in others if file_of(each.rpartition(".")[0] or each) is None}
