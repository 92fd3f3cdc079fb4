"""Fonts: what they have, what is done where they have nothing, and that every character leaves ink."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import RenderFailed
from media.cards import fonts as card_fonts
from media.cards.cmap import CharacterMap, read_character_map
from media.cards.faces import Faces, digits_coverage
from media.cards.fonts import DIGITS_FONT, TEXT_FONTS, bundled_face
from media.cards.script import clean, clusters
from tests.media.card_fixtures import PROMPTS, bundled_faces

FONT_FOLDER = Path(card_fonts.__file__).with_name("fonts")
#: A letter of cuneiform: in none of the bundled fonts.
NO_FONT_HAS = "\U00012000"


def test_the_bundled_fonts_are_small_and_each_comes_with_its_licence() -> None:
    names = {path.name for path in FONT_FOLDER.iterdir()}

    assert sum(path.stat().st_size for path in FONT_FOLDER.iterdir()) < 2_000_000
    assert {*TEXT_FONTS, DIGITS_FONT} <= names
    readme = (FONT_FOLDER / "README.md").read_text("utf-8")
    for name in names - {"README.md"}:
        assert name in readme


@pytest.mark.parametrize(
    "text", ["Åßőưћ", "Ωμέγα", "Жђїў", "אבגש", "مرحبا", "日本語の港湖", "中国电影", "€→✓♪", "🚀🔥✨🎬👍"]
)
def test_the_bundled_fonts_have_the_writings_that_the_readme_names(text: str) -> None:
    faces = bundled_faces()

    assert [cluster for cluster in clusters(text) if faces.face_of(cluster) is None] == []


@given(st.characters(codec="utf-8", exclude_categories=["Cs"]))
def test_every_character_leaves_ink_or_a_box_unless_it_is_blank_or_dropped(character: str) -> None:
    text = clean(f"a{character}b")

    widths = [bundled_faces().width_em(part) for part in clusters(text)]

    assert all(width >= 0 for width in widths)
    coverage, _, _ = bundled_faces().coverage(text, 20)
    assert coverage.any()


@given(st.text(max_size=40))
def test_any_text_can_be_drawn_with_and_without_a_shaping_engine(text: str) -> None:
    line = clean(text).replace("\n", " ")

    for shaping in (None, False):
        coverage, left, baseline = Faces((), shaping=shaping).coverage(line, 16)
        assert 0 < left < coverage.shape[1]
        assert 0 < baseline < coverage.shape[0]


def test_a_character_that_no_font_has_is_one_box_wide() -> None:
    faces = bundled_faces()

    assert faces.face_of(NO_FONT_HAS) is None
    assert faces.width_em(NO_FONT_HAS * 3) == pytest.approx(3 * faces.width_em(NO_FONT_HAS))
    coverage, _, _ = faces.coverage(NO_FONT_HAS, 40)
    inside = coverage[coverage.shape[0] // 2, coverage.shape[1] // 2]
    assert coverage.max() == 255
    assert inside == 0


def test_a_flag_that_no_font_has_is_spelled_and_a_fancy_letter_is_made_plain() -> None:
    faces = bundled_faces()

    assert faces.width_em("🇩🇪") == pytest.approx(faces.width_em("DE"), abs=0.1)
    assert faces.face_of("\U0001f150") is not None or faces.width_em("\U0001f150") > 0


def test_arabic_without_a_shaping_engine_is_joined_and_stands_from_right_to_left() -> None:
    shaped, plain = Faces(()), Faces((), shaping=False)

    with_engine = shaped.coverage("سلام", 60, right_to_left=True)[0]
    without = plain.coverage("سلام", 60, right_to_left=True)[0]

    if with_engine.shape == without.shape:
        difference = abs(with_engine.astype(int) - without.astype(int)).mean()
        assert difference < 0.35 * with_engine.mean()
    assert shaped.width_em("سلام") == pytest.approx(plain.width_em("سلام"), rel=0.1)


def test_a_line_is_as_wide_as_the_sum_of_its_words() -> None:
    faces = bundled_faces()
    words = PROMPTS["usual"].split(" ")

    total = sum(faces.width_em(word) for word in words) + (len(words) - 1) * faces.width_em(" ")

    assert faces.width_em(PROMPTS["usual"]) == pytest.approx(total, rel=0.012)


@pytest.mark.parametrize("size", [7, 12, 20, 48, 100])
@pytest.mark.parametrize("name", ["usual", "arabic", "japanese", "long words"])
def test_what_is_drawn_is_as_wide_as_was_measured(name: str, size: int) -> None:
    faces = bundled_faces()
    coverage, left, _ = faces.coverage(PROMPTS[name], size)

    columns = coverage.any(axis=0).nonzero()[0]

    assert columns[-1] - left <= faces.width_em(PROMPTS[name]) * size * 1.012 + 2
    assert columns[0] >= left - max(2, size * 0.1)


def balinese_font(path: Path) -> Path:
    """Write a font that has the ten characters from U+1B05 on, and only those: the digits' font, told otherwise."""
    data = bytearray((FONT_FOLDER / DIGITS_FONT).read_bytes())
    digits, first = data.find(struct.pack(">HHH", 0x39, 0xFFFF, 0)), 0x1B05
    assert digits > 0
    segments = digits  # endCode[2], reservedPad, startCode[2], idDelta[2]
    (delta,) = struct.unpack_from(">H", data, segments + 10)
    struct.pack_into(">H", data, segments, first + 9)
    struct.pack_into(">H", data, segments + 6, first)
    struct.pack_into(">H", data, segments + 10, (delta + 0x30 - first) & 0xFFFF)
    path.write_bytes(data)
    return path


def test_a_system_font_is_used_only_for_what_the_bundled_ones_lack(tmp_path: Path) -> None:
    font = balinese_font(tmp_path / "NotoSansBalinese.ttf")
    faces = Faces([tmp_path])

    latin, balinese = faces.face_of("a"), faces.face_of("\u1b05")

    assert latin is not None
    assert latin.path.parent == FONT_FOLDER
    assert balinese is not None
    assert balinese.path == font
    assert faces.coverage("\u1b05", 40)[0].any()
    assert faces.face_of(NO_FONT_HAS) is None


def test_a_broken_font_of_the_system_is_passed_over(tmp_path: Path) -> None:
    whole = (FONT_FOLDER / TEXT_FONTS[2]).read_bytes()
    (tmp_path / "a.ttf").write_bytes(b"not a font")
    (tmp_path / "b.ttf").write_bytes(whole[:4000])
    (tmp_path / "c.otf").write_bytes(b"")
    (tmp_path / "d.ttf").symlink_to(tmp_path / "nowhere.ttf")

    assert Faces([tmp_path]).face_of(NO_FONT_HAS) is None


def test_a_missing_bundled_font_says_to_reinstall() -> None:
    with pytest.raises(RenderFailed, match="reinstall"):
        bundled_face("NoSuchFont.ttf")


@given(st.binary(max_size=200))
def test_any_bytes_as_a_cmap_are_read_or_refused(data: bytes) -> None:
    try:
        found = CharacterMap(data)
    except ValueError:
        return
    assert ("a" in found) in {True, False}


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_font_file_is_read_or_refused(position: int, value: int) -> None:
    damaged = bytearray((FONT_FOLDER / DIGITS_FONT).read_bytes())
    damaged[position] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged.otf")
        path.write_bytes(damaged)
        try:
            found = read_character_map(path)
        except ValueError:
            return
    assert ("5" in found) in {True, False}


@pytest.mark.parametrize("number", [1, 8, 10, 123, 98765])
def test_a_scene_number_is_trimmed_to_its_ink(number: int) -> None:
    coverage = digits_coverage(number, 80)

    assert coverage[0].any()
    assert coverage[-1].any()
    assert coverage[:, 0].any()
    assert coverage[:, -1].any()


def test_a_user_without_a_home_has_the_fonts_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)

    assert card_fonts.system_font_folders() != []
