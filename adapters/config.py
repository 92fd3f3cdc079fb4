"""The only reader of the environment. A wrong value fails at start, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from events.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """What the embedded mode can be told.

    | variable | default | meaning |
    |---|---|---|
    | LONGREEL_HOME | the user's data folder | database, objects, logs |
    | LONGREEL_FFMPEG | the one that came with pip | a system ffmpeg to encode with |
    | LONGREEL_WORKERS | the number of processors | cards and films made at once |
    | LONGREEL_SYNCHRONOUS | FULL | NORMAL survives kill -9 only, not a power cut, and saves an fsync a commit |
    """

    home: Path
    ffmpeg: str | None
    #: Threads for slow work, at least 1.
    workers: int
    synchronous: str


def read_config(environment: Mapping[str, str] | None = None, home: Path | None = None) -> LocalConfig:
    """Read the configuration.

    Args:
        environment: the variables; None for the process's own.
        home: a folder that the user named; it wins over the variable.

    Raises:
        InvalidRequest: a variable has a value that cannot be used; names it.
    """
    env = os.environ if environment is None else environment
    synchronous = env.get("LONGREEL_SYNCHRONOUS", "FULL").upper()
    if synchronous not in {"NORMAL", "FULL"}:
        raise InvalidRequest("LONGREEL_SYNCHRONOUS", f"should be NORMAL or FULL, not {synchronous!r}")
    named = home or (Path(env["LONGREEL_HOME"]) if env.get("LONGREEL_HOME") else _home_of_the_user())
    return LocalConfig(
        home=named.expanduser().absolute(),
        ffmpeg=env.get("LONGREEL_FFMPEG") or None,
        workers=_workers(env),
        synchronous=synchronous,
    )


def _home_of_the_user() -> Path:
    # Imported only here: a command that is told its home starts without it.
    import platformdirs

    return platformdirs.user_data_path("longreel")


def _workers(env: Mapping[str, str]) -> int:
    text = env.get("LONGREEL_WORKERS") or str(os.cpu_count() or 1)
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise InvalidRequest("LONGREEL_WORKERS", f"should be a number from 1 to 64, not {text!r}")
    return int(text)
