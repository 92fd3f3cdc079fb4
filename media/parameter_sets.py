"""The parameter sets of H.264, without which no frame decodes, and when those of several clips can live together.

A film made by splicing has one sample entry, since browsers fail on a second one. Clips whose sets are equal share it
as it is; clips whose sets differ share one that lists all, if no id is used for two different sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

from events.errors import BadMedia, StitchFailed
from media.bits import Bits

#: Ids that a sequence parameter set can have, and x264 give to its picture parameter set.
_IDS = 32
#: Kind of the NAL unit of a sequence parameter set. Source: ITU-T H.264, table 7-1.
_SEQUENCE_SET = 7


@dataclass(frozen=True)
class AvcConfig:
    """The contents of an `avcC` box.

    Source: ISO/IEC 14496-15, 5.3.3.1 AVCDecoderConfigurationRecord.
    """

    profile: int
    #: Constraint flags.
    compatibility: int
    #: Ten times the level: 31 is level 3.1.
    level: int
    #: Bytes of the length before each NAL unit.
    length_size: int
    #: Sequence and picture parameter sets, as NAL units.
    sequence_sets: tuple[bytes, ...]
    picture_sets: tuple[bytes, ...]
    #: Chroma format and bit depths, for the profiles that have them.
    tail: bytes

    @property
    def profile_name(self) -> str:
        """The profile as people call it."""
        if self.profile == 66 and self.compatibility & 0x40:
            return "Constrained Baseline"
        return _PROFILE_NAMES.get(self.profile, f"profile {self.profile}")

    def to_bytes(self) -> bytes:
        """Write the contents of the `avcC` box."""
        head = bytes([1, self.profile, self.compatibility, self.level, 0xFC | self.length_size - 1])
        sequence = bytes([0xE0 | len(self.sequence_sets)]) + _counted(self.sequence_sets)
        return head + sequence + bytes([len(self.picture_sets)]) + _counted(self.picture_sets) + self.tail


_PROFILE_NAMES = {
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    122: "High 4:2:2",
    244: "High 4:4:4",
}


def parse_avc_config(data: bytes) -> AvcConfig:
    """Read the contents of an `avcC` box.

    Raises:
        BadMedia: it is cut off or of a version that does not exist.
    """
    try:
        if data[0] != 1:
            raise BadMedia(f"the configuration of its picture (avcC) has version {data[0]}")
        sequence_sets, at = _take_counted(data, 6, data[5] & 31)
        picture_sets, at = _take_counted(data, at + 1, data[at])
    except IndexError as exc:
        raise BadMedia("the configuration of its picture (avcC) is cut off") from exc
    return AvcConfig(data[1], data[2], data[3], (data[4] & 3) + 1, sequence_sets, picture_sets, data[at:])


def clashes(a: AvcConfig, b: AvcConfig) -> list[str]:
    """Say why two configurations cannot share one sample entry; nothing when they can."""
    found = []
    if a.profile != b.profile:
        found.append(f"profile: {b.profile_name} instead of {a.profile_name}")
    if a.length_size != b.length_size:
        found.append(f"NAL length: {b.length_size} bytes instead of {a.length_size}")
    if a.tail != b.tail:
        found.append("chroma format or bit depth: not the same")
    for what, ours, theirs in (
        ("sequence", _by_id(a.sequence_sets), _by_id(b.sequence_sets)),
        ("picture", _by_id(a.picture_sets), _by_id(b.picture_sets)),
    ):
        if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
            found.append(f"{what} parameter sets: different ones under the same id")
    return found


def merge(configs: Sequence[AvcConfig]) -> AvcConfig:
    """Make the configuration that lists the parameter sets of all; at least one, none clashing.

    Raises:
        StitchFailed: there are more sets than a sample entry can list.
    """
    sequence_sets = tuple(dict.fromkeys(s for config in configs for s in config.sequence_sets))
    picture_sets = tuple(dict.fromkeys(s for config in configs for s in config.picture_sets))
    if len(sequence_sets) > 31 or len(picture_sets) > 255:
        raise StitchFailed(
            f"the clips have {len(sequence_sets)} different sequence parameter sets; 31 can share a film"
        )
    first = configs[0]
    return AvcConfig(
        profile=first.profile,
        compatibility=reduce(and_, (config.compatibility for config in configs)),
        level=max(config.level for config in configs),
        length_size=first.length_size,
        sequence_sets=sequence_sets,
        picture_sets=picture_sets,
        tail=first.tail,
    )


def used_ids(config: AvcConfig) -> set[int]:
    """Give the ids of the sequence parameter sets, so that an encoder can be told to use another."""
    return set(_by_id(config.sequence_sets))


def taken_ids(config: AvcConfig) -> set[int]:
    """Give the ids that x264 cannot be told to use: it gives its picture set the id of its sequence set."""
    # The second look passes picture sets where sequence sets are expected: they are told apart by their own type.
    return used_ids(config) | used_ids(replace(config, sequence_sets=config.picture_sets))


def free_id(taken: set[int]) -> int | None:
    """Give the lowest id that is not taken; None where all are."""
    return next((number for number in range(_IDS) if number not in taken), None)


def _by_id(sets: Iterable[bytes]) -> dict[int, bytes]:
    """Index parameter sets by their id.

    Source: ITU-T H.264, 7.3.2.1.1 (the id follows profile, flags and level) and 7.3.2.2 (the id comes first).
    """
    found = {}
    for unit in sets:
        if not unit:
            raise BadMedia("a parameter set of its picture is empty")
        body = plain(unit)[4 if unit[0] & 31 == _SEQUENCE_SET else 1 :]
        found[Bits(body, "a parameter set of its picture").golomb()] = unit
    return found


def plain(unit: bytes) -> bytes:
    """Give a NAL unit without the bytes that keep it from looking like the start of one. Source: ITU-T H.264, 7.4.1.

    >>> plain(b"\\0\\0\\3\\1\\0\\0\\3\\0\\0\\3").hex()
    '00000100000000'
    """
    return unit.replace(b"\0\0\3", b"\0\0")


def _take_counted(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    units = []
    for _ in range(count):
        size = data[at] << 8 | data[at + 1]
        unit = data[at + 2 : at + 2 + size]
        if len(unit) != size:
            raise BadMedia("the configuration of its picture (avcC) is cut off")
        units.append(unit)
        at += 2 + size
    return tuple(units), at


def _counted(units: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
