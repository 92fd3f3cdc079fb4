"""The limits that hostile files meet, each met on purpose and by the smallest file that meets it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMedia
from media import fragments
from media.boxes import box, full_box
from media.fragments import refuse_hostile_fragments
from media.mp4_limits import ALL_SAMPLES_MAX, TOP_BOXES_MAX, refuse_what_expands
from media.mp4_tables import SAMPLES_MAX
from media.probe import probe
from media.probe_av import open_with_av
from media.reader import BytesReader
from tests.media.hostile.bounds import LARGEST_INDEX
from tests.media.hostile.conftest import needs_linux
from tests.media.hostile.corpus import CASES
from tests.media.hostile.kit import Kit
from tests.media.hostile.lies import long_clip
from tests.media.hostile.surgery import table, with_word
from tests.media.hostile.watch import Watcher
from tests.media.synthetic import FakeClip, fake_clips


def drained(data: bytes, demuxer: str, **limits: Any) -> int:
    with open_with_av(BytesReader(data), demuxer, **limits) as opened:
        return sum(packet.size for packet in opened.demux())


def test_ffmpeg_reads_no_more_bytes_than_it_may(kit: Kit) -> None:
    data = kit.ffmpeg("limit.ts", "-i", str(kit.good_path), "-c", "copy") * 40

    assert drained(data, "mpegts", bytes_max=3 * len(data))
    with pytest.raises(BadMedia, match="however much of it is read"):
        drained(data, "mpegts", bytes_max=len(data) // 2)


def test_ffmpeg_takes_no_longer_than_it_may(kit: Kit) -> None:
    data = CASES["matroska-compressed-a-thousandfold"].write(kit).read_bytes()

    with pytest.raises(BadMedia, match="takes too long"):
        drained(data, "matroska", seconds_max=0.05)


@given(fake_clips())
def test_an_honest_index_expands_to_nothing(clip: FakeClip) -> None:
    data = clip.to_bytes()

    refuse_what_expands(data[data.index(b"moov") - 4 :])


#: Bytes that look like nothing that is refused for itself.
_BYTES = st.binary(max_size=40).filter(lambda data: not any(kind in data for kind in (b"cmov", b"moof", b"traf")))


@given(st.lists(st.integers(0, SAMPLES_MAX), max_size=5), _BYTES)
def test_the_samples_of_all_tables_are_counted_wherever_they_stand(counts: list[int], between: bytes) -> None:
    index = between.join(box(b"junk", table(b"stsz", 1, count)) for count in counts)

    if sum(counts) <= ALL_SAMPLES_MAX:
        refuse_what_expands(index)
    else:
        with pytest.raises(BadMedia, match=f"lists {sum(counts)} samples"):
            refuse_what_expands(index)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (box(b"udta", box(b"cmov", box(b"dcom", b"zlib"))), "compressed"),
        (box(b"free", table(b"stz2", 8, SAMPLES_MAX + 1)), "samples"),
        (box(b"moof", full_box(b"mfhd", 0, 0, bytes(4))), "fragments in it"),
    ],
)
def test_what_expands_is_found_in_any_box(index: bytes, said: str) -> None:
    with pytest.raises(BadMedia, match=said):
        refuse_what_expands(index)


def test_as_many_boxes_as_are_read_are_read() -> None:
    good = FakeClip([20] * 3).to_bytes()
    few = box(b"free") * (TOP_BOXES_MAX - 4)

    assert probe(BytesReader(good + few), "clip.mp4").frame_count == 3
    with pytest.raises(BadMedia, match="boxes side by side"):
        probe(BytesReader(good + few + box(b"free") * 4), "clip.mp4")


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize("kind", [b"trak", b"cmov", b"stsz", b"trun"])
def test_a_part_of_an_index_beside_it_is_refused(kind: bytes, where: str) -> None:
    good, part = FakeClip([20] * 3).to_bytes(), box(kind, bytes(20))
    data = part + good if where == "before" else good + part
    data = box(b"ftyp", b"isom") + data if where == "before" else data

    with pytest.raises(BadMedia, match=f"{kind.decode()} box beside its index"):
        probe(BytesReader(data), "clip.mp4")


def _fragment(count: int, fill: int = 0) -> bytes:
    run = full_box(b"trun", 0, 0, struct.pack(">I", count))
    return box(b"moof", box(b"traf", run, box(b"free", bytes(fill)))) + box(b"mdat", bytes(8))


@given(st.lists(st.integers(0, SAMPLES_MAX // 2), max_size=6))
def test_the_samples_of_all_fragments_are_counted(counts: list[int]) -> None:
    data = box(b"ftyp", b"iso5") + b"".join(map(_fragment, counts))

    if sum(counts) <= SAMPLES_MAX:
        refuse_hostile_fragments(BytesReader(data), "clip.mp4")
    else:
        with pytest.raises(BadMedia, match=r"^read clip.mp4: its fragments list \d+ samples"):
            refuse_hostile_fragments(BytesReader(data), "clip.mp4")


def test_a_fragment_of_megabytes_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadMedia, match="the index of a fragment is"):
        refuse_hostile_fragments(BytesReader(_fragment(1, fill=fragments.FRAGMENT_BYTES_MAX)), "clip.mp4")


def test_fragments_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "FRAGMENTS_MAX", 10)

    with pytest.raises(BadMedia, match="boxes side by side"):
        refuse_hostile_fragments(BytesReader(_fragment(1) * 30), "clip.mp4")


def test_a_clip_of_a_day_is_read_and_one_of_more_is_not() -> None:
    day = FakeClip([20] * 24, timescale=1, interval=3600)

    assert probe(BytesReader(day.to_bytes()), "clip.mp4").duration_ms == 24 * 3600 * 1000
    with pytest.raises(BadMedia, match="it says that it lasts 25 hours; 24 are the most"):
        probe(BytesReader(FakeClip([20] * 25, timescale=1, interval=3600).to_bytes()), "clip.mp4")


@needs_linux
def test_the_largest_index_that_is_read_costs_seconds_and_no_more(kit: Kit, watcher: Watcher) -> None:
    count = SAMPLES_MAX - 100_000
    even = struct.pack(">IIIIII", 1, 41, 1, 42, 1, 42) * (count // 3 + 1)
    stts = box(b"stts", struct.pack(">II", 0, count), even[: 8 * (count - 1)], struct.pack(">II", 1, 900))
    ctts = box(b"ctts", struct.pack(">II", 0, count), struct.pack(">II", 1, 7) * count)
    path = kit.folder / "largest.mp4"
    path.write_bytes(with_word(long_clip(kit, count, stts, ctts), "moov/trak/mdia/mdhd", 12, 1000))

    run = watcher.run("probe", path=str(path))

    assert run.outcome == "ok", run.said
    assert LARGEST_INDEX.exceeded(run) == []


def test_every_hostile_file_is_called_mp4(kit: Kit) -> None:
    """A name is no promise: no case may be refused for its name alone."""
    assert {Path(case.write(kit)).suffix for case in CASES.values()} == {".mp4"}
