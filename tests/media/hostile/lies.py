"""MP4s whose index lies: about sizes, counts, places and times."""

from __future__ import annotations

import struct
import zlib
from functools import cache

from media.boxes import box, boxes, full_box
from tests.media.hostile.kit import Kit, hostile
from tests.media.hostile.surgery import (
    PICTURE,
    SOUND,
    body_of,
    edited,
    nested,
    replaced,
    table,
    with_inside,
    with_word,
)
from tests.media.synthetic import AVCC, sound_entry, video_entry

_BILLIONS = 0xFFFFFFFF
_FTYP = box(b"ftyp", b"isom\0\0\2\0isommp41")


def _count(data: bytes, path: str) -> int:
    return int.from_bytes(body_of(data, path)[4:8], "big")


def _packet_count(kit: Kit) -> int:
    return int.from_bytes(body_of(kit.good, f"{SOUND}/stsz")[8:12], "big")


# --- boxes ---------------------------------------------------------------------------------------------------------


@hostile("truncated")
def index_longer_than_the_file(kit: Kit) -> bytes:
    at = kit.good.index(b"moov") - 4
    return kit.good[:at] + struct.pack(">I", 0x7FFFFFFF) + kit.good[at + 4 :]


@hostile("truncated")
def index_of_exabytes(kit: Kit) -> bytes:
    at = kit.good.index(b"moov") - 4
    return kit.good[:at] + struct.pack(">I4sQ", 1, b"moov", 2**63 - 1) + kit.good[at + 8 :]


@hostile("cannot be")
def box_of_three_bytes(kit: Kit) -> bytes:
    return _FTYP + struct.pack(">I4s", 3, b"free") + kit.good


@hostile("cannot be|no index")
def wide_box_of_no_bytes(kit: Kit) -> bytes:
    return _FTYP + struct.pack(">I4sQ", 1, b"free", 0) + kit.good


@hostile("no index")
def box_without_an_end_before_the_index(kit: Kit) -> bytes:
    return _FTYP + struct.pack(">I4s", 0, b"free") + kit.good


@hostile("boxes")
def a_million_empty_boxes(kit: Kit) -> bytes:
    return _FTYP + box(b"free") * 1_000_000 + kit.good


@hostile("boxes side by side")
def a_million_empty_boxes_in_the_index(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", box(b"free") * 1_000_000)


@hostile("cannot be|no index|boxes")
def a_million_zeros_between_boxes(kit: Kit) -> bytes:
    return _FTYP + bytes(1_000_000) + kit.good


@hostile("box says")
def boxes_that_overlap(kit: Kit) -> bytes:
    at = kit.good.index(b"tkhd") - 4
    (size,) = struct.unpack_from(">I", kit.good, at)
    return kit.good[:at] + struct.pack(">I", size + 20) + kit.good[at + 4 :]


@hostile()
def ten_thousand_boxes_in_each_other(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", nested(10_000))


@hostile("no hdlr box")
def ten_thousand_tracks_in_each_other(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", nested(10_000, b"trak"))


@hostile()
def ten_thousand_indexes_in_each_other(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", nested(10_000, b"moov"))


@hostile()
def two_indexes(kit: Kit) -> bytes:
    return kit.good + box(b"moov", body_of(kit.good, "moov"))


@hostile("tracks")
def five_hundred_tracks(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", *[box(b"trak", body_of(kit.good, "moov/trak"))] * 500)


@hostile()
def sixty_tracks(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", *[box(b"trak", body_of(kit.good, "moov/trak"))] * 60)


@hostile()
def tracks_with_a_million_boxes(kit: Kit) -> bytes:
    padded = with_inside(kit.good, PICTURE, box(b"free") * 9_900)
    return with_inside(padded, "moov", *[box(b"trak", body_of(padded, "moov/trak"))] * 60)


# --- compressed indexes --------------------------------------------------------------------------------------------


def _compressed(index: bytes, says: int | None = None) -> bytes:
    packed = zlib.compress(index, 9)
    data = box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", says or len(index)), packed)
    return box(b"cmov", data)


@cache
def _bomb() -> bytes:
    """Give 96 MiB in a tenth of a megabyte."""
    return _compressed(box(b"moov", box(b"free", bytes(96 * 1024 * 1024))))


@hostile("compressed")
def compressed_index(kit: Kit) -> bytes:
    return replaced(kit.good, "moov", box(b"moov", _compressed(box(b"moov", body_of(kit.good, "moov")))))


@hostile("compressed")
def compressed_index_of_a_bomb(kit: Kit) -> bytes:
    return replaced(kit.good, "moov", box(b"moov", _bomb()))


@hostile("compressed")
def compressed_index_says_four_gigabytes(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", _compressed(b"moov" * 9, says=_BILLIONS))


@hostile("cmov box beside its index")
def compressed_bomb_beside_the_index(kit: Kit) -> bytes:
    return _FTYP + _bomb() + kit.good


@hostile("compressed")
def compressed_bomb_hidden_in_user_data(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov/udta", _bomb())


@hostile("compressed")
def compressed_bomb_hidden_in_a_track(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov/trak/mdia", _bomb())


# --- counts --------------------------------------------------------------------------------------------------------


@hostile("samples")
def billions_of_samples_of_one_byte(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsz", table(b"stsz", 1, _BILLIONS))


@hostile("samples")
def billions_of_samples_listed(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/stsz", 8, _BILLIONS)


@hostile("cut off")
def more_samples_than_are_listed(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/stsz", 8, 3_000_000)


@hostile("stz2")
def compact_sizes_of_a_strange_width(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsz", table(b"stz2", 3, 1000))


@hostile("cut off|rows")
def billions_of_durations(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/stts", 4, _BILLIONS)


@hostile("disagrees")
def durations_for_billions_of_samples(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stts", table(b"stts", 2, _BILLIONS, 512, 25, 512))


@hostile("rows")
def billions_of_composition_offsets(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/ctts", 4, _BILLIONS)


@hostile("rows")
def billions_of_chunks(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/stco", 4, _BILLIONS)


@hostile("damaged|rows")
def chunks_of_billions_of_samples(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsc", table(b"stsc", 1, 1, _BILLIONS, 1))


@hostile("chunk")
def chunks_that_start_with_none(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsc", table(b"stsc", 1, 0, 1, 1))


@hostile("chunk|damaged")
def chunks_out_of_order(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsc", table(b"stsc", 3, 1, 1, 1, 9, 1, 1, 2, 1, 1))


@hostile("sync")
def sync_samples_out_of_order(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stss", table(b"stss", 3, 13, 1, 5))


@hostile("sync")
def sync_samples_behind_the_end(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stss", table(b"stss", 2, 1, _BILLIONS))


@hostile("description")
def description_that_is_not_there(kit: Kit) -> bytes:
    def changed(body: bytes) -> bytes:
        return body[:8] + b"".join(body[at : at + 8] + struct.pack(">I", 77) for at in range(8, len(body), 12))

    return edited(kit.good, f"{PICTURE}/stsc", changed)


def _claims(count: int, size: int = 1, *, sound: bool = False) -> bytes:
    """Make a track of as many samples as one likes, in a few hundred bytes."""
    entry = sound_entry() if sound else video_entry()
    stbl = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        table(b"stts", 1, count, 512),
        table(b"stsc", 1, 1, count, 1),
        table(b"stsz", size, count),
        table(b"stco", 1, 40),
    )
    return _track(stbl, b"soun" if sound else b"vide")


def _track(stbl: bytes, handler: bytes) -> bytes:
    head = box(b"vmhd", bytes(4), bytes(8)) if handler == b"vide" else box(b"smhd", bytes(8))
    dinf = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    mdhd = full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, 12288, 12288, 0x55C4, 0))
    hdlr = full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"x\0")
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000)
    tkhd = full_box(b"tkhd", 0, 3, struct.pack(">IIIII", 0, 0, 9, 0, 1000), bytes(16), identity, bytes(8))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", head, dinf, stbl)))


@hostile("samples")
def sixty_tracks_of_millions_of_samples(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", *[_claims(3_900_000)] * 60)


@hostile("samples")
def millions_of_empty_samples(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov", *[_claims(3_900_000, size=0)] * 60)


@hostile("samples")
def data_track_of_a_hundred_million_samples(kit: Kit) -> bytes:
    track = _claims(100_000_000).replace(b"vide", b"data", 1)
    return with_inside(kit.good, "moov", track)


@hostile("samples|beside its index")
def track_of_a_hundred_million_samples_beside_the_index(kit: Kit) -> bytes:
    return kit.good + _claims(100_000_000)


@hostile("samples|beside its index")
def track_of_a_hundred_million_samples_in_user_data(kit: Kit) -> bytes:
    return with_inside(kit.good, "moov/udta", _claims(100_000_000))


@hostile("samples|beside its index")
def track_of_a_hundred_million_samples_in_user_data_beside_the_index(kit: Kit) -> bytes:
    return kit.good + box(b"udta", _claims(100_000_000))


@hostile("samples")
def second_table_of_a_hundred_million_samples(kit: Kit) -> bytes:
    return edited(kit.good, PICTURE, lambda body: body + table(b"stsz", 1, 100_000_000))


def long_clip(kit: Kit, count: int, stts: bytes, *more: bytes, **changes: int) -> bytes:
    """Make a silent clip of very many frames of a byte, whose index is at the end."""
    size, media_bytes = changes.get("size", 1), changes.get("media_bytes", count)
    chunks = table(b"stsc", 1, 1, count, 1), table(b"stco", 1, 40)
    if "chunks" in changes:
        chunks = table(b"stsc", 1, 1, 1, 1), box(b"stco", struct.pack(">II", 0, count), struct.pack(">I", 40) * count)
    described = box(b"stsd", body_of(kit.good, f"{PICTURE}/stsd"))
    stbl = box(b"stbl", described, stts, *chunks, table(b"stsz", size, count), *more)
    index = replaced(replaced(kit.good, "moov/trak[1]"), "moov/trak/mdia/minf/stbl", stbl)
    return _FTYP + box(b"free") + box(b"mdat", bytes(media_bytes)) + index[index.index(b"moov") - 4 :]


@hostile("lie over each other")
def a_film_of_terabytes_in_a_small_file(kit: Kit) -> bytes:
    """Every frame is the same half megabyte: a copy of them all would be half a terabyte."""
    count = 1_000_000
    return long_clip(kit, count, table(b"stts", 1, count, 512), size=500_000, media_bytes=600_000, chunks=count)


@hostile("more bytes|lie over each other")
def sound_packets_over_each_other(kit: Kit) -> bytes:
    count = _packet_count(kit)
    large = replaced(kit.good, f"{SOUND}/stsz", table(b"stsz", 1_000_000, count))
    one = replaced(large, f"{SOUND}/stsc", table(b"stsc", 1, 1, 1, 1))
    same = replaced(one, f"{SOUND}/stco", table(b"stco", count, *[64] * count))
    return same + box(b"free", bytes(1_100_000))


@hostile("different times")
def durations_that_are_all_different(kit: Kit) -> bytes:
    """Two million rows that say nothing twice: as objects they would fill memory."""
    count = 2_000_000
    rows = b"".join(struct.pack(">II", 1, n) for n in range(1, count + 1))
    return long_clip(kit, count, box(b"stts", struct.pack(">II", 0, count), rows))


@hostile()
def times_that_are_even_until_the_last(kit: Kit) -> bytes:
    """What looks rounded until the last frame costs a search for the rate all the way, for each rate that is near."""
    count = 1_000_000
    rows = b"".join(struct.pack(">II", 1, 41 + (n % 3 != 0)) for n in range(count - 2))
    stts = box(b"stts", struct.pack(">II", 0, count), rows, struct.pack(">IIII", 1, 900, 1, 1))
    ctts = box(b"ctts", struct.pack(">II", 0, count), struct.pack(">II", 1, 7) * count)
    return with_word(long_clip(kit, count, stts, ctts), "moov/trak/mdia/mdhd", 12, 1000)


# --- places --------------------------------------------------------------------------------------------------------


def _moved(kit: Kit, offset: int, path: str = PICTURE) -> bytes:
    count = _count(kit.good, f"{path}/stco")
    return replaced(kit.good, f"{path}/stco", table(b"stco", count, *[offset] * count))


@hostile("outside its media")
def samples_in_the_index(kit: Kit) -> bytes:
    return _moved(kit, kit.good.index(b"moov"))


@hostile("outside its media")
def samples_in_the_first_box(kit: Kit) -> bytes:
    return _moved(kit, 0)


@hostile("truncated|reach")
def samples_behind_the_end(kit: Kit) -> bytes:
    return _moved(kit, 0xFFFFFF00)


@hostile("truncated|reach|OverflowError|large")
def samples_beyond_all_files(kit: Kit) -> bytes:
    count = _count(kit.good, f"{PICTURE}/stco")
    wide = box(b"co64", struct.pack(">II", 0, count), struct.pack(">Q", 2**64 - 1) * count)
    return replaced(kit.good, f"{PICTURE}/stco", wide)


@hostile("truncated|more bytes|lie over")
def sample_of_four_gigabytes(kit: Kit) -> bytes:
    return with_word(kit.good, f"{PICTURE}/stsz", 12, _BILLIONS)


@hostile("truncated|more bytes|lie over")
def sound_packet_of_four_gigabytes(kit: Kit) -> bytes:
    return with_word(kit.good, f"{SOUND}/stsz", 12, _BILLIONS)


@hostile()
def samples_of_no_bytes(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/stsz", lambda body: body[:12] + bytes(len(body) - 12))


@hostile()
def sound_packets_of_no_bytes(kit: Kit) -> bytes:
    return edited(kit.good, f"{SOUND}/stsz", lambda body: body[:12] + bytes(len(body) - 12))


@hostile()
def sound_is_the_picture(kit: Kit) -> bytes:
    return _moved(kit, 60, SOUND)


# --- times ---------------------------------------------------------------------------------------------------------


def _timescale(kit: Kit, value: int, track: str = "moov/trak") -> bytes:
    return with_word(kit.good, f"{track}/mdia/mdhd", 12, value)


@hostile("zero ticks")
def no_ticks_a_second(kit: Kit) -> bytes:
    return _timescale(kit, 0)


@hostile("zero ticks")
def no_ticks_a_second_of_the_film(kit: Kit) -> bytes:
    return with_word(kit.good, "moov/mvhd", 12, 0)


@hostile()
def a_tick_a_second(kit: Kit) -> bytes:
    return _timescale(kit, 1)


@hostile("ticks a second")
def billions_of_ticks_a_second(kit: Kit) -> bytes:
    return _timescale(kit, _BILLIONS)


@hostile("ticks a second")
def negative_ticks_a_second(kit: Kit) -> bytes:
    return _timescale(kit, 0x80000001)


@hostile()
def a_tick_a_second_of_sound(kit: Kit) -> bytes:
    return _timescale(kit, 1, "moov/trak[1]")


@hostile("ticks a second")
def billions_of_ticks_a_second_of_the_film(kit: Kit) -> bytes:
    return with_word(kit.good, "moov/mvhd", 12, _BILLIONS)


def _durations(kit: Kit, *pairs: int, path: str = PICTURE) -> bytes:
    bare = replaced(kit.good, f"{path.split('/mdia')[0]}/edts")
    return replaced(bare, f"{path}/stts", table(b"stts", len(pairs) // 2, *pairs))


@hostile()
def ten_thousand_frames_a_second(kit: Kit) -> bytes:
    return with_word(_durations(kit, 24, 1), "moov/trak/mdia/mdhd", 12, 10_000)


@hostile()
def a_billion_frames_a_second(kit: Kit) -> bytes:
    return with_word(_durations(kit, 24, 1), "moov/trak/mdia/mdhd", 12, 1_000_000_000)


@hostile()
def frames_of_no_duration(kit: Kit) -> bytes:
    return _durations(kit, 24, 0)


@hostile("hours|lasts")
def frames_of_days(kit: Kit) -> bytes:
    return _durations(kit, 24, _BILLIONS)


@hostile("hours|lasts")
def a_yearlong_clip(kit: Kit) -> bytes:
    return with_word(_durations(kit, 24, 1_400_000), "moov/trak/mdia/mdhd", 12, 1)


@hostile()
def one_frame_two_minutes_later(kit: Kit) -> bytes:
    return _durations(kit, 22, 512, 1, 12288 * 120, 1, 512)


@hostile()
def a_frame_every_five_seconds(kit: Kit) -> bytes:
    return with_word(_durations(kit, 24, 5), "moov/trak/mdia/mdhd", 12, 1)


@hostile()
def sound_that_claims_ten_hours(kit: Kit) -> bytes:
    count = _packet_count(kit)
    return _durations(kit, count - 1, 1024, 1, 48000 * 36_000, path=SOUND)


@hostile()
def sound_packets_of_no_duration(kit: Kit) -> bytes:
    count = _packet_count(kit)
    return _durations(kit, count, 0, path=SOUND)


def _offsets(kit: Kit, value: int) -> bytes:
    return replaced(kit.good, f"{PICTURE}/ctts", table(b"ctts", 2, 12, value, 12, 1024))


@hostile()
def frames_shown_days_before(kit: Kit) -> bytes:
    return _offsets(kit, -0x7FFFFFFF)


@hostile()
def frames_shown_days_later(kit: Kit) -> bytes:
    return _offsets(kit, 0x7FFFFFFF)


@hostile()
def frames_shown_before_they_are(kit: Kit) -> bytes:
    return _offsets(kit, -0x80000000)


@hostile()
def two_frames_shown_at_once(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/ctts", lambda body: body[:12] + struct.pack(">I", 1536) + body[16:])


@hostile()
def frames_all_shown_at_once(kit: Kit) -> bytes:
    offsets = [value for n in range(24) for value in (1, 512 * (24 - n))]
    return replaced(kit.good, f"{PICTURE}/ctts", table(b"ctts", 24, *offsets))


def _edits(kit: Kit, *rows: tuple[int, int, int], track: str = "moov/trak", says: int | None = None) -> bytes:
    lines = b"".join(struct.pack(">Qqi", *row) for row in rows)
    count = len(rows) if says is None else says
    return replaced(kit.good, f"{track}/edts/elst", full_box(b"elst", 1, 0, struct.pack(">I", count), lines))


@hostile("hours|lasts")
def edit_for_ever(kit: Kit) -> bytes:
    return _edits(kit, (2**63, 0, 65536))


@hostile("hours|lasts")
def edit_of_all_bits(kit: Kit) -> bytes:
    return _edits(kit, (2**64 - 1, 2**63 - 1, 65536))


@hostile()
def pause_of_centuries(kit: Kit) -> bytes:
    return _edits(kit, (2**62, -1, 65536), (1000, 1024, 65536))


@hostile()
def pause_of_ten_minutes(kit: Kit) -> bytes:
    return _edits(kit, (600_000, -1, 65536), (1000, 1024, 65536))


@hostile()
def pause_of_centuries_before_the_sound(kit: Kit) -> bytes:
    return _edits(kit, (2**62, -1, 65536), (1000, 1024, 65536), track="moov/trak[1]")


@hostile()
def edit_that_starts_long_before(kit: Kit) -> bytes:
    return _edits(kit, (1000, -(2**62), 65536))


@hostile()
def edit_that_starts_behind_the_end(kit: Kit) -> bytes:
    return _edits(kit, (1000, 2**62, 65536))


@hostile()
def edit_of_no_length(kit: Kit) -> bytes:
    return _edits(kit, (0, 1024, 65536))


@hostile()
def edit_of_no_speed(kit: Kit) -> bytes:
    return _edits(kit, (1000, 1024, 0))


@hostile()
def edit_backwards(kit: Kit) -> bytes:
    return _edits(kit, (1000, 1024, -65536))


@hostile("edit list")
def billions_of_edits(kit: Kit) -> bytes:
    return _edits(kit, (1000, 1024, 65536), says=_BILLIONS)


@hostile("damaged")
def more_edits_than_are_listed(kit: Kit) -> bytes:
    return _edits(kit, (1000, 1024, 65536), says=900)


@hostile()
def nine_hundred_edits(kit: Kit) -> bytes:
    return _edits(kit, *[(1000, 1024, 65536)] * 900)


@hostile("edit list shows")
def a_thousand_edits_of_a_hundred_thousand_frames(kit: Kit) -> bytes:
    lines = struct.pack(">Qqi", 9_000, 0, 65536) * 1000
    long = long_clip(kit, 100_000, table(b"stts", 1, 100_000, 1))
    return replaced(long, "moov/trak/edts/elst", full_box(b"elst", 1, 0, struct.pack(">I", 1000), lines))


# --- descriptions --------------------------------------------------------------------------------------------------


def _sized(kit: Kit, width: int, height: int) -> bytes:
    return edited(
        kit.good, f"{PICTURE}/stsd/avc1", lambda body: body[:24] + struct.pack(">HH", width, height) + body[28:]
    )


@hostile("pixels cannot be")
def picture_of_no_pixels(kit: Kit) -> bytes:
    return _sized(kit, 0, 0)


@hostile("pixels cannot be")
def picture_of_four_billion_pixels(kit: Kit) -> bytes:
    return _sized(kit, 65535, 65535)


@hostile("pixels cannot be")
def picture_of_a_row_of_pixels(kit: Kit) -> bytes:
    return _sized(kit, 65535, 1)


@hostile("pixels cannot be")
def picture_of_a_quarter_billion_pixels(kit: Kit) -> bytes:
    return _sized(kit, 16384, 16384)


@hostile("pixels cannot be")
def pixels_a_million_times_wider_than_high(kit: Kit) -> bytes:
    return with_inside(kit.good, f"{PICTURE}/stsd/avc1", box(b"pasp", struct.pack(">II", _BILLIONS, 1)))


@hostile("avcC")
def picture_configuration_cut_off(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", lambda body: body[:9])


@hostile()
def picture_configuration_of_nothing(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", lambda _: b"\1\x64\0\x0b\xff\xe0\0")


@hostile()
def picture_configuration_missing(kit: Kit) -> bytes:
    return replaced(kit.good, f"{PICTURE}/stsd/avc1/avcC")


@hostile("cut off")
def picture_configuration_of_thirty_one_endless_sets(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", lambda _: b"\1\x64\0\x0b\xff\xff" + b"\xff\xff" * 31)


@hostile()
def picture_configuration_of_another_clip(kit: Kit) -> bytes:
    return edited(kit.good, f"{PICTURE}/stsd/avc1/avcC", lambda _: AVCC)


@hostile()
def picture_in_an_unknown_coding(kit: Kit) -> bytes:
    return kit.good.replace(b"avc1", b"zzzz")


@hostile()
def picture_said_to_be_other_codings(kit: Kit) -> bytes:
    return kit.good.replace(b"avc1", b"hvc1")


@hostile("encrypted")
def picture_encrypted(kit: Kit) -> bytes:
    return kit.good.replace(b"avc1\0\0\0\0\0\0\0\1", b"encv\0\0\0\0\0\0\0\1")


def _sound_said(kit: Kit, config: bytes, rate: int = 48000, channels: int = 2) -> bytes:
    stsd = full_box(b"stsd", 0, 0, struct.pack(">I", 1), sound_entry(config, rate, channels))
    return replaced(kit.good, f"{SOUND}/stsd", stsd)


@hostile()
def sound_of_ninety_six_channels(kit: Kit) -> bytes:
    """A program configuration element that lists 16 elements of each kind, all of them pairs."""
    bits = "00010" + "0011" + "0000" + "000"
    bits += "0000" + "01" + "0011" + "1111" * 3 + "11" + "000" + "0000" + "000"
    bits += "".join("1" + f"{n:04b}" for n in range(15)) * 3 + "".join(f"{n % 16:04b}" for n in range(3))
    bits += "0" * (-len(bits) % 8) + "0" * 8
    return _sound_said(kit, int(bits, 2).to_bytes(len(bits) // 8, "big"))


@hostile("does not exist")
def sound_of_a_sample_rate_that_is_not(kit: Kit) -> bytes:
    return kit.good.replace(b"\x05\x80\x80\x80\x05\x11\x90", b"\x05\x80\x80\x80\x05\x16\x90")


@hostile()
def sound_of_no_samples_a_second(kit: Kit) -> bytes:
    return _sound_said(kit, bytes([0x17, 0x80, 0x00, 0x00, 0x10]))


@hostile()
def sound_of_millions_of_samples_a_second(kit: Kit) -> bytes:
    return _sound_said(kit, bytes([0x17, 0xFF, 0xFF, 0xFF, 0x90]))


@hostile()
def sound_of_an_unknown_kind(kit: Kit) -> bytes:
    return _sound_said(kit, bytes([0xF9, 0x48, 0x40]))


@hostile()
def sound_of_other_channels_than_said(kit: Kit) -> bytes:
    return _sound_said(kit, bytes([0x11, 0xB0]), channels=6)


@hostile("cut off")
def sound_configuration_cut_off(kit: Kit) -> bytes:
    return edited(kit.good, f"{SOUND}/stsd/mp4a/esds", lambda body: body[:12])


@hostile()
def sample_entries_by_the_thousand(kit: Kit) -> bytes:
    entry = box(b"avc1", body_of(kit.good, f"{PICTURE}/stsd/avc1"))
    return replaced(kit.good, f"{PICTURE}/stsd", full_box(b"stsd", 0, 0, struct.pack(">I", 5000), entry * 5000))


# --- fragments -----------------------------------------------------------------------------------------------------


def _fragmented(kit: Kit) -> bytes:
    return kit.ffmpeg("fragmented.mp4", "-i", str(kit.good_path), "-c", "copy", "-movflags", "frag_keyframe+empty_moov")


def _first_fragment(kit: Kit) -> tuple[bytes, bytes, bytes]:
    """Give what stands before the first fragment, the fragment, and the rest."""
    data = _fragmented(kit)
    found = next(each for each in boxes(data, 0, len(data)) if each.kind == b"moof")
    return data[: found.start], data[found.start : found.end], data[found.end :]


def _run_of(count: int, flags: int = 0) -> bytes:
    return full_box(b"trun", 0, flags, struct.pack(">I", count))


@hostile("samples")
def fragment_of_a_hundred_million_samples(kit: Kit) -> bytes:
    head, fragment, rest = _first_fragment(kit)
    return head + replaced(fragment, "moof/traf/trun", _run_of(100_000_000)) + rest


@hostile("samples")
def second_fragment_of_a_hundred_million_samples(kit: Kit) -> bytes:
    head, fragment, rest = _first_fragment(kit)
    return head + fragment + rest + replaced(fragment, "moof/traf/trun", _run_of(100_000_000)) + box(b"mdat", bytes(50))


@hostile("samples")
def a_thousand_runs_of_a_million_samples(kit: Kit) -> bytes:
    head, fragment, rest = _first_fragment(kit)
    return head + with_inside(fragment, "moof/traf", _run_of(1_000_000) * 1000) + rest


@hostile()
def a_hundred_thousand_empty_fragments(kit: Kit) -> bytes:
    head, fragment, rest = _first_fragment(kit)
    empty = replaced(replaced(fragment, "moof/traf/trun"), "moof/traf[1]")
    return head + empty * 100_000 + rest


@hostile()
def the_same_fragment_ten_thousand_times(kit: Kit) -> bytes:
    head, fragment, _ = _first_fragment(kit)
    return head + (fragment + box(b"mdat", bytes(8))) * 10_000


@hostile("fragments in it")
def fragments_in_the_index(kit: Kit) -> bytes:
    trex = full_box(b"trex", 0, 0, struct.pack(">IIIII", 1, 1, 512, 1, 0))
    tfhd = full_box(b"tfhd", 0, 0x20000, struct.pack(">I", 1))
    inside = box(b"mvex", trex), box(b"moof", box(b"traf", tfhd, _run_of(100_000_000)))
    return with_inside(kit.good, "moov", *inside)


@hostile()
def fragmented_without_a_fragment(kit: Kit) -> bytes:
    return _first_fragment(kit)[0]


@hostile()
def fragmented_and_cut_off(kit: Kit) -> bytes:
    data = _fragmented(kit)
    return data[: len(data) * 2 // 3]


@hostile("hours")
def fragment_index_of_lies(kit: Kit) -> bytes:
    head, fragment, rest = _first_fragment(kit)
    rows = struct.pack(">III", 0x7FFFFFFF, _BILLIONS, 0x90000000) * 60_000
    sidx = full_box(b"sidx", 0, 0, struct.pack(">IIIIHH", 1, 12288, 0, 0, 0, 60_000), rows)
    mfra = box(b"mfra", full_box(b"tfra", 0, 0, struct.pack(">III", 1, 0, 100_000_000)), table(b"mfro", 16))
    return head + sidx + fragment + rest + mfra
