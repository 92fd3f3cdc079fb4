"""infra/ deploys what the code is made for: the laws of `laws_*.py`, each held, and each shown to be able to fail.

The assertions of infra/tests run in `make check`; that they can fail is shown by `python -m tests.infra.breakages`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.infra import check
from tests.infra.breakages import BREAKAGES, Breakage, batches, broken, never_broken, unnoticed_by_laws
from tests.infra.laws import LAWS
from tests.infra.terraform import TerraformFailed, deployment, missing
from tests.infra.world import World

#: Typing mistakes that only the provider's schema can tell.
TYPOS = (
    Breakage("buckets.tf", 'match"]\n    max_age_seconds = 3600', 'match"]\n    max_age_second = 3600'),
    Breakage("firestore.tf", "  location_id = var.region\n", ""),
    Breakage("run_jobs.tf", 'dynamic "node_selector"', 'dynamic "node_selectors"'),
    Breakage("registry.tf", "keep_count = 5", 'keep_count = "five"'),
)
#: Terraform looks at references only where everything else is right.
NOWHERE = Breakage(
    "rules.tf", "google_firebaserules_ruleset.storage.name", "google_firebaserules_ruleset.storage.names"
)


@pytest.fixture(scope="module", autouse=True)
def terraform() -> None:
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.mark.parametrize("law", LAWS)
def test_law(world: World, law: str) -> None:
    assert list(LAWS[law](world)) == []


def test_every_law_and_every_assertion_is_broken_by_some_change() -> None:
    assert never_broken() == []


@pytest.mark.parametrize(
    "batch", batches([each for each in BREAKAGES if each.laws]), ids=lambda each: f"copy {each[0].copy}"
)
def test_no_law_overlooks_what_breaks_it(batch: list[Breakage]) -> None:
    assert unnoticed_by_laws(batch) == []


def test_what_google_does_not_know_is_found_without_google(tmp_path: Path) -> None:
    said = validated(TYPOS, tmp_path)

    assert 'An argument named "max_age_second" is not expected here. Did you mean "max_age_seconds"?' in said
    assert 'The argument "location_id" is required' in said
    assert 'Blocks of type "node_selectors" are not expected here' in said
    assert 'Inappropriate value for attribute "keep_count": a number is required' in said


def test_a_reference_that_leads_nowhere_is_found_without_google(tmp_path: Path) -> None:
    said = validated([NOWHERE], tmp_path)

    assert 'This object has no argument, nested block, or exported attribute named "names"' in said


def validated(breakages: Sequence[Breakage], folder: Path) -> str:
    """Give what Terraform says of a broken copy."""
    with broken(breakages) as source, deployment(folder, source) as copy, pytest.raises(TerraformFailed) as found:
        copy.run("validate")
    return " ".join(str(found.value).split())


def test_the_check_says_which_file_is_not_formatted() -> None:
    loose = Breakage("registry.tf", 'format        = "DOCKER"', 'format = "DOCKER"')

    with (
        broken([loose]) as folder,
        pytest.raises(TerraformFailed, match=r"would change registry\.tf; run: terraform fmt"),
    ):
        check.check(folder)


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 69)])
def test_without_terraform_the_check_says_how_to_get_it(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)

    assert check.main() == code
    assert "there is no terraform here; get 1.9 or later from https://" in capsys.readouterr().err
