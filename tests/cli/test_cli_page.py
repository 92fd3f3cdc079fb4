"""docs/cli.md is what the program says of itself; `python -m tests.cli.test_cli_page` writes its half of it anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

import cli
from embedded.exits import MEANINGS
from tests.cli.conftest import SCENE_MS, Door

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"
MARK = "<!-- From here on generated: python -m tests.cli.test_cli_page -->\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Give every command of the program with its full name."""
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined] # a group
        nested = getattr(command, "commands", None)
        if nested is None:
            yield name, command
        else:
            yield from ((f"{name} {each}", part) for each, part in nested.items())


def section(name: str, command: Any) -> str:
    """Give what the page says of one command."""
    lines = [f"## `longreel {name}`", "", re.sub(r"(?m)^ +", "", command.help).strip(), ""]
    lines += ["| argument or option | meaning |", "|---|---|"]
    for each in command.params:
        if each.name != "help":
            lines.append(f"| {_written(each)} | {_meaning(each)} |")
    return "\n".join(lines)


def _written(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = ", ".join(f"`{each}`" for each in parameter.opts)
    if parameter.is_flag:
        return names
    annotation = parameter.type_descriptor.annotation
    is_choice = isinstance(annotation, type) and issubclass(annotation, Enum)
    values = ", ".join(f"`{each.value}`" for each in annotation) if is_choice else ""
    return f"{names}: {values}" if values else names


def _meaning(parameter: Any) -> str:
    text = parameter.help
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None:
        text += f" {low} to {high}." if high is not None else f" {low} or more."
    if parameter.required:
        return f"{text} Required."
    default = getattr(parameter.default, "value", parameter.default)
    return f"{text} Default: `{default}`." if default not in (None, False) else text


def generated() -> str:
    """Give the generated part of the page."""
    parts = [section(*each) for each in commands()]
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in MEANINGS.items())
    return "\n\n".join([*parts, f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}"]) + "\n"


def test_the_page_says_what_the_program_says() -> None:
    written, _, tail = PAGE.read_text(encoding="utf-8").partition(MARK)

    assert written
    assert tail == generated(), f"run: python -m {__spec__.name if __spec__ else __name__}"


def test_every_parameter_has_a_help_text_that_is_a_sentence() -> None:
    for name, command in commands():
        assert command.help, name
        for each in command.params:
            if each.name != "help":
                assert each.help, f"{name} {each.name}"
                assert not each.help[0].islower(), each.help
                assert each.help.endswith("."), each.help


def test_the_json_fields_on_the_page_are_those_that_come(door: Door) -> None:
    page = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    tables = {
        heading: set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE))
        for heading, body in re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    }
    lines = door.ok("make", door.script(1), "-o", "json.mp4", "--scene-ms", SCENE_MS, "--json").splitlines()
    [job] = door.jobs()
    whole = door.job(job["jobId"])
    end = json.loads(lines[-1])
    unknown = json.loads(door.run("status", "job_unknown", "--json").stdout)

    assert tables["A job"] == set(job)
    assert tables["A segment"] == set(whole["segments"][0])
    assert tables["The end"] == set(end) - {"type", "jobId"}
    assert tables["An error"] == set(unknown) - {"type"}


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}{generated()}", encoding="utf-8")
