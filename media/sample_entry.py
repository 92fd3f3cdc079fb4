"""How the samples of a track are coded: the sample entries in an `stsd` box, read and written.

Source: ISO/IEC 14496-12, 8.5.2 and 12; ISO/IEC 14496-14, 5.6 (esds); QuickTime File Format, sound descriptions.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from events.errors import BadMedia
from media.aac_config import AacConfig, parse_aac_config
from media.boxes import box, boxes, find, full_box, readable
from media.colour import Colour, boxed_colour
from media.stream_colour import stream_colours

#: Bytes of a picture's or sound's entry before the boxes inside it, its own header counted.
_VIDEO_HEAD = 86
_SOUND_HEAD = 36
#: QuickTime's second and third kind of sound entry are longer.
_SOUND_EXTRA = {0: 0, 1: 16, 2: 36}
#: esds object types: MPEG-4 audio; MPEG-2 AAC Main, LC, SSR; MPEG-2 and MPEG-1 audio layer 3.
_OBJECT_MPEG4_AUDIO = 0x40
_OBJECTS_AAC = (0x40, 0x66, 0x67, 0x68)
_OBJECTS_MP3 = (0x69, 0x6B)
#: Each clip's own bitrate and padding: of no meaning for a join.
_IGNORED = (b"btrt", b"free", b"skip")


@dataclass(frozen=True)
class VideoEntry:
    """How pictures are coded."""

    #: Such as `avc1`.
    kind: str
    #: As stored, before pixel aspect and rotation.
    width_px: int
    height_px: int
    #: Contents of the boxes inside, by kind, without those that do not matter.
    children: dict[bytes, bytes]
    #: The entry as it stands in the file, header included.
    raw: bytes

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height."""
        body = self.children.get(b"pasp", b"")
        across, down = struct.unpack_from(">II", body) if len(body) >= 8 else (1, 1)
        return Fraction(across, down) if across and down else Fraction(1)

    @property
    def color(self) -> str:
        """Primaries, transfer, matrix and range by their code points, such as `1/1/1 tv`; `unspecified` if not said.

        What `colr` says counts, and what it leaves open is told by the stream's own headers. Where several of those
        say different things, all are named: it is a colour like no other.

        Raises:
            BadMedia: the configuration of the picture is damaged.
        """
        body = self.children.get(b"colr", b"")
        found = [boxed_colour(body, stream) for stream in stream_colours(self.children) or [Colour()]]
        return " and ".join(dict.fromkeys(f"profile {body.hex()}" if each is None else str(each) for each in found))

    def with_child(self, kind: bytes, body: bytes) -> VideoEntry:
        """Give the same entry with the contents of one box inside replaced."""
        return VideoEntry(self.kind, self.width_px, self.height_px, {**self.children, kind: body}, self.raw)

    def to_bytes(self) -> bytes:
        """Write the entry for a film: without the clip's own bitrate."""
        inner = [box(kind, body) for kind, body in self.children.items()]
        return box(self.kind.encode("latin-1"), self.raw[8:_VIDEO_HEAD], *inner)


@dataclass(frozen=True)
class SoundEntry:
    """How sound is coded."""

    #: Such as `mp4a`.
    kind: str
    #: As the entry says; AAC knows better in its `config`.
    channel_count: int
    sample_rate_hz: int
    #: Such as `aac`, `mp3`, `Opus`.
    codec: str
    #: AAC's own configuration, as bytes and as meaning; None for other codecs.
    config: bytes | None
    aac: AacConfig | None
    raw: bytes

    def to_bytes(self) -> bytes:
        """Write the entry for a film: MPEG-4's kind of entry without the clip's own bitrate."""
        if self.kind != "mp4a":
            inner = [
                self.raw[b.start : b.end] for b in boxes(self.raw, _SOUND_HEAD, len(self.raw)) if b.kind not in _IGNORED
            ]
            return box(self.kind.encode("latin-1"), self.raw[8:_SOUND_HEAD], *inner)
        head = struct.pack(">6xH8xHH4xI", 1, self.channel_count, 16, min(self.sample_rate_hz, 65535) << 16)
        return box(b"mp4a", head, _elementary_stream(self.codec, self.config))


def read_video_entry(raw: bytes) -> VideoEntry:
    """Read one picture entry, header included.

    Raises:
        BadMedia: it is cut off or its boxes are broken.
    """
    if len(raw) < _VIDEO_HEAD:
        raise BadMedia("the description of its picture is cut off")
    width, height = struct.unpack_from(">HH", raw, 32)
    children = {b.kind: raw[b.body : b.end] for b in boxes(raw, _VIDEO_HEAD, len(raw)) if b.kind not in _IGNORED}
    return VideoEntry(raw[4:8].decode("latin-1"), width, height, children, raw)


def read_sound_entry(raw: bytes) -> SoundEntry:
    """Read one sound entry, header included.

    Raises:
        BadMedia: it is cut off or its boxes are broken.
    """
    if len(raw) < _SOUND_HEAD:
        raise BadMedia("the description of its sound is cut off")
    version, channels, rate = struct.unpack_from(">H6xH6xH", raw, 16)
    kind = raw[4:8].decode("latin-1")
    start = _SOUND_HEAD + _SOUND_EXTRA.get(version, 0)
    if kind != "mp4a":
        return SoundEntry(kind, channels, rate, readable(raw[4:8]), None, None, raw)
    esds = find(raw, start, len(raw), b"esds") or find(raw, start, len(raw), b"wave", b"esds")
    object_type, config = _read_elementary_stream(raw[esds.body + 4 : esds.end]) if esds else (0, b"")
    if object_type in _OBJECTS_MP3:
        return SoundEntry(kind, channels, rate, "mp3", None, None, raw)
    if object_type not in _OBJECTS_AAC or not config:
        return SoundEntry(kind, channels, rate, f"mp4a object 0x{object_type:02x}", config, None, raw)
    aac = parse_aac_config(config)
    return SoundEntry(kind, aac.channel_count or channels, aac.sample_rate_hz, "aac", config, aac, raw)


def _descriptor(data: bytes, at: int) -> tuple[int, int, int]:
    """Read the head of an MPEG-4 descriptor: its tag, where its contents start, and where they end."""
    tag, size, at = data[at], 0, at + 1
    for _ in range(4):
        byte = data[at]
        size, at = size << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            break
    return tag, at, min(at + size, len(data))


def _read_elementary_stream(data: bytes) -> tuple[int, bytes]:
    """Give the object type and the decoder's configuration out of an ES descriptor."""
    try:
        tag, at, _ = _descriptor(data, 0)
        flags = data[at + 2]
        at += 3 + (2 if flags & 0x80 else 0)
        at += 1 + data[at] if flags & 0x40 else 0
        at += 2 if flags & 0x20 else 0
        inner, at, end = _descriptor(data, at)
        if (tag, inner) != (3, 4):
            raise BadMedia("the description of its sound (esds) is damaged")
        object_type = data[at]
        if at + 13 >= end:
            return object_type, b""
        tag, at, end = _descriptor(data, at + 13)
        return object_type, data[at:end] if tag == 5 else b""
    except IndexError as exc:
        raise BadMedia("the description of its sound (esds) is cut off") from exc


def _elementary_stream(codec: str, config: bytes | None) -> bytes:
    """Write an `esds` box; bitrates are left at 0, unknown."""
    object_type = 0x6B if codec == "mp3" else _OBJECT_MPEG4_AUDIO
    specific = _tagged(5, config) if config else b""
    decoder = _tagged(4, bytes([object_type, 0x15]) + bytes(11) + specific)
    return full_box(b"esds", 0, 0, _tagged(3, bytes(3) + decoder + _tagged(6, b"\x02")))


def _tagged(tag: int, body: bytes) -> bytes:
    size = len(body)
    return bytes([tag, 0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F]) + body
