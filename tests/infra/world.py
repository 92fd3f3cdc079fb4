"""Two deployments of one copy of infra/, side by side in one project, and what must hold of them.

A law is a function that says what is wrong, a sentence each; nothing where all is well. `breakages.py` shows that each
can fail.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tests.infra.extract import INFRA
from tests.infra.terraform import Deployment, Made, deployment

PROJECT: Final = "my-films-4711"
_DIGEST: Final = "0123456789abcdef" * 4
_IMAGES: Final = f"us-east4-docker.pkg.dev/{PROJECT}/longreel"

#: Everything that can be had, and nothing that has a default.
PRODUCTION: Final[Mapping[str, Any]] = {
    "project_id": PROJECT,
    "source_object": f"functions-{_DIGEST}.zip",
    "image_cpu": f"{_IMAGES}/stitch-cpu@sha256:{_DIGEST}",
    "image_gpu": f"{_IMAGES}/stitch-gpu@sha256:{_DIGEST}",
}
#: Without jobs of Cloud Run, and everything else than usual.
STAGING: Final[Mapping[str, Any]] = {
    "project_id": PROJECT,
    "environment": "staging",
    "source_object": f"functions-{_DIGEST}.zip",
    "jobs_collection": "reels",
    "films_kept_days": 30,
    "daily_limit_usd": 49.9,
    "deletion_protection": False,
    "app_check": True,
    "cors_origins": ["https://films.example.com"],
    "transcoder": False,
}


class World:
    """The two deployments, each planned when it is first looked at.

    Args:
        copy: of infra/.
    """

    def __init__(self, copy: Deployment) -> None:
        self.copy = copy

    @cached_property
    def production(self) -> Made:
        """Give the deployment that has everything."""
        return self.copy.plan(PRODUCTION)

    @cached_property
    def staging(self) -> Made:
        """Give the one beside it."""
        return self.copy.plan(STAGING)

    @property
    def both(self) -> Iterator[Made]:
        """Give the two; whoever has found enough in the first never plans the second."""
        yield self.production
        yield self.staging


Law = Callable[[World], Iterator[str]]


@contextmanager
def a_world(source: Path = INFRA) -> Iterator[World]:
    """Open a world over a copy of a folder."""
    with tempfile.TemporaryDirectory(prefix="infra") as folder, deployment(Path(folder), source) as copy:
        yield World(copy.read_data_at_once())


def role_grants(made: Made) -> Iterator[tuple[str, str, str]]:
    """Give every grant as address, role and member."""
    for each in made:
        if each.type.endswith(("_iam_member", "_iam_binding")):
            members = each.values.get("members") or [each.values.get("member")]
            yield from ((each.address, str(each.values["role"]), str(member)) for member in members)


def environment_of(function: Mapping[str, Any]) -> dict[str, str]:
    """Give the variables that a deployed function sees."""
    return dict(function["service_config"][0]["environment_variables"] or {})


def functions_of(made: Made) -> dict[str, Mapping[str, Any]]:
    """Give the deployed functions by their entry points."""
    return {
        each.values["build_config"][0]["entry_point"]: each.values
        for each in made.all("google_cloudfunctions2_function")
    }
