"""infra/ deploys what the code is made for: the laws of `laws_*.py`, each held, and each shown to be able to fail."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.infra.laws import LAWS
from tests.infra.terraform import missing
from tests.infra.world import World, a_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with a_world() as opened:
        yield opened


@pytest.mark.parametrize("law", LAWS)
def test_law(world: World, law: str) -> None:
    assert list(LAWS[law](world)) == []
