"""How much memory this container has held at most, for the operator's log."""

from __future__ import annotations

import sys
from pathlib import Path

#: Where a control group says the most that it has held, version 2 and version 1.
_PEAKS = ("sys/fs/cgroup/memory.peak", "sys/fs/cgroup/memory/memory.max_usage_in_bytes")


def peak_memory_bytes(root: Path = Path("/")) -> int:
    """Give the most memory that was held so far: by this container, or else by the largest of our programs.

    Args:
        root: where `sys` is looked for; it need not be there.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html.
    """
    for name in _PEAKS:
        try:
            said = (root / name).read_text().strip()
        except OSError:  # Not every system has control groups.
            continue
        if said.isdecimal():
            return int(said)
    return _of_our_programs()


def _of_our_programs() -> int:
    # Not on every system either; a container has it.
    from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

    # Kibibytes on Linux, bytes on macOS.
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return unit_bytes * max(getrusage(who).ru_maxrss for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
