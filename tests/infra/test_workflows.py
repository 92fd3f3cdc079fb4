"""The examples of GitHub Actions: they run what the Makefile has, keep no key, and give nobody more than it needs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.gcloud_commands import unknown

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


#: Action → its first version on Node 24: GitHub took Node 20 off its runners in autumn 2026, and what names it fails.
ON_NODE_24 = {
    "actions/checkout": 5,
    "actions/setup-python": 6,
    "google-github-actions/auth": 3,
    "google-github-actions/setup-gcloud": 3,
    "hashicorp/setup-terraform": 4,
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_runs_on_a_node_that_githubs_runners_still_have(path: Path) -> None:
    [job] = workflow(path)["jobs"].values()
    used = dict(each["uses"].split("@v") for each in job["steps"] if "uses" in each)

    assert set(used) == set(ON_NODE_24)
    assert [name for name, version in used.items() if int(version) < ON_NODE_24[name]] == []


#: What Terraform makes → the role of whoever deploys, where roles/editor does not do: it sets no access, and no sinks.
ROLES = {
    "google_cloud_run_v2_job_iam_member": "roles/run.admin",
    "google_cloud_run_v2_service_iam_member": "roles/run.admin",
    "google_logging_project_bucket_config": "roles/logging.configWriter",
    "google_logging_project_sink": "roles/logging.configWriter",
    "google_project_iam_custom_role": "roles/iam.roleAdmin",
    "google_project_iam_member": "roles/resourcemanager.projectIamAdmin",
    "google_pubsub_subscription_iam_member": "roles/pubsub.admin",
    "google_pubsub_topic_iam_member": "roles/pubsub.admin",
    "google_service_account_iam_member": "roles/iam.serviceAccountAdmin",
    "google_storage_bucket_iam_member": "roles/storage.admin",
}


def test_whoever_deploys_from_github_may_make_all_that_terraform_makes() -> None:
    made = {
        kind
        for path in (ROOT / "infra").glob("*.tf")
        for kind in re.findall(r'^resource "(\w+)"', path.read_text(encoding="utf-8"), re.M)
    }
    given = set(re.findall(r"roles/[\w.]+", WORKFLOWS[0].read_text(encoding="utf-8")))

    assert {kind for kind in made if kind.endswith(("_iam_member", "_iam_binding", "_sink"))} <= set(ROLES)
    assert {ROLES[kind] for kind in made & set(ROLES)} | {"roles/editor", "roles/iam.workloadIdentityUser"} == given


def test_gcloud_knows_every_command_that_sets_it_up() -> None:
    commands = list(setup())

    assert len(commands) >= 5
    assert [fault for each in commands for fault in unknown(each)] == []


def setup() -> Iterator[list[str]]:
    """Give the gcloud commands in the comment at the top of deploy.yml."""
    comment = re.findall(r"^#(.*)$", WORKFLOWS[0].read_text(encoding="utf-8"), re.M)
    for command in re.findall(r"^ +(gcloud .+)$", "\n".join(comment).replace("\\\n", ""), re.M):
        yield shlex.split(command.partition("; done")[0])
