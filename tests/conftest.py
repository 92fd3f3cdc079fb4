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


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(_SETTINGS_OF_THIS_MACHINE):
            del os.environ[name]


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
