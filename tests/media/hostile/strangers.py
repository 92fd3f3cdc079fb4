"""Files that are no clips at all, or that name others: playlists, scripts, documents, references."""

from __future__ import annotations

import io
import struct
import zipfile

from media.boxes import box, full_box
from tests.media.hostile import matroska
from tests.media.hostile.kit import Kit, hostile
from tests.media.hostile.matroska import element
from tests.media.hostile.surgery import PICTURE, edited, replaced, with_inside
from tests.media.test_container import png

_NO_VIDEO = "it is not a video"


@hostile(_NO_VIDEO)
def hls_playlist(kit: Kit) -> bytes:
    lines = "".join(f"#EXTINF:1,\n{address}\n" for address in kit.trap.addresses)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{lines}#EXT-X-ENDLIST\n".encode()


@hostile(_NO_VIDEO)
def hls_playlist_behind_a_mark_and_spaces(kit: Kit) -> bytes:
    return b"\xef\xbb\xbf \n\n" + hls_playlist(kit)


@hostile(_NO_VIDEO)
def hls_playlist_behind_a_thousand_spaces(kit: Kit) -> bytes:
    return b" " * 2000 + hls_playlist(kit)


@hostile(_NO_VIDEO)
def dash_manifest(kit: Kit) -> bytes:
    urls = "".join(f"<BaseURL>{address}</BaseURL>" for address in kit.trap.addresses)
    return f'<?xml version="1.0"?><MPD type="static"><Period>{urls}</Period></MPD>'.encode()


@hostile(_NO_VIDEO)
def concat_script(kit: Kit) -> bytes:
    return ("ffconcat version 1.0\n" + "".join(f"file '{address}'\n" for address in kit.trap.addresses)).encode()


@hostile(_NO_VIDEO)
def session_description(kit: Kit) -> bytes:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {kit.trap.port} RTP/AVP 96\n".encode()


@hostile(_NO_VIDEO)
def xspf_playlist(kit: Kit) -> bytes:
    return f"<?xml version='1.0'?><playlist><location>{kit.trap.addresses[0]}</location></playlist>".encode()


@hostile(_NO_VIDEO)
def pls_playlist(kit: Kit) -> bytes:
    return f"[playlist]\nFile1={kit.trap.addresses[3]}\nNumberOfEntries=1\n".encode()


@hostile(_NO_VIDEO)
def ass_subtitles(kit: Kit) -> bytes:
    return b"[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:00:00.00,0:00:05.00,Default,,0,0,0,,Hello\n"


@hostile(_NO_VIDEO)
def srt_subtitles(kit: Kit) -> bytes:
    return b"1\n00:00:00,000 --> 00:00:05,000\nHello\n"


@hostile(_NO_VIDEO)
def ffmpeg_metadata(kit: Kit) -> bytes:
    return f";FFMETADATA1\ntitle={kit.trap.addresses[0]}\n".encode()


@hostile(_NO_VIDEO)
def avisynth_script(kit: Kit) -> bytes:
    return f'DirectShowSource("{kit.trap.file}")\n'.encode()


@hostile(_NO_VIDEO)
def gif_image(kit: Kit) -> bytes:
    return kit.ffmpeg("x.gif", "-f", "lavfi", "-i", "testsrc=size=32x32:duration=1")


@hostile(_NO_VIDEO)
def animated_png(kit: Kit) -> bytes:
    return kit.ffmpeg("x.apng", "-f", "lavfi", "-i", "testsrc=size=32x32:duration=1")


@hostile(_NO_VIDEO)
def png_image(kit: Kit) -> bytes:
    return png()


@hostile(_NO_VIDEO)
def zip_archive(kit: Kit) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.mp4", bytes(50_000_000))
    return packed.getvalue()


@hostile(_NO_VIDEO)
def elf_program(kit: Kit) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(5000)


@hostile(_NO_VIDEO)
def windows_program(kit: Kit) -> bytes:
    return b"MZ\x90\x00" + bytes(5000)


@hostile(_NO_VIDEO)
def web_page(kit: Kit) -> bytes:
    return f"<!DOCTYPE html><video src='{kit.trap.addresses[3]}'></video>".encode()


@hostile(_NO_VIDEO)
def svg_image(kit: Kit) -> bytes:
    links = "".join(f'<image href="{address}"/>' for address in kit.trap.addresses)
    return f'<svg xmlns="http://www.w3.org/2000/svg">{links}</svg>'.encode()


@hostile(_NO_VIDEO)
def storage_error(kit: Kit) -> bytes:
    return b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"


@hostile(_NO_VIDEO)
def pdf_document(kit: Kit) -> bytes:
    return b"%PDF-1.7\n" + bytes(100)


@hostile(_NO_VIDEO)
def nul_bytes(kit: Kit) -> bytes:
    return bytes(100_000)


@hostile("the file is empty")
def nothing(kit: Kit) -> bytes:
    return b""


def _with_reference(data: bytes, *entries: bytes) -> bytes:
    dref = full_box(b"dref", 0, 0, struct.pack(">I", len(entries)), *entries)
    return replaced(data, "moov/trak/mdia/minf/dinf/dref", dref)


@hostile("its media lies in another file")
def media_in_a_file_elsewhere(kit: Kit) -> bytes:
    return _with_reference(kit.good, full_box(b"url ", 0, 0, f"file:{kit.trap.file}\0".encode()))


@hostile("its media lies in another file")
def media_on_a_server(kit: Kit) -> bytes:
    urls = [full_box(b"url ", 0, 0, f"{address}\0".encode()) for address in kit.trap.addresses]
    return _with_reference(kit.good, *urls)


@hostile()
def media_said_to_be_here_with_an_address(kit: Kit) -> bytes:
    return _with_reference(kit.good, full_box(b"url ", 0, 1, f"file:{kit.trap.file}\0".encode()))


def _alias(path: str) -> bytes:
    """Make a classic Mac OS alias record, from which FFmpeg takes paths where it is allowed to."""
    name = path.rsplit("/", 1)[-1].encode()[:63]
    head = struct.pack(">4sHH", b"\0\0\0\0", 150, 2) + bytes(2) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    head += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 3, 3) + bytes(16)
    full = path.encode() + b"\0" * (len(path) % 2)
    return head + struct.pack(">HH", 18, len(path)) + full + struct.pack(">HH", 0xFFFF, 0)


@hostile("its media lies in another file")
def quicktime_alias_to_a_file(kit: Kit) -> bytes:
    return _with_reference(kit.good, full_box(b"alis", 0, 0, _alias(str(kit.trap.file))))


@hostile()
def quicktime_alias_said_to_be_here(kit: Kit) -> bytes:
    return _with_reference(kit.good, full_box(b"alis", 0, 1, _alias(str(kit.trap.file))))


@hostile("its media lies in another file")
def sound_in_a_file_elsewhere(kit: Kit) -> bytes:
    dref = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 0, f"{kit.trap.file}\0".encode()))
    return replaced(kit.good, "moov/trak[1]/mdia/minf/dinf/dref", dref)


@hostile()
def quicktime_reference_movie(kit: Kit) -> bytes:
    urls = [
        box(b"rmda", full_box(b"rdrf", 0, 0, b"url ", struct.pack(">I", len(a)), a.encode()))
        for a in kit.trap.addresses
    ]
    return with_inside(kit.good, "moov", box(b"rmra", *urls))


@hostile("no (index|video track)|its index has no")
def quicktime_reference_movie_alone(kit: Kit) -> bytes:
    url = kit.trap.addresses[0].encode()
    rmda = box(b"rmda", full_box(b"rdrf", 0, 0, b"url ", struct.pack(">I", len(url)), url))
    return box(b"ftyp", b"qt  " + bytes(4)) + box(b"moov", box(b"rmra", rmda))


@hostile()
def names_of_files_in_its_metadata(kit: Kit) -> bytes:
    title = f"{kit.trap.file}\0{kit.trap.addresses[3]}".encode()
    return edited(kit.good, "moov/udta", lambda body: body + box(b"name", title) + box(b"\xa9xyz", title))


@hostile()
def handler_with_an_endless_name(kit: Kit) -> bytes:
    return edited(kit.good, "moov/trak/mdia/hdlr", lambda body: body[:20] + b"A" * 1_000_000)


@hostile()
def sample_entry_names_another_file(kit: Kit) -> bytes:
    return _with_reference(
        edited(kit.good, f"{PICTURE}/stsd/avc1", lambda body: body[:6] + b"\0\2" + body[8:]),
        full_box(b"url ", 0, 1),
        full_box(b"url ", 0, 1, f"{kit.trap.file}\0".encode()),
    )


@hostile()
def matroska_with_attachments_and_linked_segments(kit: Kit) -> bytes:
    script = kit.folder / "attached.ass"
    script.write_bytes(b"[Script Info]\n" + str(kit.trap.file).encode())
    made = kit.ffmpeg(
        "linked.mkv", "-i", str(kit.good_path), "-c", "copy", "-write_crc32", "0", "-attach", str(script),
        "-metadata:s:t", "mimetype=text/x-ass", "-metadata:s:t", f"filename={kit.trap.file}",
    )  # fmt: skip
    name = str(kit.trap.file).encode()
    # The names of the files before and behind this one.
    return matroska.with_inside(
        matroska.open_ended(made), matroska.INFO, element(b"\x3e\x83\xab", name), element(b"\x3e\x83\xbb", name)
    )


@hostile()
def matroska_with_ordered_chapters(kit: Kit) -> bytes:
    """Its only chapter is a segment of another file."""
    made = matroska.open_ended(kit.ffmpeg("ordered.mkv", "-i", str(kit.good_path), "-c", "copy", "-write_crc32", "0"))
    chapter = element(b"\xb6", element(b"\x91", b"\0"), element(b"\x6e\x67", bytes(range(16))))
    return made + element(matroska.CHAPTERS, element(b"\x45\xb9", element(b"\x45\xdd", b"\1"), chapter))
