"""The examples of GitHub Actions: they run what the Makefile has, keep no key, and give nobody more than it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "examples" / "github-actions").glob("*.yml"))
SETTINGS = set(re.findall(r"^export (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[0].split())


def test_there_is_one_for_both() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "destroy"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_its_target_with_settings_that_there_are(path: Path) -> None:
    [job] = workflow(path)["jobs"].values()
    [step] = [each for each in job["steps"] if "run" in each]

    assert step["run"].startswith(f"make {path.stem}")
    assert {"PROJECT", "REGION", "YES"} <= set(step["env"]) <= SETTINGS
    # With an explicit bash GitHub sets pipefail, so that `| tee` hides no failure.
    assert step["shell"] == "bash"
    # What somebody typed reaches a shell as a variable only, never as a part of its text.
    assert "${{" not in step["run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_holds_no_key_and_waits_for_its_reviewers(path: Path) -> None:
    whole = workflow(path)
    [job] = whole["jobs"].values()

    assert whole["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert job["environment"] == "production"
    assert whole["concurrency"]["cancel-in-progress"] is False
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", each["uses"]) for each in job["steps"] if "uses" in each)


def test_films_are_deleted_only_by_a_box_that_was_ticked() -> None:
    inputs = workflow(WORKFLOWS[1])["on"]["workflow_dispatch"]["inputs"]

    assert inputs["delete_films"]["default"] is False
    assert "workflow_dispatch" in workflow(WORKFLOWS[1])["on"]
    assert list(workflow(WORKFLOWS[1])["on"]) == ["workflow_dispatch"]


def workflow(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads a bare `on` as true.
    text = re.sub(r"^on:", '"on":', path.read_text(encoding="utf-8"), flags=re.M)
    found: dict[str, Any] = yaml.safe_load(text)
    return found
