"""The clip itself: exact lengths, cards that join, the same bytes each time, clean ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InvalidRequest, RenderFailed
from media.cards.card import Card, frame_count, render_card, spoken_length
from media.cards.clip import h264_level
from media.cards.sound import tone
from media.conform import mergeable
from media.probe import probe
from media.reader import BytesReader
from tests.media.card_fixtures import PROMPTS, Film, card, rendered

RATES = [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)]
RATES_OF_OTHERS = [Fraction(60000, 1001), Fraction(12), Fraction(25, 2), Fraction(7), Fraction(2997, 25)]


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """Cards of one size and rate that differ in everything else."""
    folder = tmp_path_factory.mktemp("cards")
    return {
        "first": rendered(folder, card(PROMPTS["usual"], scene=1)),
        "second": rendered(folder, card(PROMPTS["arabic"], scene=2, seed=99), ms=1700),
        "long": rendered(folder, card(PROMPTS["4000"], scene=3, title=""), ms=2600),
        "shortest": rendered(folder, card(PROMPTS["emoji"], scene=4), ms=170),
    }


@settings(max_examples=12)
@given(ms=st.integers(1, 1500), rate=st.sampled_from(RATES + RATES_OF_OTHERS))
def test_a_card_has_exactly_the_frames_and_the_length_that_were_asked_for(
    tmp_path_factory: pytest.TempPathFactory, ms: int, rate: Fraction
) -> None:
    film = rendered(tmp_path_factory.mktemp("exact"), card(), width=64, height=64, rate=rate, ms=ms)

    frames = max(1, round(Fraction(ms, 1000) * rate))
    assert len(film.luma) == frames
    assert film.picture_seconds == frames / rate
    assert abs(film.sound_seconds - film.picture_seconds) < Fraction(1, 1000)
    facts = probe(BytesReader(film.data), "the card")
    assert facts.obstacles == []
    assert facts.frame_count == frames
    assert facts.frame_rate == f"{rate.numerator}/{rate.denominator}"


@given(st.integers(1, 3_600_000), st.sampled_from(RATES))
def test_a_length_is_rounded_to_the_nearest_frame(ms: int, rate: Fraction) -> None:
    off = abs(frame_count(ms, rate) / rate - Fraction(ms, 1000))

    assert off <= 1 / rate / 2 or frame_count(ms, rate) == 1


def test_cards_of_one_size_can_be_joined_without_encoding(films: dict[str, Film]) -> None:
    assert len({film.picture_parameters for film in films.values()}) == 1
    assert len({film.sound_parameters for film in films.values()}) == 1
    facts = [probe(BytesReader(film.data), name) for name, film in films.items()]
    assert all(fact.obstacles == [] for fact in facts)
    assert all(mergeable(fact, other) == [] for fact in facts for other in facts)


def test_picture_and_sound_both_start_at_zero_with_the_priming_hidden(films: dict[str, Film]) -> None:
    for film in films.values():
        assert film.picture_start == 0
        assert film.sound_start == 0
        assert film.key_frames[0] == 0


def test_the_sound_that_is_heard_is_the_tone_to_the_sample(films: dict[str, Film]) -> None:
    """Priming that an edit list does not hide would shift it by 1024 samples, and a player would drift at each join."""
    heard = films["long"].sound[0]
    meant = tone(3, 7, first_sample=0, sample_count=heard.size, total_samples=124_000)[0]

    assert np.corrcoef(heard, meant)[0, 1] > 0.99
    assert np.corrcoef(heard[1024:], meant[:-1024])[0, 1] < 0.9


def test_a_key_frame_stands_every_two_seconds(films: dict[str, Film]) -> None:
    assert films["long"].key_frames == (0, 24)


def test_the_index_stands_before_the_media_and_holds_no_clock(films: dict[str, Film]) -> None:
    for film in films.values():
        assert film.data.index(b"moov") < film.data.index(b"mdat")
        header = film.data.index(b"mvhd")
        assert film.data[header + 8 : header + 16] == bytes(8)


def test_the_picture_moves_and_the_type_comes_in(films: dict[str, Film]) -> None:
    luma = films["long"].luma

    assert np.abs(luma[0] - luma[len(luma) // 2]).mean() > 1
    assert np.abs(luma[len(luma) // 2] - luma[-1]).mean() > 0.1


def test_each_scene_has_a_colour_of_its_own(films: dict[str, Film]) -> None:
    first, second, third = (films[name].mean_rgb for name in ("first", "second", "long"))

    assert np.abs(first - second).max() > 10
    assert np.abs(second - third).max() > 10


def test_the_tone_is_quiet_and_present(films: dict[str, Film]) -> None:
    rest = films["long"].sound[:, 30_000:90_000]

    level = 20 * np.log10(np.sqrt(np.mean(np.square(rest))))
    assert -32 < level < -28
    assert np.abs(films["long"].sound).max() < 0.1


def test_the_same_card_gives_the_same_bytes(tmp_path: Path, films: dict[str, Film]) -> None:
    again = rendered(tmp_path, card(PROMPTS["usual"], scene=1))

    assert again.data == films["first"].data


def test_progress_is_told_every_twelve_frames_and_at_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    rate = Fraction(30)
    render_card(
        card(),
        tmp_path / "c.mp4",
        width_px=64,
        height_px=64,
        frame_rate=rate,
        duration_ms=1000,
        on_progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(12, 30), (24, 30), (30, 30)]


class Stopped(Exception):
    """What the caller of a test raises."""


@pytest.mark.parametrize("error", [Stopped("enough"), OSError(28, "ours, not the encoder's"), KeyboardInterrupt()])
def test_what_progress_raises_ends_the_work_and_leaves_no_file(tmp_path: Path, error: BaseException) -> None:
    def stop(done: int, total: int) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        _render(tmp_path / "c.mp4", stop)

    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderFailed, match=r"nowhere/c\.mp4: its folder does not exist") as caught:
        _render(tmp_path / "nowhere" / "c.mp4")

    assert not caught.value.retryable


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_says_to_free_some_space(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    path.symlink_to("/dev/full")

    with pytest.raises(RenderFailed, match="free some space") as caught:
        _render(path)

    assert not caught.value.retryable
    assert Path("/dev/full").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(RenderFailed, match="may not be written"):
        _render(tmp_path / "c.mp4")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width_px": 63}, "widthPx"),
        ({"height_px": 65}, "heightPx"),
        ({"width_px": 10_000}, "widthPx"),
        ({"frame_rate": Fraction(0)}, "frameRate"),
        ({"frame_rate": Fraction(1000)}, "frameRate"),
        ({"duration_ms": 0}, "durationMs"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 4001}, "prompt"),
        ({"scene_number": 0}, "sceneNumber"),
        ({"scene_number": 13}, "sceneNumber"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(tmp_path: Path, change: dict[str, object], field: str) -> None:
    of_card: dict[str, object] = {"scene_number": 1, "scene_count": 12, "prompt": "a", "title": "", "seed": 1}
    of_clip: dict[str, object] = {"width_px": 64, "height_px": 64, "frame_rate": Fraction(24), "duration_ms": 1000}
    for name, value in change.items():
        (of_card if name in of_card else of_clip)[name] = value

    with pytest.raises(InvalidRequest) as caught:
        render_card(Card(**of_card), tmp_path / "c.mp4", **of_clip)  # type: ignore[arg-type] # wrong on purpose

    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "rate", "level"),
    [
        ((320, 180), 24, "3.0"),
        ((1280, 720), 24, "3.1"),
        ((1280, 720), 60, "4.0"),
        ((1920, 1080), 24, "4.0"),
        ((1080, 1920), 60, "4.2"),
        ((3840, 2160), 30, "5.1"),
        ((3840, 2160), 60, "5.2"),
        ((7680, 4320), 24, "6.0"),
    ],
)
def test_the_level_is_the_lowest_that_holds_the_picture(size: tuple[int, int], rate: int, level: str) -> None:
    assert h264_level(*size, Fraction(rate)) == level


def test_a_picture_beyond_every_level_is_refused_in_words() -> None:
    with pytest.raises(RenderFailed, match="choose a smaller size or rate"):
        h264_level(8192, 8192, Fraction(120))


@pytest.mark.parametrize(
    ("ms", "text"),
    [(5000, "5 s"), (5005, "5 s"), (2500, "2.5 s"), (1, "0.1 s"), (65_000, "1 min 5 s"), (59_990, "1 min 0 s")],
)
def test_a_length_is_said_as_a_person_would(ms: int, text: str) -> None:
    assert spoken_length(ms) == text


def _render(path: Path, on_progress: Callable[[int, int], None] | None = None) -> None:
    render_card(
        card(),
        path,
        width_px=64,
        height_px=64,
        frame_rate=Fraction(24),
        duration_ms=1000,
        on_progress=on_progress,
    )
