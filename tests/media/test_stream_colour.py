"""Colours that only the picture's own headers tell: read as FFmpeg reads them, and never believed blindly."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMedia
from media.boxes import box
from media.colour import Colour, boxed_colour, read_colour
from media.conform import can_join, conform
from media.movie import Movie
from media.mp4_index import read_movie
from media.parameter_sets import AvcConfig, parse_avc_config
from media.reader import FileReader
from media.sample_entry import VideoEntry, read_video_entry
from media.splice import Source, splice
from media.stream_colour import stream_colours
from tests.media.clips import ClipSpec
from tests.media.conftest import ClipMaker
from tests.media.synthetic import AVCC, video_entry

PQ, HLG, STANDARD = Colour(9, 16, 9), Colour(9, 18, 9), Colour(1, 1, 1)
_SAID = "colorprim={}:transfer={}:colormatrix={}"
_PQ, _HLG = _SAID.format("bt2020", "smpte2084", "bt2020nc"), _SAID.format("bt2020", "arib-std-b67", "bt2020nc")
_709 = _SAID.format("bt709", "bt709", "bt709")


def x264(params: str, *more: str) -> tuple[str, ...]:
    return ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *more, "-x264-params", params)


def x265(params: str, *more: str) -> tuple[str, ...]:
    said = f"log-level=none:pools=none:frame-threads=1:{params}"
    return ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", *more, "-x265-params", said)


#: What encoders write where no filter sets colours: then FFmpeg writes no `colr`.
ENCODED = {
    "H.264, PQ": (x264(_PQ), PQ),
    "H.264, HLG in 10 bits": (x264(_HLG, "-pix_fmt", "yuv420p10le"), HLG),
    "H.264, baseline": (x264(_709, "-profile:v", "baseline"), STANDARD),
    "H.264, matrices, fields, non-square pixels": (x264(f"{_PQ}:cqm=jvt:interlaced=1:sar=7/5:overscan=show"), PQ),
    "H.264, 4:4:4": (x264(f"{_709}:cqm=jvt", "-pix_fmt", "yuv444p"), STANDARD),
    "H.264, the whole range": (x264("fullrange=on"), Colour(full_range=True)),
    "H.264, nothing said": (x264("sar=1/1"), Colour()),
    "HEVC, PQ": (x265(_PQ, "-tag:v", "hvc1"), PQ),
    "HEVC, HLG, hev1": (x265(_HLG), HLG),
    "HEVC, layers, matrices": (x265(f"{_PQ}:temporal-layers=3:scaling-list=default:sar=3"), PQ),
    "HEVC, the whole range": (x265("range=full"), Colour(full_range=True)),
    "HEVC, nothing said": (x265("sar=1"), Colour()),
    "VP9": (
        ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-strict", "-2"),
        Colour(),
    ),
}


def movie_of(path: Path) -> Movie:
    with FileReader(path) as reader:
        return read_movie(reader, path.name)


def entry_of(path: Path) -> VideoEntry:
    entry = movie_of(path).video.entry
    assert isinstance(entry, VideoEntry)
    return entry


@pytest.mark.parametrize("name", ENCODED)
def test_what_encoders_write_into_the_stream_is_read_as_ffmpeg_reads_it(name: str, clip: ClipMaker) -> None:
    coded, expected = ENCODED[name]
    path = clip(ClipSpec(1, frames=3, tone=None, size=(170, 92), video=coded))
    entry = entry_of(path)

    assert b"colr" not in entry.children or name == "VP9"
    assert stream_colours(entry.children) == [expected]
    assert entry.color == str(expected)
    with av.open(str(path)) as opened:
        seen = opened.streams.video[0].codec_context
        points = (seen.color_primaries, seen.color_trc, seen.colorspace)
        assert Colour(*points, full_range=seen.color_range == 2) == expected


def test_clips_that_differ_only_in_what_the_stream_says_are_not_spliced(clip: ClipMaker) -> None:
    """One in high dynamic range, one not; their parameter sets could live together."""
    plain = movie_of(clip(ClipSpec(1, frames=6, tone=None, video=x264(_709))))
    bright = movie_of(clip(ClipSpec(2, frames=6, tone=None, video=x264(f"{_PQ}:sps-id=1"))))

    assert can_join(conform(plain), conform(bright)) == ["color: 9/16/9 tv instead of 1/1/1 tv"]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_box_and_a_stream_that_say_the_same_make_a_film_whose_box_says_it(clip: ClipMaker, turn: int) -> None:
    tag = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
    boxed = clip(ClipSpec(1, frames=6, tone=None, video=x264(_709, "-vf", tag)))
    streamed = clip(ClipSpec(2, frames=6, tone=None, video=x264(f"{_709}:sps-id=1")))
    assert (b"colr" in entry_of(boxed).children, b"colr" in entry_of(streamed).children) == (True, False)

    header = splice([Source(movie_of(path)) for path in (boxed, streamed)[::turn]]).header

    assert box(b"colr", STANDARD.to_box()) in header


COLOURS = st.builds(
    Colour,
    st.sampled_from([1, 2, 9, 22]),
    st.sampled_from([1, 2, 13, 16, 18]),
    st.sampled_from([0, 1, 2, 9, 14]),
    full_range=st.booleans(),
)


@given(COLOURS)
def test_a_colour_that_was_written_reads_back_the_same(colour: Colour) -> None:
    assert read_colour(str(colour)) == colour
    assert boxed_colour(colour.to_box(), Colour()) == colour


@given(COLOURS, COLOURS)
def test_what_the_box_says_counts_and_the_stream_says_the_rest(outer: Colour, inner: Colour) -> None:
    found = boxed_colour(outer.to_box(), inner)

    assert found is not None
    assert boxed_colour(b"", inner) == inner
    if outer == Colour():
        assert found == inner
        return
    assert found.full_range == outer.full_range
    for name in ("primaries", "transfer", "matrix"):
        own = getattr(outer, name)
        assert getattr(found, name) == (getattr(inner, name) if own == 2 else own)


def test_quicktimes_box_leaves_the_range_to_the_stream() -> None:
    body = b"nclc" + struct.pack(">HHH", 1, 1, 1)

    assert boxed_colour(body, replace(PQ, full_range=True)) == replace(STANDARD, full_range=True)
    assert boxed_colour(body, PQ) == STANDARD


def test_a_colour_profile_counts_whatever_the_stream_says() -> None:
    assert boxed_colour(b"profabcdefgh", PQ) is None
    entry = read_video_entry(video_entry(160, 96, box(b"colr", b"profabcdefgh")))

    assert entry.color == f"profile {b'profabcdefgh'.hex()}"


@pytest.mark.parametrize("said", ["9/16/9 tv and 1/1/1 tv", "profile 00", ""])
def test_colours_that_change_are_not_known(said: str) -> None:
    assert read_colour(said) is None


@pytest.mark.parametrize("said", ["300/1/1 tv", "1/0/1 tv", "1/1/3 tv", "1/1/17 full"])
def test_no_film_is_made_in_colours_that_do_not_exist_or_are_too_new(said: str) -> None:
    colour = read_colour(said)

    assert colour is not None
    assert (str(colour), colour.can_be_written) == (said, False)


def test_a_clip_whose_parameter_sets_say_different_colours_is_like_no_other() -> None:
    sets = (avc_set(PQ, []), avc_set(STANDARD, []))
    entry = read_video_entry(video_entry()).with_child(
        b"avcC", AvcConfig(100, 0, 31, 4, sets, (), b"\xfd\xf8\xf8\0").to_bytes()
    )

    assert entry.color == "9/16/9 tv and 1/1/1 tv"
    assert entry.with_child(b"colr", HLG.to_box()).color == str(HLG)


# Parameter sets of every form, written bit by bit.


def golomb(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def golombs(*values: int) -> str:
    return "".join(map(golomb, values))


def vui(colour: Colour, choices: Sequence[int]) -> str:
    aspect = {0: "0", 1: "1" + f"{1:08b}", 2: "1" + f"{255:08b}" + "01" * 16}[choices[0] % 3]
    overscan = ("0", "11")[choices[1] % 2]
    points = (colour.primaries, colour.transfer, colour.matrix)
    described = "0" if points == (2, 2, 2) else "1" + "".join(f"{point:08b}" for point in points)
    signal = "0" if colour == Colour() and choices[2] % 2 else f"1101{colour.full_range:b}{described}"
    return "1" + aspect + overscan + signal


def nal_unit(head: bytes, bits: str) -> bytes:
    bits += "1"
    data = int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")
    kept = bytearray()
    for byte in data:
        if byte <= 3 and kept[-2:] == b"\0\0":
            kept.append(3)
        kept.append(byte)
    return head + bytes(kept)


def drawn(choices: Sequence[int], index: int) -> int:
    """Give one of the numbers that were drawn; there are always enough."""
    return choices[index % len(choices)] if choices else 0


def avc_set(colour: Colour, choices: Sequence[int]) -> bytes:
    """Write a sequence parameter set of H.264. Source: ITU-T H.264, 7.3.2.1.1."""
    pick = [drawn(choices, n) for n in range(60)]
    profile = (66, 77, 100, 110, 244)[pick[0] % 5]
    bits = golomb(pick[1] % 32)
    if profile >= 100:
        chroma = 3 if profile == 244 else 1
        bits += golomb(chroma) + ("0" if chroma == 3 else "") + golombs(2, 2) + "0"
        if pick[2] % 2:
            bits += "1" + "".join(
                ("0", "1" + scaling(16 if n < 6 else 64, pick[3] % 3))[pick[4 + n] % 2]
                for n in range(12 if chroma == 3 else 8)
            )
        else:
            bits += "0"
    order = pick[20] % 3
    bits += golombs(pick[21], order)
    bits += {0: golomb(4), 1: "0" + golombs(3, 70_000, 2, 1, 8), 2: ""}[order]
    bits += golomb(pick[22]) + "0" + golombs(119, 67) + ("1", "01")[pick[23] % 2] + "1"
    bits += ("0", "1" + golombs(0, 4, 0, 4))[pick[24] % 2]
    return nal_unit(bytes([0x67, profile, 0, 31]), bits + vui(colour, pick[25:28]))


def scaling(size: int, kind: int) -> str:
    """Write a list of H.264: one that ends at once, one that repeats a step, one that ends on the way."""
    if kind == 0:
        return golomb(16)  # A step of -8, to zero.
    return golombs(*[1, 2] * (size // 2)) if kind == 1 else golombs(1, 3, 22)


def hevc_set(colour: Colour, choices: Sequence[int]) -> bytes:
    """Write a sequence parameter set of HEVC. Source: ITU-T H.265, 7.3.2.2.1."""
    pick = [drawn(choices, n) for n in range(60)]
    layers = pick[0] % 4
    bits = f"{0:04b}{layers:03b}1" + "0" * 88 + f"{93:08b}"
    has = [pick[1 + n] % 4 for n in range(layers)]
    bits += "".join(f"{each:02b}" for each in has) + ("00" * (8 - layers) if layers else "")
    bits += "".join("1" * (88 * (each >> 1) + 8 * (each & 1)) for each in has)
    chroma = 3 if pick[5] % 4 == 3 else 1
    bits += golombs(pick[6] % 16, chroma) + ("0" if chroma == 3 else "") + golombs(1920, 1088)
    bits += ("0", "1" + golombs(0, 0, 0, 4))[pick[7] % 2] + golombs(2, 2)
    order = pick[8] % 13
    all_layers = pick[9] % 2
    bits += golomb(order) + str(all_layers) + golombs(4, 2, 5) * (layers + 1 if all_layers else 1)
    bits += golombs(0, 3, 0, 3, 0, 0)
    lists = "".join(
        ("0" + golomb(0), "1" + golomb(9) * ((size > 1) + min(64, 16 << 2 * size)))[pick[10 + size + n] % 2]
        for size in range(4)
        for n in range(2 if size == 3 else 6)
    )
    bits += ("0", "10", "11" + lists)[pick[20] % 3] + "11"
    bits += ("0", "1" + "01110111" + golombs(0, 2) + "1")[pick[21] % 2]
    bits += short_term_sets(pick[22:40])
    far = pick[40] % 4
    bits += ("0", "1" + golomb(far) + ("1" * (order + 4) + "0") * far)[pick[41] % 2] + "11"
    return nal_unit(b"\x42\x01", bits + vui(colour, pick[42:45]))


def short_term_sets(pick: Sequence[int]) -> str:
    count = pick[0] % 6
    bits, pictures = golomb(count), 0
    for index in range(count):
        if index and pick[1 + index] % 2:
            kinds = [("1", "01", "00")[pick[(index + n) % len(pick)] % 3] for n in range(pictures + 1)]
            bits += "1" + "1" + golomb(0) + "".join(kinds)
            pictures = sum(kind != "00" for kind in kinds)
        else:
            before, behind = pick[index] % 4, pick[index + 1] % 3
            bits += ("0" if index else "") + golombs(before, behind) + (golomb(2) + "1") * (before + behind)
            pictures = before + behind
    return bits


def hvcc(*units: bytes) -> bytes:
    """Write an `hvcC` box with a video parameter set in front of these units."""
    arrays = [b"\x20\0\1\0\2\x40\1", b"\x21" + struct.pack(">H", len(units))]
    return b"\1" + bytes(21) + b"\2" + arrays[0] + arrays[1] + b"".join(struct.pack(">H", len(u)) + u for u in units)


CHOICES = st.lists(st.integers(0, 15), max_size=60)


@given(COLOURS, CHOICES)
def test_the_colours_in_any_sequence_set_of_h264_are_read(colour: Colour, choices: list[int]) -> None:
    body = AvcConfig(100, 0, 31, 4, (avc_set(colour, choices),), (b"\x68\xef",), b"").to_bytes()

    assert stream_colours({b"avcC": body}) == [colour]


@given(COLOURS, CHOICES)
def test_the_colours_in_any_sequence_set_of_hevc_are_read(colour: Colour, choices: list[int]) -> None:
    assert stream_colours({b"hvcC": hvcc(hevc_set(colour, choices))}) == [colour]


def test_sets_of_other_layers_are_another_eyes_or_another_sizes() -> None:
    other = b"\x42\x09" + hevc_set(PQ, [])[2:]

    assert stream_colours({b"hvcC": hvcc(hevc_set(STANDARD, []), other)}) == [STANDARD]


def test_the_colours_of_vp9_are_read() -> None:
    assert stream_colours({b"vpcC": bytes.fromhex("01000000 0a 1f a3 09 10 09 0000")}) == [replace(PQ, full_range=True)]
    assert stream_colours({b"vpcC": bytes.fromhex("01000000 0a 1f a2 09 10")}) == []


# Damage.


@given(COLOURS, CHOICES, st.data())
def test_a_sequence_set_that_is_cut_off_says_nothing(colour: Colour, choices: list[int], data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([avc_set, hevc_set]))(colour, choices)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    found = stream_colours(
        {b"avcC": AvcConfig(100, 0, 31, 4, (cut,), (), b"").to_bytes()} if whole[0] == 0x67 else {b"hvcC": hvcc(cut)}
    )

    # The last bits may say nothing of colours, and only they be missing.
    assert found in ([], [Colour()], [colour])


@given(st.sampled_from([b"\x67", b"\x42\x01"]), st.binary(max_size=400))
def test_any_bytes_are_a_colour_that_exists_or_none(head: bytes, data: bytes) -> None:
    unit = head + data
    children = (
        {b"avcC": AvcConfig(100, 0, 31, 4, (unit,), (), b"").to_bytes()} if head == b"\x67" else {b"hvcC": hvcc(unit)}
    )

    (colour,) = stream_colours(children) or [Colour()]
    assert colour == colour.without_unknown


@given(st.sampled_from([b"hvcC", b"vpcC"]), st.binary(max_size=200), st.booleans())
def test_any_configuration_of_hevc_or_vp9_is_read_or_passed_over(kind: bytes, data: bytes, is_hevc: bool) -> None:
    stream_colours({kind: bytes(22) + data if is_hevc else data})


@given(st.binary(max_size=200))
def test_a_damaged_configuration_of_h264_is_refused_as_ever(data: bytes) -> None:
    try:
        parse_avc_config(data)
    except BadMedia:
        with pytest.raises(BadMedia):
            stream_colours({b"avcC": data})
        return
    stream_colours({b"avcC": data})


def test_numbers_without_end_are_given_up() -> None:
    body = AvcConfig(100, 0, 31, 4, (b"\x67\x64\0\x1f" + bytes(60_000),), (), b"").to_bytes()

    assert stream_colours({b"avcC": body}) == [Colour()]
    assert stream_colours({b"hvcC": hvcc(b"\x42\x01" + bytes(60_000))}) == [Colour()]


def test_an_entry_of_a_real_encoder_says_nothing_of_colours() -> None:
    assert stream_colours({b"avcC": AVCC}) == [Colour()]
    assert read_video_entry(video_entry()).color == "unspecified"
