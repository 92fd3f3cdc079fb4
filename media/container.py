"""What kind of file this is, told by its first bytes and never by its name."""

from __future__ import annotations

import re
from typing import NamedTuple

#: How many bytes `sniff` wants to see; it works with fewer.
SNIFF_BYTES = 1024


class Container(NamedTuple):
    """A kind of file."""

    #: One word for programs: `mp4`, `matroska`, `png`, …
    name: str
    #: For sentences: "a PNG image".
    title: str
    #: The FFmpeg demuxer that reads it; None for a file that is not a video.
    demuxer: str | None = None


MP4 = Container("mp4", "an MP4 video", "mov")
MOV = Container("mov", "a QuickTime video", "mov")
EMPTY = Container("empty", "empty")
UNKNOWN = Container("unknown", "of an unknown kind")
_TEXT = Container("text", "a text file")
_MP3 = Container("mp3", "an MP3 sound file")
_AAC = Container("aac", "a raw AAC sound file")
_MPEGTS = Container("mpegts", "an MPEG transport stream", "mpegts")
_IMAGE = Container("heif", "a HEIF or AVIF image")

#: (pattern of the first bytes, what it is), first match wins.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], Container], ...] = tuple(
    (re.compile(pattern, re.DOTALL), container)
    for pattern, container in (
        (rb"....ftyp(qt  )", MOV),
        (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1|avif|avis)", _IMAGE),
        (rb"....(ftyp|styp)", MP4),
        (rb"....(moov|mdat|wide|pnot|free|skip)", MOV),
        (rb"\x1a\x45\xdf\xa3.{0,64}webm", Container("webm", "a WebM video", "matroska")),
        (rb"\x1a\x45\xdf\xa3", Container("matroska", "a Matroska video", "matroska")),
        (rb"RIFF....AVI ", Container("avi", "an AVI video", "avi")),
        (rb"RIFF....WAVE", Container("wav", "a WAV sound file")),
        (rb"RIFF....WEBP", Container("webp", "a WebP image")),
        (rb"FLV\x01", Container("flv", "a Flash video", "flv")),
        (rb"\x00\x00\x01\xba", Container("mpeg", "an MPEG program stream", "mpeg")),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("asf", "a Windows Media file", "asf")),
        (rb"OggS", Container("ogg", "an Ogg file", "ogg")),
        (rb"\x89PNG\r\n\x1a\n", Container("png", "a PNG image")),
        (rb"\xff\xd8\xff", Container("jpeg", "a JPEG image")),
        (rb"GIF8[79]a", Container("gif", "a GIF image")),
        (rb"BM.{4}\x00\x00\x00\x00", Container("bmp", "a BMP image")),
        (rb"(II\*\x00|MM\x00\*)", Container("tiff", "a TIFF image")),
        (rb"%PDF-", Container("pdf", "a PDF document")),
        (rb"PK\x03\x04", Container("zip", "a ZIP archive")),
        (rb"\x1f\x8b", Container("gzip", "a gzip archive")),
        (rb"fLaC", Container("flac", "a FLAC sound file")),
        (rb"ID3", _MP3),
        (
            rb"\x00{2,3}\x01[\x09\x27\x47\x67\x40\x42]",
            Container("h26x", "a raw H.264 or H.265 stream"),
        ),
        (rb"\xff[\xf0\xf1\xf8\xf9]", _AAC),
        (rb"\xff[\xfa\xfb\xf2\xf3\xe2\xe3]", _MP3),
        (rb"(\xef\xbb\xbf)?\s*#EXTM3U", Container("hls", "an HLS playlist")),
        (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?<MPD", Container("dash", "a DASH manifest")),
        (rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype html|<html)", Container("html", "a web page")),
        (
            rb"(\xef\xbb\xbf)?\s*(<\?xml|<Error>)",
            Container("xml", "an XML text, such as a storage error"),
        ),
    )
)


def sniff(head: bytes) -> Container:
    """Tell what a file is from its first `SNIFF_BYTES` bytes.

    >>> sniff(b"\\x89PNG\\r\\n\\x1a\\n").title
    'a PNG image'
    """
    if not head:
        return EMPTY
    if _is_transport_stream(head):
        return _MPEGTS
    for pattern, container in _SIGNATURES:
        if pattern.match(head):
            return container
    return _TEXT if _is_text(head) else UNKNOWN


def _is_transport_stream(head: bytes) -> bool:
    # A sync byte alone is a common letter ("G"), so that several in a row are asked for; 192 is the Blu-ray variant.
    return any(
        len(head) > first + 2 * step and all(head[first + i * step] == 0x47 for i in range(3))
        for first, step in ((0, 188), (4, 192))
    )


def _is_text(head: bytes) -> bool:
    # The last character may be cut in the middle, which is no reason to call it binary.
    text = head.decode("utf-8", errors="ignore")
    return len(text.encode()) > len(head) - 4 and all(c.isprintable() or c in "\r\n\t\f" for c in text)
