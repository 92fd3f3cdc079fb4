"""What every test starts from: an environment without settings of this machine, and a stated amount of chance."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SETTINGS_OF_THIS_MACHINE = ("LONGREEL_", "GOOGLE_")

# No deadline: the machines that run this are slow and shared, and a late example is no bug.
# Choose the other one with `pytest --hypothesis-profile=ci`.
settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=400,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("quick")


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(_SETTINGS_OF_THIS_MACHINE):
            del os.environ[name]
