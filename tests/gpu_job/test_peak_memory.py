"""How much memory a container has held, by what its system says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_job.peak_memory import peak_memory_bytes


@pytest.mark.parametrize("place", ["sys/fs/cgroup/memory.peak", "sys/fs/cgroup/memory/memory.max_usage_in_bytes"])
def test_the_control_group_knows_it_for_all_programs_together(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("4294967296\n")

    assert peak_memory_bytes(tmp_path) == 4 * 1024**3


@pytest.mark.parametrize("said", [None, "", "max\n"])
def test_without_it_the_largest_of_our_programs_counts(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/memory.peak").write_text(said)

    assert 10_000_000 < peak_memory_bytes(tmp_path) < 100_000_000_000
