"""The bytes of stored objects: in files, with their checksums."""

from __future__ import annotations

import base64
import hashlib
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import google_crc32c

from tests.cloud.servers.http import PIECE_SIZE_BYTES


class Content:
    """Bytes in a file that goes when nobody holds them any more; never changed, so objects may share them."""

    def __init__(self, path: Path, size_bytes: int, crc32c: str, md5: str) -> None:
        self.path = path
        self.size_bytes = size_bytes
        #: Base64 of the big-endian bytes.
        self.crc32c = crc32c
        self.md5 = md5
        weakref.finalize(self, path.unlink, missing_ok=True)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give the bytes from `start` to before `end`, a piece at a time."""
        left = (self.size_bytes if end is None else end) - start
        with self.path.open("rb") as file:
            file.seek(start)
            while left > 0 and (piece := file.read(min(left, PIECE_SIZE_BYTES))):
                left -= len(piece)
                yield piece

    def read(self) -> bytes:
        return self.path.read_bytes()


class ContentWriter:
    """Bytes on their way into a file, with their checksums."""

    def __init__(self, path: Path) -> None:
        self.size_bytes = 0
        self._path = path
        self._crc32c = 0
        self._md5 = hashlib.md5()
        path.touch()
        self._drop = weakref.finalize(self, path.unlink, missing_ok=True)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append bytes; where it breaks, what came before stays."""
        with self._path.open("ab", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                self._crc32c = google_crc32c.extend(self._crc32c, piece)
                self._md5.update(piece)
                self.size_bytes += len(piece)

    def content(self) -> Content:
        """End it."""
        self._drop.detach()
        return Content(
            self._path, self.size_bytes, _base64(self._crc32c.to_bytes(4, "big")), _base64(self._md5.digest())
        )


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
