"""Numbers of loudness: what is read, what gain follows, and which plans need any of it."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.transcoder_rules import objection
from events.errors import StitchFailed
from events.plan import Loudness, StitchPlan
from media.loudness import (
    CEILING_DB,
    GAIN_DB_MAX,
    TARGET_LUFS,
    Measured,
    bed_for,
    gain_for,
    loudness_warnings,
    needs_sound_work,
    read_measured,
)
from media.target import everything_conforms
from tests.media.test_chapters import a_plan

SAID = [
    "[Parsed_loudnorm_0 @ 0x5] ",
    "{",
    '"input_i" : "-24.10",',
    '"input_tp" : "-3.25",',
    '"target_offset" : "0.1"',
    "}",
    "[out#0/null @ 0x5] video:0KiB audio:1KiB",
]


def test_what_ffmpeg_says_of_loudness_is_read_out_of_its_log() -> None:
    assert read_measured(SAID) == Measured(-24.1, -3.25)


def test_silence_has_no_loudness() -> None:
    found = read_measured(['{ "input_i" : "-inf", "input_tp" : "-inf" }'])

    assert found.is_silent
    assert found.centi_lufs is found.true_peak_centi_db is None


@pytest.mark.parametrize("said", [[], ["nothing of the kind"], ['{ "input_i" : "loud" }'], ["}{"], ["[1]"], ["{ 1 }"]])
def test_a_log_that_does_not_tell_the_loudness_is_an_error(said: list[str]) -> None:
    with pytest.raises(StitchFailed, match="did not tell"):
        read_measured(said)


@given(st.lists(st.text(max_size=60), max_size=6))
def test_whatever_a_log_says_is_read_or_refused(said: list[str]) -> None:
    with suppress(StitchFailed):
        assert not math.isnan(read_measured(said).lufs)


_LEVELS = st.floats(-69.9, 5)


@given(_LEVELS, _LEVELS)
def test_the_gain_leads_to_the_target_and_no_peak_goes_over_the_ceiling_unheld(lufs: float, peak: float) -> None:
    gain = gain_for(Measured(lufs, peak), Loudness.R128)

    assert gain.gain_db <= GAIN_DB_MAX
    assert lufs + gain.gain_db == pytest.approx(min(TARGET_LUFS, lufs + GAIN_DB_MAX))
    assert gain.limits_peaks == (peak + gain.gain_db > CEILING_DB)


@given(_LEVELS, _LEVELS)
def test_a_film_that_is_kept_as_loud_as_it_is_gets_no_gain(lufs: float, peak: float) -> None:
    assert gain_for(Measured(lufs, peak), Loudness.KEEP).gain_db == 0


def test_silence_is_not_made_louder() -> None:
    gain = gain_for(Measured(-math.inf, -math.inf), Loudness.R128)

    assert (gain.gain_db, gain.limits_peaks) == (0, False)


@given(_LEVELS, _LEVELS, st.integers(-60, 0))
def test_music_lies_so_many_decibels_under_the_film(film: float, music: float, music_db: int) -> None:
    bed = bed_for(Measured(film, 0), Measured(music, 0), music_db)

    assert music + bed.gain_db == pytest.approx(film + music_db)
    # What FFmpeg's `sidechaincompress` takes.
    assert 0.000976563 <= bed.threshold <= 1


@pytest.mark.parametrize("film", [None, Measured(-math.inf, -math.inf)])
def test_music_under_silence_is_as_loud_as_a_film_should_be(film: Measured | None) -> None:
    assert bed_for(film, Measured(-10, -1), -18).gain_db == pytest.approx(TARGET_LUFS + 10)


def test_a_film_that_could_not_be_made_loud_enough_says_so() -> None:
    plan = wishing(loudness=Loudness.R128)

    assert loudness_warnings(plan, Measured(-16.4, -3)) == []
    assert loudness_warnings(plan, Measured(-30.0, -3)) == [
        "The film is -30.0 LUFS loud instead of -16: its sound allows no more."
    ]
    assert loudness_warnings(wishing(), Measured(-30.0, -3)) == []


def wishing(**wishes: object) -> StitchPlan:
    return a_plan("a", "b").model_copy(update=wishes)


def test_a_plan_without_such_wishes_needs_no_work_on_its_sound() -> None:
    assert needs_sound_work(wishing()) is None


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"loudness": Loudness.R128}, "the film is to be as loud as others"),
        ({"music": "gs://b/m.mp3"}, "music is to play under the clips"),
    ],
)
def test_neither_a_splice_nor_the_transcoder_works_on_sound(wishes: dict[str, object], said: str) -> None:
    plan = wishing(**wishes)

    (reason,) = everything_conforms(plan)
    assert said in reason
    refused = objection(plan)
    assert refused is not None
    assert said in refused


def test_the_transcoder_makes_no_film_whose_joins_must_be_looked_at() -> None:
    refused = objection(wishing(fail_on_seams=True))

    assert refused is not None
    assert "joins" in refused
