"""Where media bytes come from: a local file, or ranged reads of an object far away.

Everything in `media/` that reads a clip takes a `ByteReader`, so that the same code probes and splices a file on
disk and an object in a store of which only a few kilobytes are ever fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from events.errors import BadMedia, NotFound

#: Bytes that are read ahead where nothing says how many.
WINDOW_BYTES = 32 * 1024


class ByteReader(Protocol):
    """Random access to bytes that do not change while they are read."""

    @property
    def size_bytes(self) -> int:
        """Total length."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end, none behind it."""
        ...


class BytesReader:
    """Bytes that are in memory already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        return self._data[offset : offset + length]


class FileReader:
    """A local file, open for reading from construction until `close` or the end of the `with` block.

    Raises:
        NotFound: there is no such file.
        BadMedia: it is a folder, or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._closed = False
            self.size_bytes = os.fstat(self._descriptor).st_size
            os.pread(self._descriptor, 1, 0)
        except FileNotFoundError as exc:
            raise NotFound(f"open {path}: there is no such file") from exc
        except OSError as exc:
            raise BadMedia(f"open {path}: it cannot be read ({exc.strerror})") from exc

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end.

        Raises:
            BadMedia: the disk gave an error.
        """
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as exc:
            raise BadMedia(f"read {self.path}: {exc.strerror} at byte {offset}") from exc

    def fileno(self) -> int:
        """Give the descriptor, for copies inside the kernel."""
        return self._descriptor

    def close(self) -> None:
        """Let the file go; a second call does nothing."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class WindowedReader:
    """Reads ahead in windows, so that many small reads near each other cost one request."""

    def __init__(self, reader: ByteReader, window_bytes: int = WINDOW_BYTES) -> None:
        self._reader = reader
        self._window_bytes = window_bytes
        self._start = 0
        self._data = b""
        self.size_bytes = reader.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        if offset >= self.size_bytes:
            return b""
        length = min(length, self.size_bytes - offset)
        at = offset - self._start
        if at < 0 or at + length > len(self._data):
            self._data = self._reader.read(offset, max(length, self._window_bytes))
            self._start, at = offset, 0
        return self._data[at : at + length]


class SpanReader:
    """Reads only what it is asked for, from far away, and nothing twice.

    What is known beforehand to be needed is fetched in spans, by several threads at the same time if they like;
    whatever else is read is fetched as it is asked for, byte for byte.

    Args:
        size_bytes: of the whole.
        fetch: gives `length` bytes from `offset`.
    """

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._spans: list[tuple[int, bytes]] = []

    def keep(self, offset: int, data: bytes) -> None:
        """Take in bytes that are known already."""
        self._spans.append((offset, data))

    def fetch(self, offset: int, length: int) -> None:
        """Fetch a span, if it is not there."""
        self.read(offset, length)

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        length = max(0, min(length, self.size_bytes - offset))
        held = self._held(offset, length)
        if len(held) < length:
            held += self._fetch(offset + len(held), length - len(held))
            self.keep(offset, held)
        return held

    def _held(self, offset: int, length: int) -> bytes:
        """Give as much from `offset` on as one span has."""
        found = b""
        for start, data in self._spans:
            if start <= offset and len(held := data[offset - start : offset - start + length]) > len(found):
                found = held
        return found


def windowed(reader: ByteReader, window_bytes: int = WINDOW_BYTES) -> ByteReader:
    """Give a reader for many small reads near each other; one that has its own idea of what to fetch stays as it is."""
    return reader if isinstance(reader, WindowedReader | SpanReader) else WindowedReader(reader, window_bytes)
