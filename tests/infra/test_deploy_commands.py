"""Every command that deploy.sh and destroy.sh give exists, with every flag, in the lists of gcloud and terraform."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.cloud.emulators import _sdk as cloud_sdk
from tests.infra import terraform
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


def absent(reason: str) -> None:
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
        name = each.partition("=")[0]
        if each.startswith("--") and name not in flags and name.replace("--no-", "--") not in flags:
            yield f"{' '.join(call)}: no flag {name}"


def test_gcloud_knows_every_command_and_flag(calls: list[list[str]]) -> None:
    asked = [call for call in calls if call[0] == "gcloud"]

    assert len({" ".join(call[1:4]) for call in asked}) > 15
    assert [fault for call in asked for fault in unknown(call)] == []


@pytest.mark.parametrize(
    "call",
    [
        "gcloud storage bucket describe gs://b",
        "gcloud storage buckets create gs://b --uniform-access",
        "gcloud services api-keys make --display-name=k",
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
