"""Work in a process group of its own, of which nothing is left when it ends, however it ends.

A terminal's Ctrl-C reaches every process of the foreground at once: emulators would be gone before those who clean up
behind themselves in them. Here it reaches one process, which ends the others in order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType


def supervised(work: Callable[[], int]) -> int:
    """Do the work in a child process; give its exit status, in the child and in the parent.

    An interrupt, a hang-up or a request to end is an interrupt to the child; the second one kills its whole group. To
    be called before any thread is started.

    Args:
        work: gives an exit status; a `KeyboardInterrupt` asks it to end.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        return work()
    asked = 0

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            os.kill(child, signal.SIGINT)
        else:
            _kill_group(child)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    # As long as nobody has waited for it, its number is nobody else's.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    _kill_group(child)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
