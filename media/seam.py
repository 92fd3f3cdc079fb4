"""The sound at joins, made anew: the only place where a splice decodes and encodes anything.

Every packet of AAC overlaps its neighbours, so that cutting between packets of two clips leaves half of an overlap on
each side: a dip, a tick, or both. Here the few packets around each join are decoded, crossfaded over
`FADE_SECONDS`, and encoded again; before and behind them the copied packets fit on, since what they overlap
with is what they were made of. PyAV does it in this process; samples are moved as whole slices, and only the
fade is calculated.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import cos, pi, sin

import av
from av.error import FFmpegError

from events.errors import BadMedia
from media.aac_config import AacConfig, parse_aac_config
from media.movie import Movie
from media.reader import ByteReader, windowed
from media.sample_entry import SoundEntry
from media.splice_layout import CopyRange
from media.splice_picture import PlacedClip
from media.splice_sound import SEAM_AFTER, SEAM_BEFORE, ClipSound, SoundPlan, packets_for_slots

#: Length of the crossfade: long enough not to click, too short to be heard as a fade.
FADE_SECONDS = Fraction(1, 200)
#: How much of the very ends of a clip's sound is not trusted: encoders ring at the edge between sound and nothing.
_EDGE_SECONDS = Fraction(1, 500)
#: Samples of an AAC packet and so of a slot.
_SLOT = 1024
#: Slots of a window that is encoded for one join. The encoder answers the jump from the window before by short blocks,
#: which must have passed before the first packet that is used: two slots. The last packet used is made of the slot
#: behind it as well, and must not see the next jump: two slots.
_WINDOW_BEFORE = SEAM_BEFORE + 2
_WINDOW_AFTER = SEAM_AFTER + 2
#: A clip in fewer slots than this has no room for a seam on each side.
_ROOM = 2 * (SEAM_BEFORE + SEAM_AFTER) + 2
#: Generous, since it is four packets a join.
_BITRATE_BPS_PER_CHANNEL = 96_000
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
#: Bytes fetched at once: the packets of a tenth of a second with the picture between them, at a usual bitrate.
_READ_AHEAD_BYTES = 128 * 1024

#: Bytes of the largest packet of AAC, for each channel.
#: Source: ISO/IEC 14496-3, 4.5.3.1: a decoder's input buffer holds 6144 bits a channel.
_PACKET_BYTES_MAX = 6144 // 8

#: One array of samples for each channel.
Samples = list["array[float]"]


def make_seams(
    movies: Sequence[Movie],
    readers: Sequence[ByteReader | None],
    placed: Sequence[PlacedClip],
    plan: SoundPlan,
    fetch_ahead: Callable[[Sequence[CopyRange]], None] | None = None,
) -> dict[int, list[bytes]]:
    """Make the packets around each join anew.

    Args:
        movies: the clips, conforming.
        readers: where their packets are; None leaves the joins of that clip as they are.
        placed: where the clips stand.
        plan: where their packets play.
        fetch_ahead: told of every packet that will be read.

    Returns:
        The packets of each join by the index of the clip that starts there, for the slots from `SEAM_BEFORE`
        before its first slot to before `SEAM_AFTER` behind it. Nothing for sound that is not plain AAC-LC, and no
        join at which a clip is shorter than a few packets.

    Raises:
        BadMedia: a clip's sound cannot be decoded at the join.
    """
    entry = movies[0].sound.entry if movies[0].sound else None
    if not isinstance(entry, SoundEntry) or entry.aac is None or not _can_encode(entry.aac, plan):
        return {}
    joins = [
        i
        for i in range(1, len(movies))
        if readers[i - 1] and readers[i] and _has_room(plan.clips[i - 1]) and _has_room(plan.clips[i])
    ]
    needed = [found for i in joins for found in _packets_at_join(movies, plan, i)]
    if fetch_ahead:
        fetch_ahead(needed)
    decoder = _Decoder(entry)
    windows = (_mix(decoder, movies, readers, placed, plan, i) for i in joins)
    return dict(zip(joins, _encode(windows, entry.aac), strict=True))


def _packets_at_join(movies: Sequence[Movie], plan: SoundPlan, index: int) -> Iterator[CopyRange]:
    """Give where the packets lie that are decoded for the join at the start of clip `index`."""
    for clip, window in ((index - 1, _slots_before(plan, index)), (index, _slots_behind(plan, index))):
        track = movies[clip].sound
        assert track is not None
        _, packets, _ = packets_for_slots(plan.clips[clip], window.start, window.stop)
        for packet in _decoded(packets):
            _refuse_oversized(movies[clip], packet)
            yield CopyRange(clip, track.sample_offset(packet), track.sizes[packet])


def _refuse_oversized(movie: Movie, packet: int) -> None:
    """Refuse a packet before it is fetched: one that says gigabytes would fill memory."""
    sound = movie.sound
    assert sound is not None
    assert isinstance(sound.entry, SoundEntry)
    # What an encoder may exceed at a time is less than as much again.
    most = 2 * _PACKET_BYTES_MAX * max(1, sound.entry.channel_count)
    if sound.sizes[packet] > most:
        raise BadMedia(f"read {movie.name}: a packet of its sound is {sound.sizes[packet]} bytes; {most} are the most")


def _slots_before(plan: SoundPlan, index: int) -> range:
    """Give the slots for which the clip before a join is decoded."""
    border = plan.clips[index].first_slot
    return range(border - _WINDOW_BEFORE, border + 1)


def _slots_behind(plan: SoundPlan, index: int) -> range:
    border = plan.clips[index].first_slot
    return range(border - 1, border + _WINDOW_AFTER)


def _decoded(packets: range) -> range:
    """Give the packets that are decoded to hear some: the one before as well, since each completes the next."""
    return range(max(0, packets.start - 1), packets.stop)


def _can_encode(aac: AacConfig, plan: SoundPlan) -> bool:
    if not aac.is_plain_lc or plan.packet != _SLOT or plan.timescale != aac.sample_rate_hz:
        return False
    if aac.channel_count not in _LAYOUTS:
        return False
    # FFmpeg's encoder is asked what it would write, since a packet is only read right under its own configuration.
    try:
        return parse_aac_config(bytes(_encoder(aac).extradata or b"")) == aac
    except FFmpegError:
        return False  # It does not know such a sample rate.


def _has_room(clip: ClipSound) -> bool:
    return clip.end_slot - clip.first_slot >= _ROOM


def _encoder(aac: AacConfig) -> av.AudioCodecContext:
    encoder = av.AudioCodecContext.create("aac", "w")
    encoder.sample_rate = aac.sample_rate_hz
    encoder.layout = _LAYOUTS[aac.channel_count]
    encoder.format = "fltp"
    encoder.bit_rate = _BITRATE_BPS_PER_CHANNEL * aac.channel_count
    encoder.time_base = Fraction(1, aac.sample_rate_hz)
    encoder.open()
    return encoder


def _encode(windows: Iterator[Samples], aac: AacConfig) -> Iterator[list[bytes]]:
    """Encode all windows in one go, since an encoder costs more to set up than to run, and give each its packets."""
    encoder = _encoder(aac)
    packets: list[bytes] = []
    frames = 0
    for window in windows:
        for at in range(0, len(window[0]), _SLOT):
            frame = av.AudioFrame(format="fltp", layout=_LAYOUTS[aac.channel_count], samples=_SLOT)
            frame.sample_rate = aac.sample_rate_hz
            frame.pts = frames * _SLOT
            for plane, channel in zip(frame.planes, window, strict=True):
                plane.update(channel[at : at + _SLOT].tobytes())
            packets += map(bytes, encoder.encode(frame))
            frames += 1
    packets += map(bytes, encoder.encode(None))
    # Packet n is made of frames n - 1 and n, and is heard in the slot of frame n - 1.
    first = _WINDOW_BEFORE - SEAM_BEFORE + 1
    for start in range(first, first + frames, _WINDOW_BEFORE + _WINDOW_AFTER):
        yield packets[start : start + SEAM_BEFORE + SEAM_AFTER]


class _Decoder:
    """Decodes the packets of some slots of a clip."""

    def __init__(self, entry: SoundEntry) -> None:
        self._codec = av.AudioCodecContext.create("aac", "r")
        self._codec.extradata = entry.config
        self._channels = entry.channel_count

    def decode(self, movie: Movie, reader: ByteReader, clip: ClipSound, slots: range) -> Samples:
        """Give what a clip sounds like in these slots; silence where it has no packet."""
        track = movie.sound
        assert track is not None
        before, packets, behind = packets_for_slots(clip, slots.start, slots.stop)
        channels = [array("f", bytes(4 * _SLOT * before)) for _ in range(self._channels)]
        self._codec.flush_buffers()
        window = windowed(reader, _READ_AHEAD_BYTES)
        for packet in _decoded(packets):
            data = window.read(track.sample_offset(packet), track.sizes[packet])
            heard = self._decode_one(movie, data)
            if packet in packets:
                for channel, samples in zip(channels, heard, strict=True):
                    channel.frombytes(samples)
        for channel in channels:
            channel.frombytes(bytes(4 * _SLOT * behind))
        return channels

    def _decode_one(self, movie: Movie, data: bytes) -> list[bytes]:
        try:
            frames = self._codec.decode(av.Packet(data))
        except FFmpegError as exc:
            raise BadMedia(f"read {movie.name}: its sound cannot be decoded ({exc.strerror})") from exc
        if len(frames) != 1 or frames[0].samples != _SLOT or len(frames[0].planes) != self._channels:
            raise BadMedia(f"read {movie.name}: its sound is not what its index says")
        return [bytes(plane)[: 4 * _SLOT] for plane in frames[0].planes]


def _mix(
    decoder: _Decoder,
    movies: Sequence[Movie],
    readers: Sequence[ByteReader | None],
    placed: Sequence[PlacedClip],
    plan: SoundPlan,
    index: int,
) -> Samples:
    """Give the sound of the window around the start of clip `index`: the clip before it, a crossfade, the clip."""
    before, behind = plan.clips[index - 1], plan.clips[index]
    reader_before, reader_behind = readers[index - 1], readers[index]
    assert reader_before is not None
    assert reader_behind is not None
    window = _slots_before(plan, index)
    ours = decoder.decode(movies[index - 1], reader_before, before, window)
    theirs = decoder.decode(movies[index], reader_behind, behind, _slots_behind(plan, index))
    if behind.goes_on:
        # Both are the same sound, and theirs is whole from the border on, but for the edge.
        start = (_WINDOW_BEFORE * _SLOT) + round(_EDGE_SECONDS * plan.timescale)
        hidden = array("f", bytes(4 * (_WINDOW_BEFORE - 1) * _SLOT))
        length = round(plan.timescale * FADE_SECONDS)
        return [_go_over(mine, hidden + other, start, length) for mine, other in zip(ours, theirs, strict=True)]
    at = placed[index].start * plan.timescale + plan.media_start - window.start * _SLOT
    end_before = round(at + (before.skew - _EDGE_SECONDS) * plan.timescale)
    start_behind = round(at + (behind.skew + _EDGE_SECONDS) * plan.timescale)
    half = round(plan.timescale * FADE_SECONDS / 2)
    # The fade must lie in the two slots of which all packets are made anew.
    offset = (_WINDOW_BEFORE - 1) * _SLOT
    middle = min(max((end_before + start_behind) // 2, offset + half), offset + 2 * _SLOT - half)
    return [
        _crossfade(mine, array("f", bytes(4 * offset)) + other, end_before, start_behind, middle - half, middle + half)
        for mine, other in zip(ours, theirs, strict=True)
    ]


def _go_over(ours: array[float], theirs: array[float], start: int, length: int) -> array[float]:
    """Go over from one channel to the same sound in another, within `length` samples from `start` on."""
    shares = [(i + 0.5) / length for i in range(length)]
    pairs = zip(ours[start : start + length], theirs[start : start + length], shares, strict=True)
    mixed = array("f", (a * (1 - share) + b * share for a, b, share in pairs))
    return ours[:start] + mixed + theirs[start + length :]


def _crossfade(
    ours: array[float], theirs: array[float], ours_end: int, theirs_start: int, fade_start: int, fade_end: int
) -> array[float]:
    """Join two channels by a crossfade from `fade_start` to `fade_end`.

    Moving clips to the grid can leave a hole of some milliseconds between them, or hide the end of the encoder's
    padding in it; what is missing is filled by the mirrored end and start.
    """
    missing = min(fade_end - ours_end, ours_end)
    if missing > 0:
        ours = ours[:ours_end] + ours[ours_end - missing : ours_end][::-1]
    missing = min(theirs_start - fade_start, len(theirs) - theirs_start)
    if missing > 0:
        mirrored = theirs[theirs_start : theirs_start + missing][::-1]
        theirs = theirs[: theirs_start - missing] + mirrored + theirs[theirs_start:]
    length = fade_end - fade_start
    angles = [(i + 0.5) / length * pi / 2 for i in range(length)]
    pairs = zip(ours[fade_start:fade_end], theirs[fade_start:fade_end], angles, strict=True)
    fade = array("f", (a * cos(angle) + b * sin(angle) for a, b, angle in pairs))
    return ours[:fade_start] + fade + theirs[fade_end:]
