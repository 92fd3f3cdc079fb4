"""Loading a large library quickly."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading(module: str) -> Iterator[None]:
    """Look for no garbage as long as a library is loaded, and never again in what it made.

    It makes objects by the hundred thousand, and all of them stay; to look through them again and again is a fifth of
    the time that the largest libraries take.

    Args:
        module: one of the library's; where it is loaded already, nothing is different.
    """
    if module in sys.modules or not gc.isenabled():
        # Or another thread is about it, or somebody wants it so.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # Else the next search would begin with all that is new.
        gc.freeze()
        gc.enable()
