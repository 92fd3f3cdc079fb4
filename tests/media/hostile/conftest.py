"""One good clip, one trap and one warm process for all hostile files."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.media.hostile.kit import Kit, make_kit
from tests.media.hostile.trap import Trap
from tests.media.hostile.watch import Watcher

# The works of this folder are used by tests of other folders as well, which import these fixtures.

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="what a process uses is read from Linux")


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Give what hostile files are made of; its trap is armed."""
    trap = Trap(tmp_path_factory.mktemp("elsewhere"))
    made = make_kit(tmp_path_factory.mktemp("job"), trap)
    with trap:
        yield made


@pytest.fixture(scope="session")
def watcher() -> Iterator[Watcher]:
    """Give the process that runs the works."""
    watcher = Watcher()
    yield watcher
    watcher.close()
