"""All laws of infra/, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Final

from tests.infra import laws_access, laws_data, laws_functions, laws_order
from tests.infra.world import Law


def _of(module: ModuleType) -> dict[str, Law]:
    """Give the functions of a module that take a world and nothing else."""
    own = [each for each in vars(module).values() if inspect.isfunction(each) and each.__module__ == module.__name__]
    return {each.__name__: each for each in own if list(inspect.signature(each).parameters) == ["world"]}


LAWS: Final[Mapping[str, Law]] = {
    **_of(laws_functions),
    **_of(laws_data),
    **_of(laws_access),
    **_of(laws_order),
}
