"""A fixture a port, over each of its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import registry
from tests.contract.rigs import BusRig, ClockRig, GeneratorRig, JobStoreRig, ObjectStoreRig, StitcherRig
from tests.contract.spend_rigs import SpendRig


def _rig(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    adapter: registry.Adapter = request.param
    yield from adapter.reach(folder)


@pytest.fixture(params=registry.JOB_STORES, ids=str)
def job_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStoreRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.SPENDS, ids=str)
def spend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SpendRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.MESSAGE_BUSES, ids=str)
def message_bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BusRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.OBJECT_STORES, ids=str)
def object_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStoreRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.GENERATORS, ids=str)
def generator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GeneratorRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.STITCHERS, ids=str)
def stitcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StitcherRig]:
    yield from _rig(request, tmp_path)


@pytest.fixture(params=registry.CLOCKS, ids=str)
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClockRig]:
    yield from _rig(request, tmp_path)
