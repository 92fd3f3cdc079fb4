"""Files that are what they say, but too much of it: streams, pixels, lengths, holes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from media.boxes import box
from tests.media.hostile.kit import CASES, Case, Kit, hostile
from tests.media.hostile.matroska import ATTACHMENTS, CLUSTER, TAGS, element, open_ended, with_inside_first_track
from tests.media.hostile.surgery import PICTURE, SOUND, body_of, edited, replaced, table


def _copies(kit: Kit, name: str, pictures: int, sounds: int, *more: str) -> bytes:
    maps = [*["-map", "0:v"] * pictures, *["-map", "0:a"] * sounds]
    return kit.ffmpeg(name, "-i", str(kit.good_path), *maps, "-c", "copy", *more)


@hostile()
def thirty_pictures_and_thirty_sounds(kit: Kit) -> bytes:
    return _copies(kit, "many.mp4", 30, 30)


@hostile()
def thirty_pictures_in_matroska(kit: Kit) -> bytes:
    return _copies(kit, "many.mkv", 30, 30)


@hostile()
def data_and_subtitle_tracks(kit: Kit) -> bytes:
    captions = kit.folder / "captions.srt"
    captions.write_text("1\n00:00:00,000 --> 00:00:01,000\n<b>Hello</b>\n")
    return kit.ffmpeg(
        "captions.mp4", "-i", str(kit.good_path), "-i", str(captions), "-map", "0", "-map", "1", "-map", "1",
        "-c", "copy", "-c:s", "mov_text", "-timecode", "01:00:00:00", "-f", "mov",
    )  # fmt: skip


@hostile()
def cover_picture_beside_the_picture(kit: Kit) -> bytes:
    return kit.ffmpeg(
        "cover.mp4", "-i", str(kit.good_path), "-f", "lavfi", "-i", "color=red:size=64x64:duration=0.04", "-map", "0",
        "-map", "1", "-c:v:0", "copy", "-c:a", "copy", "-c:v:1", "mjpeg", "-pix_fmt:v:1", "yuvj420p",
        "-disposition:v:1", "attached_pic",
    )  # fmt: skip


def _video(kit: Kit, name: str, size: str, *more: str, rate: str = "25", frames: str = "3") -> bytes:
    return kit.ffmpeg(
        name, "-f", "lavfi", "-i", f"color=gray:size={size}:rate={rate}", "-frames:v", frames, *more
    )  # fmt: skip


@hostile("pixels cannot be")
def a_million_by_one_pixels(kit: Kit) -> bytes:
    """No picture of a million pixels a side is made by an encoder that is here: the header of a small one lies."""
    small = _video(kit, "row.avi", "64x16", "-c:v", "rawvideo", "-pix_fmt", "yuv420p")
    at = small.index(b"strf") + 8
    head = struct.pack("<Iii", 40, 1_000_000, 1)
    avih = small.index(b"avih") + 8 + 32
    small = small[:avih] + struct.pack("<II", 1_000_000, 1) + small[avih + 8 :]
    return small[:at] + head + small[at + 12 :]


@hostile("damaged|pixels cannot be")
def a_picture_of_twenty_thousand_pixels_a_side_in_matroska(kit: Kit) -> bytes:
    made = kit.ffmpeg("wide.mkv", "-i", str(kit.good_path), "-c", "copy", "-an")
    assert b"\xb0\x81\xa0\xba\x81\x60" in made
    # The width grows from one byte to two, and the height goes from one to none.
    return made.replace(b"\xb0\x81\xa0\xba\x81\x60", b"\xb0\x82\x7f\xff\xba\x80")


@hostile()
def parameter_sets_of_a_larger_picture(kit: Kit) -> bytes:
    """The sample entry says 160x96, the sequence parameter set 8192x8192."""
    large = _video(kit, "large.mp4", "8192x8192", "-c:v", "libx264", "-preset", "ultrafast", frames="1")
    config = body_of(large, f"{PICTURE}/stsd/avc1/avcC")
    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", lambda _: config)


@hostile()
def a_picture_larger_than_its_header(kit: Kit) -> bytes:
    """All of it is of 8320x8320 pixels but the sample entry, which says 160x96."""
    large = _video(kit, "huge.mp4", "8320x8320", "-c:v", "libx264", "-preset", "ultrafast", frames="1")
    return edited(large, f"{PICTURE}/stsd/avc1", lambda body: body[:24] + struct.pack(">HH", 160, 96) + body[28:])


@hostile()
def a_size_that_changes_on_the_way(kit: Kit) -> bytes:
    small = _video(kit, "a.ts", "160x96", "-c:v", "libx264", "-preset", "ultrafast", frames="12")
    large = _video(kit, "b.ts", "4096x2304", "-c:v", "libx264", "-preset", "ultrafast", frames="4")
    return small + large + small


@hostile()
def sequence_set_of_garbage(kit: Kit) -> bytes:
    def garbled(body: bytes) -> bytes:
        size = int.from_bytes(body[6:8], "big")
        # Its kind, profile, level and id stay.
        return body[:13] + b"\xa5" * (size - 5) + body[8 + size :]

    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", garbled)


@hostile("description of its samples")
def sequence_set_of_sixty_kilobytes(kit: Kit) -> bytes:
    def grown(body: bytes) -> bytes:
        size = int.from_bytes(body[6:8], "big")
        # Behind its end a parameter set may go on with what nobody reads.
        return body[:6] + struct.pack(">H", 60_000) + body[8 : 8 + size].ljust(60_000, b"\x55") + body[8 + size :]

    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", grown)


@hostile()
def a_picture_that_is_noise(kit: Kit) -> bytes:
    at = kit.good.index(b"mdat") + 4
    end = kit.good.index(b"moov") - 4
    noise = bytes((n * 7919 >> 3) & 255 for n in range(end - at))
    return kit.good[:at] + noise + kit.good[end:]


@hostile()
def a_first_frame_that_is_none(kit: Kit) -> bytes:
    (at,) = struct.unpack_from(">I", body_of(kit.good, f"{PICTURE}/stco"), 8)
    return kit.good[:at] + b"\x7f\xff\xff\xff" + kit.good[at + 4 :]


@hostile()
def sound_that_is_noise(kit: Kit) -> bytes:
    offsets = body_of(kit.good, "moov/trak[1]/mdia/minf/stbl/stco")[8:]
    data = bytearray(kit.good)
    for (offset,) in struct.iter_unpack(">I", offsets):
        data[offset : offset + 40] = bytes((n * 31 + offset) & 255 for n in range(40))
    return bytes(data)


@hostile()
def frames_that_all_hang_on_the_first(kit: Kit) -> bytes:
    return _video(
        kit, "one-group.mp4", "64x64", "-c:v", "libx264", "-preset", "ultrafast", "-x264-params",
        "keyint=infinite:scenecut=0", frames="5000", rate="240",
    )  # fmt: skip


@hostile()
def forty_thousand_frames_that_all_hang_on_the_first(kit: Kit) -> bytes:
    """The last frame can be told only by decoding all before it."""
    return _video(
        kit, "tiny.mp4", "16x16", "-c:v", "libx264", "-preset", "ultrafast", "-x264-params",
        "keyint=infinite:scenecut=0:bframes=0", frames="40000", rate="240",
    )  # fmt: skip


@hostile()
def a_transport_stream_without_end(kit: Kit) -> bytes:
    made = kit.ffmpeg("x.ts", "-i", str(kit.good_path), "-c", "copy")
    return made + b"\x47\x1f\xff\x10" * 47 * 100_000


@hostile("no picture was found")
def a_transport_stream_of_eight_thousand_programs(kit: Kit) -> bytes:
    made = kit.ffmpeg("y.ts", "-i", str(kit.good_path), "-c", "copy")
    packets = [made[at : at + 188] for at in range(0, len(made), 188)]
    picture = [packet for packet in packets if packet[1] & 0x1F == 1 and packet[2] == 0]
    many = [bytes([0x47, 0x40 | pid >> 8, pid & 255]) + picture[0][3:] for pid in range(0x200, 0x1FF0)]
    return b"".join(packets[:3] + many + packets[3:])


def _matroska(kit: Kit, name: str, *more: str) -> bytes:
    return open_ended(kit.ffmpeg(name, "-i", str(kit.good_path), "-c", "copy", *more, "-write_crc32", "0"))


@hostile()
def matroska_of_an_attachment_of_gigabytes(kit: Kit) -> bytes:
    named = element(b"\x46\x6e", b"name"), element(b"\x46\x60", b"x/y")
    file = element(b"\x61\xa7", *named, element(b"\x46\x5c", bytes(1000), says=2**31), says=2**31 + 100)
    return _matroska(kit, "z.mkv") + element(ATTACHMENTS, file, says=2**31 + 200)


@hostile()
def matroska_of_tags_in_each_other(kit: Kit) -> bytes:
    tags = b""
    for _ in range(10_000):
        tags = b"\x67\xc8" + (1 << 56 | len(tags)).to_bytes(8, "big") + tags
    return _matroska(kit, "n.mkv") + element(TAGS, element(b"\x73\x73", tags))


@hostile()
def matroska_compressed_a_thousandfold(kit: Kit) -> bytes:
    bomb = zlib.compress(bytes(9_900_000), 9)
    blocks = [element(b"\xa3", b"\x81\0\x10\x80", bomb)] * 100
    compression = element(b"\x50\x34", element(b"\x42\x54", b"\0"))
    encodings = element(b"\x6d\x80", element(b"\x62\x40", element(b"\x50\x31", b"\0"), compression))
    whole = _matroska(kit, "c.mkv", "-an") + element(CLUSTER, element(b"\xe7", b"\0"), *blocks)
    return with_inside_first_track(whole, encodings)


@hostile("damaged|no picture")
def avi_index_of_lies(kit: Kit) -> bytes:
    made = kit.ffmpeg("l.avi", "-i", str(kit.good_path), "-c:v", "copy", "-an")
    return made[:4] + b"\xff\xff\xff\xff" + made[8:].replace(b"idx1", b"indx").replace(b"strh", b"strX")


@hostile()
def flash_that_claims_ages(kit: Kit) -> bytes:
    made = kit.ffmpeg("f.flv", "-i", str(kit.good_path), "-c", "copy")
    at = made.index(b"duration") + 9
    return made[:at] + struct.pack(">d", 1e300) + made[at + 8 :]


@hostile("damaged")
def windows_media_of_garbage(kit: Kit) -> bytes:
    made = kit.ffmpeg("w.asf", "-i", str(kit.good_path), "-c:v", "msmpeg4", "-c:a", "wmav2")
    data = bytearray(made)
    for at in range(60, 2000, 37):
        data[at] ^= 0xFF
    return bytes(data)


@hostile("damaged")
def ogg_of_thousands_of_streams(kit: Kit) -> bytes:
    return b"".join(
        b"OggS\0\2" + bytes(8) + struct.pack("<III", serial, 0, 0) + b"\1\x1e" + b"\1vorbis" + bytes(23)
        for serial in range(5000)
    )


@hostile("samples lie|boxes")
def index_spread_over_thousands_of_requests(kit: Kit) -> bytes:
    """Each box costs a request to a store, since the next lies farther away than is read ahead."""
    return box(b"ftyp", b"isom\0\0\2\0") + box(b"free", bytes(70_000)) * 700 + kit.good


def two_gigabytes_of_holes(kit: Kit, path: Path) -> None:
    """Write a sparse file whose media's box spans the hole, and whose index lies behind it."""
    at, end = kit.good.index(b"mdat") - 4, kit.good.index(b"moov") - 4
    hole = 2 * 1024**3
    head = kit.good[:at] + struct.pack(">I4sQ", 1, b"mdat", 16 + hole)
    index = kit.good[end:]
    for track in (PICTURE, SOUND):
        # The media begins eight bytes later than before.
        offsets = [offset + 8 for (offset,) in struct.iter_unpack(">I", body_of(index, f"{track}/stco")[8:])]
        index = replaced(index, f"{track}/stco", table(b"stco", len(offsets), *offsets))
    with path.open("wb") as file:
        file.write(head + kit.good[at + 8 : end])
        file.truncate(len(head) + hole)
        file.seek(0, 2)
        file.write(index)


CASES["two-gigabytes-of-holes"] = Case("two-gigabytes-of-holes", two_gigabytes_of_holes, None)
