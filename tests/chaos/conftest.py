"""The long runs of chaos are left out of the default tests, with a word how to run them."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: kills real processes for longer than a default test may take")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "chaos" in config.option.markexpr:
        return
    left_out = pytest.mark.skip(reason="kill -9 for longer than a test may take: `make chaos`, or pytest -m chaos")
    for item in items:
        if item.get_closest_marker("chaos") is not None:
            item.add_marker(left_out)
