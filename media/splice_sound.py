"""The sound track of a film: whose packets play when.

Packets of compressed sound have a fixed length (AAC: 1024 samples) and clips do not end on their grid. Each clip's
packets are therefore moved, as little as possible, onto one grid of *slots* for the whole film: no packet is
decoded, no error adds up, and none is more than half a packet (AAC at 48 kHz: 10.7 ms). The grid itself is shifted to
where the largest error is smallest; clips of which the length is a whole number of packets have none at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from media.movie import Movie
from media.sample_entry import SoundEntry
from media.splice_picture import PlacedClip

#: How many slots before the border of two clips, and from it on, get packets that smart sound makes anew. The fade
#: lies in the last slot before it or the first behind, and a slot is heard from its packet and the one before: that
#: makes two and one. One more behind, since encoders begin a clip with a packet that fits only on its own predecessor.
SEAM_BEFORE = 2
SEAM_AFTER = 2


@dataclass(frozen=True)
class ClipSound:
    """Where one clip's sound plays."""

    #: The slot of its packet 0; its packet n plays in slot `shift + n`.
    shift: int
    #: The slots that it fills: from the first to before the last.
    first_slot: int
    end_slot: int
    packet_count: int
    #: Seconds of its packet 0 after its first frame, in the clip itself.
    begin: Fraction
    #: How much later than in the clip itself it plays, in seconds.
    skew: Fraction
    #: Whether it goes on where the clip before ends, and both have some more of it.
    goes_on: bool = False


@dataclass(frozen=True)
class SoundPlan:
    """The grid of slots and who fills it."""

    #: Ticks a second, and ticks of a slot.
    timescale: int
    packet: int
    #: The tick that is heard first; slot n plays at `n * packet - media_start`.
    media_start: int
    slot_count: int
    clips: list[ClipSound]


class SoundTrack(NamedTuple):
    """What laying a clip's sound on the grid asks of it."""

    #: Ticks a second, and ticks of a packet.
    timescale: int
    packet: int
    packet_count: int
    #: Seconds of its packet 0 after the clip's first frame; negative for what encoders put before it.
    begin: Fraction
    #: As in `ClipSound`.
    goes_on: bool = False


def plan_sound(
    movies: Sequence[Movie], placed: Sequence[PlacedClip], goes_on: Sequence[bool] | None = None
) -> SoundPlan:
    """Lay the packets of all clips on one grid.

    Args:
        movies: in the film's order, each with sound, conforming.
        placed: where each stands.
        goes_on: of which the sound goes on where that of the clip before ends; None for none.
    """
    flags = goes_on or [False] * len(movies)
    return lay_sound([sound_track_of(movie, flag) for movie, flag in zip(movies, flags, strict=True)], placed)


def sound_track_of(movie: Movie, goes_on: bool = False) -> SoundTrack:
    """Give what is needed of a movie that has sound in packets of constant length."""
    sound = movie.sound
    assert sound is not None
    assert sound.interval is not None
    return SoundTrack(sound.timescale, sound.interval, sound.sample_count, movie.sound_start, goes_on)


def lay_sound(tracks: Sequence[SoundTrack], placed: Sequence[PlacedClip]) -> SoundPlan:
    """Lay the packets of tracks on one grid: the first one's.

    Args:
        tracks: in the film's order; they need not exist yet.
        placed: where each stands.
    """
    timescale, packet = tracks[0].timescale, tracks[0].packet
    # Where each clip's packet 0 belongs, in ticks of the film.
    ideal = [(clip.start + track.begin) * timescale for track, clip in zip(tracks, placed, strict=True)]
    center = _least_skew([position % packet for position in ideal], packet)
    skew = (center - ideal[0] + Fraction(packet, 2)) % packet - Fraction(packet, 2)
    media_start = max(0, -round(ideal[0] + skew))
    borders = [round((clip.start * timescale + media_start) / packet) for clip in placed]
    slot_count = ceil((placed[-1].end * timescale + media_start) / packet)
    clips = []
    for track, at, (first_slot, end_slot) in zip(tracks, ideal, pairwise([0, *borders[1:], slot_count]), strict=True):
        shift = round((at + media_start) / packet)
        late = (shift * packet - media_start - at) / timescale
        clips.append(ClipSound(shift, first_slot, end_slot, track.packet_count, track.begin, late, track.goes_on))
    return SoundPlan(timescale, packet, media_start, slot_count, clips)


def _least_skew(residues: list[Fraction], packet: int) -> int:
    """Find the point of a circle of `packet` ticks whose largest distance to any residue is smallest."""
    points = sorted(set(residues))
    gaps = [(b - a, b) for a, b in pairwise([*points, points[0] + packet])]
    widest, behind = max(gaps)
    # Everything lies on the arc that starts behind the widest gap.
    return round(behind + (packet - widest) / 2) % packet


def packets_for_slots(clip: ClipSound, first_slot: int, end_slot: int) -> tuple[int, range, int]:
    """Say how a clip fills slots: so many before its first packet, then these packets, so many behind its last.

    >>> packets_for_slots(ClipSound(2, 0, 9, 5, Fraction(0), Fraction(0)), 0, 9)
    (2, range(0, 5), 2)
    """
    first, end = first_slot - clip.shift, end_slot - clip.shift
    packets = range(_clamp(first, clip.packet_count), _clamp(end, clip.packet_count))
    before = max(0, min(end, 0) - first)
    return before, packets, end - first - before - len(packets)


def _clamp(number: int, most: int) -> int:
    return min(max(number, 0), most)


#: AAC-LC packets that decode to silence, by channel count; players fill holes with the same.
#: Source: https://github.com/video-dev/hls.js/blob/master/src/remux/aac-helper.ts
_SILENT_AAC = {
    1: "00c800802380",
    2: "210049900219002380",
    3: "00c8008020840126400864008e",
    4: "00c800802084012640086400802c80080238",
    5: "00c800802084012640086400823004990021900238",
    6: "00c8008020840126400864008230049900219002" + "00b2002008e0",
}


def silent_packet(movie: Movie) -> bytes | None:
    """Give a packet of silence in the coding of this clip's sound; None where none is known."""
    entry = movie.sound.entry if movie.sound else None
    aac = entry.aac if isinstance(entry, SoundEntry) else None
    if aac is None or not aac.is_plain_lc or aac.channel_count not in _SILENT_AAC:
        return None
    return bytes.fromhex(_SILENT_AAC[aac.channel_count])
