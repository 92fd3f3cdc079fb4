"""The few bytes that configure decoders: AAC's configuration and H.264's parameter sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMedia, StitchFailed
from media.aac_config import parse_aac_config
from media.parameter_sets import AvcConfig, clashes, merge, parse_avc_config, used_ids
from media.sample_entry import read_sound_entry, read_video_entry
from tests.media.synthetic import AVCC, sound_entry, video_entry


@pytest.mark.parametrize(
    ("config", "profile", "rate_hz", "channels"),
    [
        ("1190", "AAC-LC", 48000, 2),
        ("1210", "AAC-LC", 44100, 2),
        ("1188", "AAC-LC", 48000, 1),
        ("11b0", "AAC-LC", 48000, 6),
        ("1390", "AAC-LC", 22050, 2),
        ("1390" + "56e5a0", "HE-AAC", 44100, 2),
        ("2b92" + "0800", "HE-AAC", 44100, 2),
        ("eb8a" + "0800", "HE-AACv2", 44100, 1),
        ("1780" + "5dc0" + "10", "AAC-LC", 48000, 2),
    ],
)
def test_a_configuration_is_understood(config: str, profile: str, rate_hz: int, channels: int) -> None:
    found = parse_aac_config(bytes.fromhex(config))

    assert (found.profile, found.sample_rate_hz, found.channel_count) == (profile, rate_hz, channels)


def test_saying_that_there_is_no_sbr_is_the_same_as_saying_nothing() -> None:
    """FFmpeg says it, most others do not; their packets are the same."""
    assert parse_aac_config(bytes.fromhex("119056e500")) == parse_aac_config(bytes.fromhex("1190"))


def test_short_frames_are_told_from_long_ones() -> None:
    assert parse_aac_config(bytes.fromhex("1194")).frame_length == 960
    assert not parse_aac_config(bytes.fromhex("1194")).is_plain_lc


@given(st.binary(max_size=12))
def test_any_configuration_is_understood_or_refused(data: bytes) -> None:
    try:
        parse_aac_config(data)
    except BadMedia:
        return
    assert len(data) >= 2


@given(st.binary(max_size=64))
def test_any_sound_entry_is_read_or_refused(data: bytes) -> None:
    raw = sound_entry()
    at = raw.index(b"esds") + 8
    damaged = raw[:at] + data[: len(raw) - at] + raw[at + len(data) :]
    try:
        found = read_sound_entry(damaged)
    except BadMedia:
        return
    assert found.kind == "mp4a"


def test_a_sound_entry_is_written_without_the_bitrates_of_its_clip() -> None:
    written = read_sound_entry(sound_entry()).to_bytes()

    assert read_sound_entry(written).aac == read_sound_entry(sound_entry()).aac
    assert read_sound_entry(written).to_bytes() == written


def test_a_picture_entry_is_written_as_it_was_but_for_its_bitrate() -> None:
    from media.boxes import box

    plain = video_entry(160, 96, box(b"pasp", b"\0\0\0\4\0\0\0\3"))
    rated = video_entry(160, 96, box(b"pasp", b"\0\0\0\4\0\0\0\3"), box(b"btrt", bytes(12)))

    assert read_video_entry(rated).to_bytes() == plain


units = st.binary(min_size=1, max_size=40)


@given(
    st.builds(
        AvcConfig,
        profile=st.integers(0, 255),
        compatibility=st.integers(0, 255),
        level=st.integers(0, 255),
        length_size=st.sampled_from([1, 2, 4]),
        sequence_sets=st.lists(units, max_size=31).map(tuple),
        picture_sets=st.lists(units, max_size=40).map(tuple),
        tail=st.binary(max_size=8),
    )
)
def test_a_picture_configuration_that_was_written_reads_back_the_same(config: AvcConfig) -> None:
    assert parse_avc_config(config.to_bytes()) == config


@given(st.binary(max_size=60))
def test_any_picture_configuration_is_read_or_refused(data: bytes) -> None:
    try:
        config = parse_avc_config(data)
        clashes(config, config)
    except BadMedia:
        return
    assert data[0] == 1


def with_id(number: int, extra: bytes = b"") -> AvcConfig:
    """The configuration of a clip whose parameter sets have this id, up to 6."""
    code = f"{number + 1:b}"
    bits = "0" * (len(code) - 1) + code
    coded = int(bits.ljust(8, "1"), 2).to_bytes(1, "big")
    return AvcConfig(100, 0, 31, 4, (b"\x67\x64\0\x1f" + coded + extra,), (b"\x68" + coded + extra,), b"")


def test_equal_sets_do_not_clash_and_are_listed_once() -> None:
    assert clashes(with_id(0), with_id(0)) == []
    assert merge([with_id(0), with_id(0)]) == with_id(0)


def test_different_sets_of_one_id_clash() -> None:
    assert clashes(with_id(2), with_id(2, b"x")) == [
        "sequence parameter sets: different ones under the same id",
        "picture parameter sets: different ones under the same id",
    ]


@pytest.mark.parametrize("other", range(1, 7))
def test_different_ids_live_together(other: int) -> None:
    merged = merge([with_id(0), with_id(other)])

    assert clashes(with_id(0), with_id(other)) == []
    assert used_ids(merged) == {0, other}


def test_more_sets_than_an_entry_can_list_are_refused() -> None:
    many = [with_id(0, bytes([i])) for i in range(32)]

    with pytest.raises(StitchFailed, match="32 different"):
        merge(many)


def test_the_configuration_of_a_real_encoder_is_read() -> None:
    config = parse_avc_config(AVCC)

    assert (config.profile_name, config.level, used_ids(config)) == ("High", 12, {0})
