"""The two deployments, made once for all tests of a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.infra.terraform import missing
from tests.infra.world import World, a_world


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Give infra/ as it is deployed for production and for staging, side by side."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with a_world() as opened:
        yield opened
