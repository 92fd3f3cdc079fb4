"""Clips on disk, as a splice takes them: an index to plan with, and files to copy from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from events.errors import StitchFailed
from media.assembly import Assembly, assemble, with_tail
from media.movie import Movie
from media.mp4_index import read_movie
from media.reader import FileReader


class FileBytes(NamedTuple):
    """Bytes that follow each other in one file."""

    file: ClipFile
    offset: int
    length: int


class DiskClip(Protocol):
    """A clip that lies in one file or in several."""

    @property
    def movie(self) -> Movie:
        """Give its index."""
        ...

    @property
    def size_bytes(self) -> int:
        """Tell how large its files are together."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`, counted as its index counts; fewer only at the end."""
        ...

    def locate(self, offset: int, length: int) -> Iterator[FileBytes]:
        """Tell in which file bytes lie, in order."""
        ...


class ClipFile:
    """A clip on disk that is open only while it is read: a film may have more clips than a process may have files.

    Raises:
        NotFound: there is no such file.
        BadMedia: it is no clip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with FileReader(path) as reader:
            self.movie: Movie = read_movie(reader, str(path))
            self.size_bytes = reader.size_bytes
            self._identity = _identity(reader)

    def open(self) -> FileReader:
        """Open the file again.

        Raises:
            StitchFailed: it is not the file any more whose index was read.
        """
        reader = FileReader(self.path)
        if _identity(reader) != self._identity:
            reader.close()
            raise StitchFailed(f"join {self.path}: the file was changed meanwhile")
        return reader

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        with self.open() as reader:
            return reader.read(offset, length)

    def locate(self, offset: int, length: int) -> Iterator[FileBytes]:
        """Give the bytes as they are: there is but one file."""
        yield FileBytes(self, offset, length)


def _identity(reader: FileReader) -> tuple[int, ...]:
    found = os.fstat(reader.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class _SeveralFiles:
    """A clip whose bytes are those of other clips, in the order of its assembly's files."""

    def __init__(self, files: Sequence[DiskClip], assembly: Assembly) -> None:
        self._files = files
        self._assembly = assembly
        self.movie = assembly.movie
        self.size_bytes = self.movie.size_bytes

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes from `offset`; fewer only at the end."""
        length = min(length, self.size_bytes - offset)
        return b"".join(file.read(start, count) for file, start, count in self.locate(offset, length))

    def locate(self, offset: int, length: int) -> Iterator[FileBytes]:
        """Tell in which file bytes lie, in order."""
        for number, start, count in self._assembly.locate(offset, length):
            yield from self._files[number].locate(start, count)


class AssembledClip(_SeveralFiles):
    """A clip whose picture lies in several files, and its sound perhaps in another.

    Args:
        pictures: the files of the picture, in order, at least one.
        sound: the file of the sound; None where the one file of the picture has it, or there is none.

    Raises:
        StitchFailed: the files do not go together.
    """

    def __init__(self, pictures: Sequence[DiskClip], sound: DiskClip | None = None) -> None:
        files = [*pictures, *([sound] if sound else [])]
        super().__init__(files, assemble([file.movie for file in pictures], sound.movie if sound else None))


class TailedClip(_SeveralFiles):
    """A clip that ends where it cannot be cut: its first frames, then a piece that was encoded for those up to its end.

    Args:
        clip: its sound is heard, as long as the picture is shown.
        frame_count: how many of its frames are shown, up to a clean cut; 0 for none.
        tail: the piece.

    Raises:
        StitchFailed: they do not go together.
    """

    def __init__(self, clip: DiskClip, frame_count: int, tail: DiskClip) -> None:
        super().__init__([clip, tail], with_tail(clip.movie, frame_count, tail.movie))
