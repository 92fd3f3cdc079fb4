"""Which files can be music, told by their headers: of every kind that is read, and of bytes without any sense."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.music_file import MUSIC_SIZE_BYTES_MAX, music_fault
from media.reader import BytesReader

SUFFIXES = ["mp3", "wav", "flac", "ogg", "aac", "aiff", "m4a", "mp4", "mka", "webm"]


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Half a second of a tone in every kind of file."""
    folder: Path = tmp_path_factory.mktemp("songs")
    outputs = [word for suffix in SUFFIXES for word in ("-map", "0:a", str(folder / f"song.{suffix}"))]
    tone = ["-f", "lavfi", "-i", "sine=f=220:r=48000:d=0.5"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *tone, *outputs], check=True)
    return {suffix: (folder / f"song.{suffix}").read_bytes() for suffix in SUFFIXES}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_music_of_every_kind_is_taken(songs: dict[str, bytes], suffix: str) -> None:
    assert music_fault(BytesReader(songs[suffix])) is None


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
def test_a_damaged_file_is_taken_or_refused_in_words_and_never_breaks(
    songs: dict[str, bytes], suffix: str, data: st.DataObject
) -> None:
    song = bytearray(songs[suffix])
    for _ in range(data.draw(st.integers(1, 8))):
        song[data.draw(st.integers(0, min(len(song) - 1, 600)))] = data.draw(st.integers(0, 255))

    fault = music_fault(BytesReader(bytes(song[: data.draw(st.integers(0, len(song)))])))

    assert fault is None or fault.split()[0] in {"is", "has", "lasts", "cannot"}


@given(st.binary(max_size=2000))
def test_bytes_without_sense_are_refused_in_words_or_are_sound(data: bytes) -> None:
    fault = music_fault(BytesReader(data))

    assert fault is None or fault.split()[0] in {"is", "has", "lasts", "cannot"}


class Vast:
    """A file that is larger than any music; nobody reads it."""

    size_bytes = MUSIC_SIZE_BYTES_MAX + 1

    def read(self, offset: int, length: int) -> bytes:
        raise AssertionError(f"{length} bytes were read at {offset}")


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    assert music_fault(Vast()) == "has 1,073,741,825 bytes, more than 1,073,741,824"
