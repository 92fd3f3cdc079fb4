"""Becomes another program that the kernel kills as soon as the one who started it is gone, even by `kill -9`.

Run as a script: `python tether.py PARENT_PID PROGRAM ARGUMENT…`. It is a program of its own because the request must be
made between fork and exec, where a process with threads may run no Python of its own. Linux only.
Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tether(parent_pid: int, command: list[str]) -> None:
    """Ask for the kill, then become `command`; ends at once where the parent is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # It died before we could ask.
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the list comes from gpu_job/ffmpeg.py, no shell reads it


if __name__ == "__main__":
    tether(int(sys.argv[1]), sys.argv[2:])
