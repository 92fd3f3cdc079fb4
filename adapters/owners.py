"""Who is alive: each worker holds a lock on a file of its own, and the kernel lets go of it when the worker dies."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path


class Owner:
    """This process, as others see it. The lock is held until `close` or until the process ends, however it ends.

    Args:
        folder: where the lock files lie; one folder a home.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        #: A name that no other worker ever had.
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._lock = os.open(folder / self.name, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Stop being an owner."""
        (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._lock)

    def is_dead(self, name: str) -> bool:
        """Tell whether another owner is gone; its lock file is removed when it is."""
        if name == self.name:
            return False
        try:
            handle = os.open(self._folder / name, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            (self._folder / name).unlink(missing_ok=True)
            return True
        finally:
            os.close(handle)
