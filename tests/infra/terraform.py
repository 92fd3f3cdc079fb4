"""A real `terraform` over a copy of infra/, with the stub provider in the place of Google's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.infra.extract import INFRA
from tests.infra.stub_provider import StubProvider

#: The oldest that infra/ says it works with.
OLDEST: Final = (1, 9)
#: What belongs to the deployment; the rest of infra/ is of no interest to Terraform.
PATTERNS: Final = ("*.tf", "*.json", "*.rules", "*.tftpl", "*.sql", "*.avsc", "tests/*.hcl")
#: Nothing here goes to the network; this much later something hangs.
PATIENCE_SECONDS: Final = 120
#: The state would be in a bucket of the project that is deployed to.
_STATE_HERE: Final = 'terraform {\n  backend "local" {}\n}\n'


class TerraformFailed(Exception):
    """Terraform said no; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What was made."""

    #: Such as `google_pubsub_topic.topic["sweep"]`.
    address: str
    type: str
    name: str
    #: The key of `for_each`, the number of `count`, or None.
    index: str | int | None
    values: Mapping[str, Any]


class Made:
    """All that a deployment consists of.

    Args:
        shown: what `terraform show -json` says of the state.
    """

    def __init__(self, shown: Mapping[str, Any]) -> None:
        root = shown["values"]["root_module"]
        self._resources = [
            Resource(each["address"], each["type"], each["name"], each.get("index"), each["values"])
            for each in root["resources"]
            if each["mode"] == "managed"
        ]
        self.outputs: Mapping[str, Any] = {
            name: each["value"] for name, each in shown["values"].get("outputs", {}).items()
        }

    def all(self, kind: str, name: str | None = None) -> list[Resource]:
        """Give the resources of a type, such as `google_pubsub_topic`, or only those of a name."""
        return [each for each in self._resources if each.type == kind and name in {None, each.name}]

    def by_key(self, kind: str, name: str) -> dict[str, Mapping[str, Any]]:
        """Give the values of the resources that `for_each` made, by their keys."""
        return {str(each.index): each.values for each in self.all(kind, name)}

    def one(self, kind: str, name: str) -> Mapping[str, Any]:
        """Give the values of the resource that there is one of."""
        [found] = self.all(kind, name)
        return found.values

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)


class Deployment:
    """A copy of infra/ that Terraform works on; made by `deployment()`.

    Args:
        folder: an empty one.
        provider: that is open.
        source: what is copied.
    """

    def __init__(self, folder: Path, provider: StubProvider, source: Path = INFRA) -> None:
        self.folder = folder
        self._provider = provider
        for pattern in PATTERNS:
            for path in source.glob(pattern):
                target = folder / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        (folder / "backend_override.tf").write_text(_STATE_HERE, encoding="utf-8")

    def init(self) -> Self:
        """Let Terraform look at what the configuration asks for."""
        self.run("init", "-input=false")
        return self

    def apply(self, variables: Mapping[str, Any]) -> Made:
        """Deploy, and look at what is there.

        Raises:
            TerraformFailed: it cannot be deployed.
        """
        self.run("apply", "-auto-approve", *self._given(variables))
        return Made(json.loads(self.run("show", "-json")))

    def changes(self, variables: Mapping[str, Any]) -> dict[str, list[str]]:
        """Give what another deployment would change: address → actions, such as `update`.

        Raises:
            TerraformFailed: it cannot be planned.
        """
        self.run("plan", f"-out={self.folder / 'plan'}", *self._given(variables))
        planned = json.loads(self.run("show", "-json", str(self.folder / "plan")))
        found = {each["address"]: each["change"]["actions"] for each in planned.get("resource_changes", [])}
        return {address: actions for address, actions in found.items() if actions != ["no-op"]}

    def value(self, expression: str) -> Any:
        """Evaluate an expression of the configuration, such as `local.limits`, with the variables of the last `apply`."""
        given = str(self.folder / "given.tfvars.json")
        said = self.run("console", f"-var-file={given}", given=f"jsonencode({expression})\n")
        return json.loads(json.loads(said))

    def _given(self, variables: Mapping[str, Any]) -> tuple[str, ...]:
        path = self.folder / "given.tfvars.json"
        path.write_text(json.dumps(variables), encoding="utf-8")
        return "-input=false", "-refresh=false", "-lock=false", f"-var-file={path}"

    def run(self, *arguments: str, given: str = "") -> str:
        """Run one command, with something to read; give what it printed.

        Raises:
            TerraformFailed: it ended with an error.
        """
        done = subprocess.run(
            [found(), f"-chdir={self.folder}", arguments[0], *_colourless(arguments[0]), *arguments[1:]],
            env={**_environment(), **self._provider.environment, "TMPDIR": str(self.folder)},
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise TerraformFailed(f"terraform {arguments[0]}:\n{done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def deployment(folder: Path, source: Path = INFRA) -> Iterator[Deployment]:
    """Copy infra/ into an empty folder, for a `terraform` that is ready to plan."""
    with StubProvider() as provider:
        yield Deployment(folder, provider, source).init()


def missing() -> str | None:
    """Say why Terraform cannot be run, and how to get it; None where it can."""
    program = shutil.which("terraform")
    get_it = "https://developer.hashicorp.com/terraform/install"
    if program is None:
        return f"infra/ is not checked: there is no terraform here; get 1.9 or later from {get_it}"
    said = subprocess.run([program, "version"], env=_environment(), capture_output=True, text=True, check=False).stdout
    version = re.search(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        return f"infra/ is not checked: {program} is older than 1.9; get a newer one from {get_it}"
    return None


def found() -> str:
    """Give the program's path."""
    program = shutil.which("terraform")
    if program is None:
        raise TerraformFailed(str(missing()))
    return program


def _environment() -> dict[str, str]:
    """Give an environment in which nothing of this machine's user reaches Terraform, and nobody is called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_", "CLOUDSDK_"))}
    return {**kept, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}


def _colourless(command: str) -> list[str]:
    return [] if command in {"fmt", "console"} else ["-no-color"]
