"""A clip in an object store, read by ranges as `media/` likes it."""

from __future__ import annotations

from pipeline.object_port import ObjectInfo, ObjectStore

#: Bytes fetched at once: an index is read in many small steps, and each request to a store costs as much as 64 KiB.
BLOCK_SIZE_BYTES = 64 * 1024


class ObjectReader:
    """Reads one version of one object; small reads are served from the last block."""

    def __init__(self, objects: ObjectStore, info: ObjectInfo) -> None:
        self._objects = objects
        self._info = info
        self._block_start = 0
        self._block = b""
        #: The object's length.
        self.size_bytes = info.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset`; fewer at the end of the object.

        Raises:
            NotFound: this version of the object is gone.
        """
        length = max(0, min(length, self.size_bytes - offset))
        start = offset - self._block_start
        if start < 0 or start + length > len(self._block):
            self._block = self._fetch(offset, max(length, BLOCK_SIZE_BYTES))
            self._block_start, start = offset, 0
        return self._block[start : start + length]

    def _fetch(self, offset: int, length: int) -> bytes:
        return self._objects.read(self._info.uri, offset, length, generation=self._info.generation)
