"""What every test starts from: an environment without settings of this machine, and a stated amount of chance."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

_SETTINGS_OF_THIS_MACHINE = ("LONGREEL_", "GOOGLE_")

# No deadline: the machines that run this are slow and shared, and a late example is no bug.
settings.register_profile("quick", max_examples=50, deadline=None)
# The gate must say the same of the same commit; new examples are looked for on laptops and by `make shake`.
settings.register_profile("gate", max_examples=50, deadline=None, derandomize=True)
settings.register_profile(
    "shake",
    max_examples=400,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gate" if os.environ.get("CI") else "quick")

#: Files that take longest: begun last, one of them would keep one core at work while the others have nothing to do.
#: Those that mostly wait and those that mostly work take turns.
LONGEST = (
    "tests/gpu_job/test_resume.py",
    "tests/cloud/test_adoption.py",
    "tests/cli/test_kill.py",
    "tests/gpu_job/test_parallel.py",
    "tests/test_cold_start.py",
    "tests/test_docs.py",
    "tests/cloud/test_cost.py",
    "tests/gpu_job/test_hostile_films.py",
    "tests/cloud/test_replay.py",
    "tests/simulation/test_simulation.py",
    "tests/cloud/test_heal.py",
    "tests/media/hostile/test_hostile_files.py",
    "tests/cloud/test_error_matrix.py",
    "tests/cli/test_make.py",
    "tests/cloud/test_routes.py",
    "tests/infra/test_infra.py",
    "tests/cloud/test_demo.py",
    "tests/gpu_job/test_mixed_film.py",
    "tests/cloud/test_twenty_films.py",
    "tests/cli/test_stitch.py",
    "tests/web/test_playback.py",
    "tests/web/test_whole_film.py",
    "tests/cli/test_stop.py",
    "tests/simulation/test_it_catches.py",
)


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(_SETTINGS_OF_THIS_MACHINE):
            del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files that take longest first, then those with the most tests."""
    if missing := [name for name in LONGEST if not (config.rootpath / name).is_file()]:
        raise pytest.UsageError(f"tests/conftest.py: LONGEST names what is not there: {', '.join(missing)}")
    files = [item.nodeid.partition("::")[0] for item in items]
    many = Counter(files)
    rank = {name: number for number, name in enumerate(LONGEST)}
    order = sorted(range(len(items)), key=lambda at: (rank.get(files[at], len(rank)), -many[files[at]], files[at], at))
    items[:] = [items[at] for at in order]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out and how to get it; a silent skip would look like a pass."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        # A contract test names its adapter first; what is missing is the same for all.
        reasons[re.sub(r"^[a-z_]+: ", "", reason.removeprefix("Skipped: "))] += 1
    if reasons:
        terminalreporter.section("left out")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count} tests: {reason}")
