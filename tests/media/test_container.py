"""What a file is, told by its first bytes."""

from __future__ import annotations

import struct
import wave
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.container import SNIFF_BYTES, sniff
from tests.media.clips import ClipSpec, run_ffmpeg
from tests.media.conftest import ClipMaker


def png() -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def wav() -> bytes:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as written:
        written.setparams((1, 2, 8000, 0, "NONE", ""))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "title"),
    [
        (b"", "empty"),
        (png(), "a PNG image"),
        (wav(), "a WAV sound file"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"GIF89a", "a GIF image"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
        (b"\0\0\0\x1cftypavif", "a HEIF or AVIF image"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"ID3\x04\0", "an MP3 sound file"),
        (b"\xff\xfb\x90\x64", "an MP3 sound file"),
        (b"\xff\xf1\x50\x80", "a raw AAC sound file"),
        (b"fLaC\0\0\0\x22", "a FLAC sound file"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "an HLS playlist"),
        (b"\xef\xbb\xbf#EXTM3U", "an HLS playlist"),
        (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "a DASH manifest"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "an XML text, such as a storage error"),
        ("Dies ist nur Text — grüße\n".encode(), "a text file"),
        (b"\0\0\0\x01\x67\x64\0\x1f", "a raw H.264 or H.265 stream"),
        (bytes(range(128, 256)), "of an unknown kind"),
        (b"G" + bytes(187) + b"\0" + bytes(187) + b"G", "of an unknown kind"),
    ],
)
def test_what_is_no_video_is_named(head: bytes, title: str) -> None:
    found = sniff(head)

    assert found.title == title
    assert found.demuxer is None


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".mp4", "mp4"),
        (".mov", "mov"),
        (".mkv", "matroska"),
        (".webm", "webm"),
        (".avi", "avi"),
        (".ts", "mpegts"),
        (".flv", "flv"),
        (".mpg", "mpeg"),
        (".asf", "asf"),
        (".ogv", "ogg"),
    ],
)
def test_what_is_a_video_is_known_by_its_content(clip: ClipMaker, tmp_path: Path, suffix: str, name: str) -> None:
    video = {".webm": "libvpx-vp9", ".mpg": "mpeg2video", ".ogv": "libtheora"}.get(suffix, "copy")
    written = tmp_path / f"video{suffix}"
    run_ffmpeg(["-i", str(clip(ClipSpec(1))), "-c:v", video, "-an", "-strict", "-2", str(written)])
    misnamed = written.rename(tmp_path / "video.txt")

    found = sniff(misnamed.read_bytes()[:SNIFF_BYTES])

    assert found.name == name
    assert found.demuxer is not None


@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(head: bytes) -> None:
    assert sniff(head).title
