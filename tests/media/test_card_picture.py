"""Layout, colours and frames: everything inside its margins, readable, never quite still."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cards.colour import Colour, palette
from media.cards.layout import PREVIEW_NOTES, Box, Layout, lay_out
from media.cards.picture import Picture, Planes
from media.cards.script import clean
from tests.media.card_fixtures import LONG_PROMPT, PROMPTS, bundled_faces

SIZES = [(640, 360), (360, 640), (360, 360), (320, 180), (180, 320), (640, 480), (128, 72), (64, 64)]


def layout(prompt: str, size: tuple[int, int], *, title: str = "The Film", scene: int = 3, count: int = 12) -> Layout:
    return lay_out(
        bundled_faces(),
        prompt=prompt,
        title=title,
        scene_number=scene,
        scene_count=count,
        scene_label=f"Scene {scene} of {count} · 5 s",
        width_px=size[0],
        height_px=size[1],
    )


def ink_boxes(found: Layout, *names: str) -> list[Box]:
    """Give where there really is ink, of the inks of these names."""
    boxes = []
    for ink in found.inks:
        if ink.name in names and ink.coverage is not None and ink.coverage.any():
            rows, columns = ink.coverage.any(axis=1).nonzero()[0], ink.coverage.any(axis=0).nonzero()[0]
            left, top = ink.box.left + int(columns[0]), ink.box.top + int(rows[0])
            boxes.append(Box(left, top, int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1))
    return boxes


def meet(one: Box, other: Box) -> bool:
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PROMPTS)
def test_all_type_keeps_within_the_margins(name: str, size: tuple[int, int]) -> None:
    found = layout(PROMPTS[name], size)

    margin = round(min(size) * 0.075)
    slack = max(2, round(min(size) * 0.008))  # a comma or a curve may hang over by a hair
    for box in ink_boxes(found, "prompt", "title", "scene", "note", "number", "more"):
        assert box.left >= margin - slack
        assert box.right <= size[0] - margin + slack
        assert box.top >= margin - slack
        assert box.bottom <= size[1] - margin + slack


@pytest.mark.parametrize("size", SIZES[:6], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["short", "usual", "long words", "arabic", "4000", "one word"])
def test_nothing_stands_on_anything_else(name: str, size: tuple[int, int]) -> None:
    found = layout(PROMPTS[name], size, title=LONG_PROMPT[:200])

    groups = [[name] for name in ("title", "scene", "note", "number", "prompt", "more")]
    for one, other in itertools.combinations(groups, 2):
        for first, second in itertools.product(ink_boxes(found, *one), ink_boxes(found, *other)):
            assert not meet(first, second), (one, other)
    assert all(box.bottom <= found.progress.top for box in ink_boxes(found, "note", "scene", "prompt"))


@pytest.mark.parametrize("size", SIZES[:3], ids=lambda size: f"{size[0]}x{size[1]}")
def test_an_ordinary_prompt_is_shown_whole_and_large(size: tuple[int, int]) -> None:
    found = layout(PROMPTS["usual"], size)

    assert found.prompt.cut_characters == 0
    assert found.prompt.size_px >= 0.05 * min(size)
    assert " ".join(line.text for line in found.prompt.lines) == PROMPTS["usual"]


@pytest.mark.parametrize("size", SIZES[:3], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_prompt_of_1500_characters_is_shown_whole(size: tuple[int, int]) -> None:
    assert layout(LONG_PROMPT[:1500], size).prompt.cut_characters == 0


def test_a_prompt_that_is_cut_has_a_line_that_counts_what_is_left_out() -> None:
    found = layout(PROMPTS["4000"], (1280, 720))

    assert found.prompt.cut_characters > 0
    assert len(ink_boxes(found, "more")) == 1
    shown = sum(len(line.text) + len(line.ends_with) for line in found.prompt.lines) - 1
    assert shown + found.prompt.cut_characters == len(clean(PROMPTS["4000"]))


def test_every_card_says_that_nothing_was_paid_for() -> None:
    assert "nothing was generated or paid for" in PREVIEW_NOTES[0]
    for size in SIZES:
        assert len(ink_boxes(layout("a", size), "note")) == 1


def test_a_film_without_a_title_has_no_empty_line() -> None:
    assert ink_boxes(layout("a", (1280, 720), title=" "), "title") == []


def test_the_prompt_starts_at_the_same_place_in_every_scene_of_a_film() -> None:
    rooms = {layout("A boat.", (1280, 720), scene=scene, count=120).prompt_room for scene in (1, 11, 88, 120)}

    assert len(rooms) == 1


@given(st.integers(1, 10_000_000))
def test_a_number_of_any_length_keeps_its_column(scene: int) -> None:
    found = layout("A boat.", (640, 360), scene=scene, count=scene)

    (number,) = ink_boxes(found, "number")
    assert number.right < found.prompt_room.left


def luminance(colour: Colour) -> float:
    """Give the relative luminance of a grey of this luma: WCAG's measure, good enough for dark grounds."""
    share = min(1.0, max(0.0, (colour.y - 16) / 219))
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


@given(st.integers(1, 100_000), st.text(max_size=20))
def test_type_stands_out_from_the_ground_in_every_hue(scene: int, title: str) -> None:
    colours = palette(scene, title)

    # The lightest that a ground can become: the glow and all discs on its lighter tone. WCAG 2.2 asks 3 of large
    # type (the number) and 4.5 of small.
    ground = Colour(max(colours.upper.y, colours.glow.y) + 18, 128, 128)
    for ink, least in ((colours.text, 4.5), (colours.accent, 3)):
        assert (luminance(ink) + 0.05) / (luminance(ground) + 0.05) > least
    for tone in (colours.upper, colours.lower):
        assert (luminance(colours.text) + 0.05) / (luminance(tone) + 0.05) > 7


@given(st.integers(1, 100_000), st.text(max_size=20), st.integers(1, 4))
def test_scenes_near_each_other_have_colours_that_differ(scene: int, title: str, apart: int) -> None:
    one, other = palette(scene, title).upper, palette(scene + apart, title).upper

    assert abs(one.cb - other.cb) + abs(one.cr - other.cr) > 8


@given(st.integers(1, 100_000), st.text(max_size=20))
def test_every_colour_is_one_that_video_can_hold(scene: int, title: str) -> None:
    colours = palette(scene, title)

    for colour in (colours.upper, colours.lower, colours.glow, colours.accent, colours.text):
        assert 16 <= colour.y <= 235
        assert 16 <= colour.cb <= 240
        assert 16 <= colour.cr <= 240


def picture(size: tuple[int, int] = (320, 180), *, scene: int = 3, seed: int = 1, prompt: str = "A boat.") -> Picture:
    found = layout(prompt, size, scene=scene)
    colours = palette(scene, "The Film")
    return Picture(colours, found, seed=seed, width_px=size[0], height_px=size[1], entrance_frames=12)


def painted(of: Picture, frame: int, size: tuple[int, int] = (320, 180)) -> Any:
    half = (size[1] // 2, size[0] // 2)
    planes = Planes(np.zeros((size[1], size[0]), np.uint8), np.zeros(half, np.uint8), np.zeros(half, np.uint8))
    of.paint(planes, frame_index=frame, frame_count=120, seconds=frame / 24)
    return planes


def test_the_picture_moves_through_the_whole_clip() -> None:
    of = picture((640, 360))

    frames = [painted(of, frame, (640, 360)).y.astype(float) for frame in (24, 48, 72, 96, 119)]

    for one, other in itertools.pairwise(frames):
        assert np.abs(one - other).mean() > 0.2


def test_type_enters_within_the_entrance_and_then_stays() -> None:
    of = picture()
    levels = [painted(of, frame).y.max() for frame in (0, 3, 6, 12, 119)]

    plain = painted(of, 0).y[60:120]
    settled = painted(of, 12).y[60:120]
    assert plain.max() < 120
    assert settled.max() > 200
    assert levels == sorted(levels)


def test_the_progress_line_fills_from_left_to_right() -> None:
    of = picture()
    line = layout("A boat.", (320, 180)).progress

    def filled(frame: int) -> int:
        row = painted(of, frame).y[line.top, line.left : line.right]
        return int((row > 150).sum())

    widths = [filled(frame) for frame in (0, 30, 60, 90, 119)]
    assert widths == sorted(widths)
    assert widths[2] == pytest.approx(line.width / 2, abs=line.width * 0.03)
    assert widths[-1] == line.width


def test_luma_stays_within_what_video_may_use() -> None:
    for seed, frame in itertools.product(range(6), (0, 5, 12, 119)):
        planes = painted(picture(seed=seed, scene=seed + 1), frame)
        assert planes.y.min() >= 16
        assert planes.y.max() <= 235
        for chroma in (planes.cb, planes.cr):
            assert chroma.min() >= 64
            assert chroma.max() <= 192


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["short", "4000", "arabic", "no font", "blank"])
def test_any_prompt_can_be_painted_at_any_size(name: str, size: tuple[int, int]) -> None:
    of = picture(size, prompt=PROMPTS[name])

    for frame in (0, 4, 20):
        assert painted(of, frame, size).y.shape == (size[1], size[0])


def test_a_seed_places_the_lights() -> None:
    same, again, other = (painted(picture(seed=seed), 20).y for seed in (1, 1, 2))

    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)
