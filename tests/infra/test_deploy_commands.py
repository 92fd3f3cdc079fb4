"""Every command that deploy.sh and destroy.sh give exists, with every flag, in the lists of gcloud and terraform."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra import terraform
from tests.infra.gcloud_commands import absent, unknown
from tests.infra.recorded import Recorded
from tests.infra.test_deploy import Machine


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Give all calls of a deployment, of one by a project that has been there, and of both ends."""
    machine = Machine(tmp_path_factory.mktemp("commands"))
    found: list[list[str]] = []
    with machine.world as world:
        for script, given in (("deploy", {}), ("destroy", {}), ("deploy", {}), ("destroy", {"DELETE_FILMS": "1"})):
            assert machine.run(script, **given).status == 0
            found += [list(call) for call in world.calls]
    return found


def test_gcloud_knows_every_command_and_flag(calls: list[list[str]]) -> None:
    asked = [call for call in calls if call[0] == "gcloud"]

    assert len({" ".join(call[1:4]) for call in asked}) > 15
    assert [fault for call in asked for fault in unknown(call)] == []


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("deploying.md", "operating.md", "cloud.md")]
SCRIPTS = [*(ROOT / "infra").glob("*.sh"), *(ROOT / "infra" / "deploy").glob("*.sh")]


def told(pattern: str) -> Iterator[list[str]]:
    """Give the commands that people are told to run, by pages and by scripts that fail."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        spans = re.findall(r"^```\w*\n(.+?)^```", text, re.M | re.S)
        # In a line of text a command may go on in the next one.
        spans += [each.replace("\n", " ") for each in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
        for span in spans:
            whole = span.replace("\\\n", "")
            yield from (shlex.split(each) for each in re.findall(rf"(?:^|&& ){pattern} .+", whole, re.M))
    for script in SCRIPTS:
        said = re.findall(rf'(?:fail|say) ".*?[: ] ({pattern} [^"]+)"', script.read_text(encoding="utf-8"))
        yield from (shlex.split(each) for each in said)


def test_gcloud_knows_every_command_that_people_are_told_to_run() -> None:
    asked = [call[call.index("gcloud") :] for call in told("gcloud")]

    assert len(asked) >= 5
    assert [fault for call in asked for fault in unknown(call)] == []
    # A deployed topic's name begins with its environment.
    published = [call[4] for call in asked if call[1:4] == ["pubsub", "topics", "publish"]]
    assert [name for name in published if not name.startswith("production-")] == []


def test_make_knows_every_deployment_that_people_are_told_to_run() -> None:
    handed = re.findall(r"^export (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[0].split()
    asked = [call[call.index("make") + 1 :] for call in told("make (?:deploy|destroy)")]

    assert {call[0] for call in asked} == {"deploy", "destroy"}
    given = {each.partition("=")[0] for call in asked for each in call[1:]}
    assert {"PROJECT", "REGION", "ENVIRONMENT", "FROM"} <= given <= set(handed)


@pytest.mark.parametrize(
    "call",
    [
        "gcloud storage bucket describe gs://b",
        "gcloud storage buckets create gs://b --uniform-access",
        "gcloud services api-keys make --display-name=k",
        "gcloud auth login --verbosity=loud",
        "gcloud storage buckets update gs://b --versioning=on",
    ],
)
def test_a_command_or_flag_that_is_not_there_is_noticed(call: str) -> None:
    assert list(unknown(call.split())) != []


@cache
def flags_of(command: str) -> set[str]:
    done = subprocess.run([terraform.found(), command, "-help"], capture_output=True, text=True, check=False)
    return set(re.findall(r"^\s+(-[a-z-]+)", done.stdout, re.M))


def test_terraform_knows_every_command_and_flag(calls: list[list[str]]) -> None:
    if reason := terraform.missing():
        absent(reason)
    asked = [[each for each in call[1:] if not each.startswith("-chdir")] for call in calls if call[0] == "terraform"]
    # Those that plan and apply take are the same, and said on one page of help only.
    shared = flags_of("plan") | {"-destroy", "-target", "-var", "-var-file"}

    used = {(command, each.partition("=")[0]) for command, *rest in asked for each in rest if each.startswith("-")}

    assert {command for command, _ in used} == {"version", "init", "plan", "show", "apply", "console", "output"}
    assert {(command, flag) for command, flag in used if flag not in flags_of(command) | shared} == set()


def test_make_hands_everything_over() -> None:
    make = shutil.which("make")
    assert make is not None
    said = subprocess.run(
        [make, "--dry-run", "deploy", "destroy", "PROJECT=p", "REGION=r"], capture_output=True, text=True, check=True
    )

    assert "infra/deploy.sh" in said.stdout
    assert "infra/destroy.sh" in said.stdout


def test_the_recorded_programs_say_when_they_do_not_know_a_command(calls: list[list[str]], tmp_path: Any) -> None:
    with Recorded(tmp_path) as world:
        assert world.answer("gcloud", ["storage", "mb"], "")[0] == 2
