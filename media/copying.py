"""Moving bytes from file to file without looking at them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

#: Bytes moved by one call, so that progress can be told in between.
_STEP_BYTES = 64 * 1024 * 1024
#: Bytes moved through our own memory where the kernel cannot do it alone.
_BUFFER_BYTES = 1024 * 1024
#: Answers that mean "not between these files, or not on this system".
_UNSUPPORTED = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.ENOTSOCK,
    errno.EBADF,
    errno.ETXTBSY,
}

#: Moves up to so many bytes: (from, to, offset, length) → bytes moved.
_Mover = Callable[[int, int, int, int], int]


class Copier:
    """Copies ranges to the end of one file by the cheapest way that works there.

    `copy_file_range` lets the file system share the bytes or move them inside the kernel; else `sendfile` does; else
    they go through memory.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._movers: list[_Mover] = [_through_memory]
        if hasattr(os, "sendfile"):
            self._movers.append(_by_sendfile)
        if hasattr(os, "copy_file_range"):
            self._movers.append(_by_copy_file_range)

    def copy(self, source: int, offset: int, length: int, moved: Callable[[int], None]) -> int:
        """Append `length` bytes of `source` from `offset` on, and say how many there were.

        Raises:
            OSError: the disk is full or broken.
        """
        left = length
        while left:
            count = self._move(source, offset, min(left, _STEP_BYTES))
            if not count:
                break
            offset, left = offset + count, left - count
            moved(count)
        return length - left

    def _move(self, source: int, offset: int, length: int) -> int:
        while len(self._movers) > 1:
            try:
                count = self._movers[-1](source, self._target, offset, length)
            except OSError as exc:
                if exc.errno not in _UNSUPPORTED:
                    raise
            else:
                if count:
                    return count
            # Some file systems say "nothing" where they mean "not supported"; memory knows for sure.
            self._movers.pop()
        return self._movers[0](source, self._target, offset, length)


def _by_copy_file_range(source: int, target: int, offset: int, length: int) -> int:
    return os.copy_file_range(source, target, length, offset)


def _by_sendfile(source: int, target: int, offset: int, length: int) -> int:
    return os.sendfile(target, source, offset, length)


def _through_memory(source: int, target: int, offset: int, length: int) -> int:
    data = os.pread(source, min(length, _BUFFER_BYTES), offset)
    write_all(target, data)
    return len(data)


def write_all(target: int, data: bytes) -> None:
    """Write all of `data`; one call of the system may take only a part.

    Raises:
        OSError: the disk is full or broken.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
