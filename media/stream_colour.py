"""What the picture's own headers say of its colours: the VUI of H.264 and HEVC, and the configuration of VP9.

Encoders write it there whether or not the file says it too (`colr`), and many files do not. Only headers are looked
at; where they are damaged, or say what does not exist, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from events.errors import BadMedia
from media.bits import Bits
from media.colour import Colour
from media.parameter_sets import parse_avc_config, plain

#: Units of HEVC that are looked at: there are ids for 16 video, 16 sequence and 64 picture parameter sets.
_UNITS_MAX = 128
#: Kinds of the NAL units of sequence parameter sets: H.264 table 7-1, H.265 table 7-1.
_AVC_SEQUENCE_SET, _HEVC_SEQUENCE_SET = 7, 33
#: Profiles of H.264 whose sequence sets say the chroma format. Source: ITU-T H.264, 7.3.2.1.1.
_AVC_PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
#: `aspect_ratio_idc` behind which width and height follow.
_EXTENDED_ASPECT = 255
#: Limits of the standards; what goes over them is damaged.
_CYCLE_MAX, _SHORT_TERM_SETS_MAX, _PICTURES_MAX, _LONG_TERM_MAX = 255, 64, 16, 32

Children = Mapping[bytes, bytes]


def stream_colours(children: Children) -> list[Colour]:
    """Give every colour that the headers in a picture's sample entry say: as a rule one; none where none says any.

    Args:
        children: the contents of the boxes in the entry, by kind.

    Raises:
        BadMedia: an `avcC` box is damaged.
    """
    colours = [look(children[kind]) for kind, look in _LOOKS.items() if kind in children]
    return list(dict.fromkeys(colour for found in colours for colour in found))


def _avc(body: bytes) -> list[Colour]:
    sets = parse_avc_config(body).sequence_sets
    return [_colour(unit[1:], _skip_to_avc_vui) for unit in sets if unit[:1] and unit[0] & 31 == _AVC_SEQUENCE_SET]


def _hevc(body: bytes) -> list[Colour]:
    found = islice(_hevc_units(body), _UNITS_MAX)
    return [_colour(unit[2:], _skip_to_hevc_vui) for unit in found if _kind_and_layer(unit) == (_HEVC_SEQUENCE_SET, 0)]


def _kind_and_layer(unit: bytes) -> tuple[int, int]:
    """Read the head of a NAL unit. Source: ITU-T H.265, 7.3.1.2."""
    head = int.from_bytes(unit[:2], "big")
    return head >> 9 & 63, head >> 3 & 63


def _vp9(body: bytes) -> list[Colour]:
    """Read a `vpcC` box. Source: VP Codec ISO Media File Format Binding, version 1.0."""
    if len(body) < 10 or body[0] != 1:
        return []
    return [Colour(body[7], body[8], body[9], bool(body[6] & 1)).without_unknown]


_LOOKS: Mapping[bytes, Callable[[bytes], list[Colour]]] = {b"avcC": _avc, b"hvcC": _hevc, b"vpcC": _vp9}


def _hevc_units(body: bytes) -> Iterator[bytes]:
    """Give the parameter sets of all kinds in an `hvcC` box as far as it is whole.

    Source: ISO/IEC 14496-15, 8.3.3.1 HEVCDecoderConfigurationRecord.
    """
    at = 23
    for _ in range(body[22] if len(body) > 22 else 0):
        count = int.from_bytes(body[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(body[at : at + 2], "big")
            if at + 2 + size > len(body):
                return
            yield body[at + 2 : at + 2 + size]
            at += 2 + size


def _colour(body: bytes, skip_to_vui: Callable[[Bits], None]) -> Colour:
    """Read the colours out of one sequence parameter set, its head left out; one that is damaged says nothing."""
    bits = Bits(plain(body), "a parameter set of its picture")
    try:
        skip_to_vui(bits)
        return _vui(bits) if bits.flag() else Colour()
    except BadMedia:
        return Colour()


def _vui(bits: Bits) -> Colour:
    """Read the start of the VUI, which H.264 and HEVC have in common. Source: H.264, E.1.1, and H.265, E.2.1."""
    if bits.flag() and bits.take(8) == _EXTENDED_ASPECT:
        bits.take(32)
    if bits.flag():
        bits.take(1)  # Whether overscan is appropriate.
    if not bits.flag():
        return Colour()
    bits.take(3)  # The format of the analogue signal.
    full_range = bits.flag()
    points = (bits.take(8), bits.take(8), bits.take(8)) if bits.flag() else (2, 2, 2)
    return Colour(*points, full_range).without_unknown


def _skip_to_avc_vui(bits: Bits) -> None:
    """Go over a sequence set to where it says whether a VUI follows. Source: ITU-T H.264, 7.3.2.1.1."""
    profile = bits.take(24) >> 16  # Behind it constraint flags and level.
    bits.golomb()  # The id.
    if profile in _AVC_PROFILES_WITH_CHROMA:
        _skip_avc_format(bits)
    bits.golomb()  # Bits of frame numbers.
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        _skip_golombs(bits, 2)
        _skip_golombs(bits, _limited(bits.golomb(), _CYCLE_MAX))
    bits.golomb()  # Reference frames.
    bits.take(1)  # Whether frame numbers may have gaps.
    _skip_golombs(bits, 2)  # Width and height.
    if not bits.flag():
        bits.take(1)  # Fields, and whether they change with frames.
    bits.take(1)  # How blocks of 8x8 are predicted.
    if bits.flag():
        _skip_golombs(bits, 4)  # What is cropped.


def _skip_avc_format(bits: Bits) -> None:
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    _skip_golombs(bits, 2)  # Bit depths.
    bits.take(1)
    if bits.flag():
        for index in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_avc_scaling(bits, 16 if index < 6 else 64)


def _skip_avc_scaling(bits: Bits, size: int) -> None:
    """Go over a scaling list, which ends where the next step would be zero. Source: ITU-T H.264, 7.3.2.1.1.1."""
    last = 8
    for _ in range(size):
        code = bits.golomb()
        last = (last + (code + 1 >> 1 if code & 1 else -(code >> 1))) % 256
        if not last:
            return


def _skip_to_hevc_vui(bits: Bits) -> None:
    """Go over a sequence set to where it says whether a VUI follows. Source: ITU-T H.265, 7.3.2.2.1."""
    bits.take(4)  # The id of the video parameter set.
    layers = bits.take(3)
    bits.take(1)
    _skip_hevc_levels(bits, layers)
    bits.golomb()  # The id.
    if bits.golomb() == 3:
        bits.take(1)
    _skip_golombs(bits, 2)  # Width and height.
    if bits.flag():
        _skip_golombs(bits, 4)  # What is cropped.
    _skip_golombs(bits, 2)  # Bit depths.
    order_bits = 4 + bits.golomb()
    _skip_golombs(bits, 3 * (layers + 1 if bits.flag() else 1))  # How pictures of each layer wait.
    _skip_golombs(bits, 6)  # Sizes and depths of blocks.
    if bits.flag() and bits.flag():
        _skip_hevc_scaling(bits)
    bits.take(2)
    if bits.flag():
        bits.take(8)
        _skip_golombs(bits, 2)
        bits.take(1)
    _skip_short_term_sets(bits)
    if bits.flag():
        bits.take(_limited(bits.golomb(), _LONG_TERM_MAX) * (_limited(order_bits, 16) + 1))
    bits.take(2)


def _skip_hevc_levels(bits: Bits, layers: int) -> None:
    """Go over profile, tier and level, its own and those of `layers` layers. Source: ITU-T H.265, 7.3.3."""
    bits.take(96)
    said = [bits.take(2) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has in said:
        bits.take((88 if has & 2 else 0) + (8 if has & 1 else 0))


def _skip_hevc_scaling(bits: Bits) -> None:
    """Go over scaling lists. Source: ITU-T H.265, 7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.golomb()
            else:
                _skip_golombs(bits, min(64, 16 << 2 * size) + (1 if size > 1 else 0))


def _skip_short_term_sets(bits: Bits) -> None:
    """Go over the sets of pictures that others refer to. Source: ITU-T H.265, 7.3.7."""
    pictures = 0
    for index in range(_limited(bits.golomb(), _SHORT_TERM_SETS_MAX)):
        if index and bits.flag():
            bits.take(1)
            bits.golomb()
            # Each picture of the set before, and that itself: it is used now, or later, or no more.
            pictures = sum(bits.flag() or bits.flag() for _ in range(pictures + 1))
            _limited(pictures, _PICTURES_MAX)
            continue
        both = _limited(bits.golomb(), _PICTURES_MAX), _limited(bits.golomb(), _PICTURES_MAX)
        pictures = sum(both)
        for _ in range(pictures):
            bits.golomb()
            bits.take(1)


def _skip_golombs(bits: Bits, count: int) -> None:
    for _ in range(count):
        bits.golomb()


def _limited(value: int, most: int) -> int:
    if value > most:
        raise BadMedia(f"a parameter set of its picture says {value} where {most} is the most")
    return value
