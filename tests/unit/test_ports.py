"""A port is small, and each of its methods states its promise."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Protocol

import pytest

from pipeline import object_port, ports, work_ports


def _ports(module: ModuleType) -> list[type]:
    classes = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
    return [each for each in classes if Protocol in each.__bases__]


PORTS = [port for module in (ports, object_port, work_ports) for port in _ports(module)]


def test_the_core_asks_for_six_things_from_the_outside() -> None:
    names = {port.__name__ for port in PORTS}

    assert names == {"Clock", "JobStore", "MessageBus", "ObjectStore", "Generator", "Stitcher"}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_has_at_most_six_methods_and_each_states_its_promise(port: type) -> None:
    methods = {name: method for name, method in vars(port).items() if callable(method) and not name.startswith("_")}

    assert 1 <= len(methods) <= 6
    assert all((method.__doc__ or "").strip().split("\n")[0].endswith((".", ":")) for method in methods.values())
