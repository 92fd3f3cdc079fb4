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
#: What Terraform and Python leave behind.
LEFT_BEHIND: Final = shutil.ignore_patterns(".terraform*", "*.tfstate*", "__pycache__")
#: Nothing here goes to the network; this much later something hangs.
PATIENCE_SECONDS: Final = 120
#: The state would be in a bucket of the project that is deployed to.
_DATA: Final = re.compile(r'^data "\w+" "\w+" \{\n.*?^\}', re.M | re.S)
_WAITS: Final = re.compile(r"^  depends_on = \[[^\]]*\]\n", re.M)
_STATE_HERE: Final = 'terraform {\n  backend "local" {}\n}\n'


class TerraformFailed(Exception):
    """Terraform said no; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing of a deployment."""

    #: Such as `google_pubsub_topic.topic["sweep"]`.
    address: str
    type: str
    name: str
    #: The key of `for_each`, the number of `count`, or None.
    index: str | int | None
    values: Mapping[str, Any]


class Made:
    """All that a first deployment makes.

    Args:
        shown: what `terraform show -json` says of a plan.
    """

    def __init__(self, shown: Mapping[str, Any]) -> None:
        root = shown["planned_values"]["root_module"]
        self._resources = [
            Resource(each["address"], each["type"], each["name"], each.get("index"), each["values"])
            for each in root["resources"]
            if each["mode"] == "managed"
        ]

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
        shutil.copytree(source, folder, ignore=LEFT_BEHIND, dirs_exist_ok=True)
        (folder / "backend_override.tf").write_text(_STATE_HERE, encoding="utf-8")

    def init(self) -> Self:
        """Let Terraform look at what the configuration asks for."""
        self.run("init", "-input=false")
        return self

    def read_data_at_once(self) -> Self:
        """Let data sources that wait for a deployment be read at planning, as if all were there already."""
        for path in self.folder.glob("*.tf"):
            text = path.read_text(encoding="utf-8")
            path.write_text(_DATA.sub(lambda found: _WAITS.sub("", found[0]), text), encoding="utf-8")
        return self

    def plan(self, variables: Mapping[str, Any]) -> Made:
        """Plan a first deployment, and look at what would be there.

        Raises:
            TerraformFailed: it cannot be planned.
        """
        given = self._variables(variables)
        plan = self.folder / "plan"
        self.run("plan", "-input=false", "-refresh=false", "-lock=false", f"-var-file={given}", f"-out={plan}")
        return Made(json.loads(self.run("show", "-json", str(plan))))

    def value(self, expression: str, variables: Mapping[str, Any]) -> Any:
        """Evaluate an expression of the configuration that speaks of no resource, such as `local.limits`."""
        said = self.run("console", f"-var-file={self._variables(variables)}", given=f"jsonencode({expression})\n")
        return json.loads(json.loads(said))

    def _variables(self, variables: Mapping[str, Any]) -> Path:
        path = self.folder / "given.tfvars.json"
        path.write_text(json.dumps(variables), encoding="utf-8")
        return path

    def run(self, *arguments: str, given: str = "") -> str:
        """Run one command, with something to read; give what it printed.

        Raises:
            TerraformFailed: it ended with an error.
        """
        done = subprocess.run(
            [found(), f"-chdir={self.folder}", arguments[0], *_colourless(arguments[0]), *arguments[1:]],
            env={**environment(), **self._provider.environment, "TMPDIR": str(self.folder)},
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
    said = subprocess.run([program, "version"], env=environment(), capture_output=True, text=True, check=False).stdout
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


def environment() -> dict[str, str]:
    """Give an environment in which nothing of this machine's user reaches Terraform, and nobody is called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GOOGLE_", "CLOUDSDK_"))}
    return {**kept, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}


def _colourless(command: str) -> list[str]:
    return [] if command in {"fmt", "console"} else ["-no-color"]
