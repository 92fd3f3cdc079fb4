"""Which font file has which character: the bundled ones first, then the system's, searched only when needed.

It opens files to read their tables and draws nothing; `faces.py` draws.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from events.errors import RenderFailed
from media.cards.cmap import CharacterMap, read_character_map

_FONT_FOLDER = Path(__file__).with_name("fonts")
TEXT_FONTS = (
    "InterDisplay-Medium.otf",
    "DejaVuSans-unhinted.ttf",
    "DroidSansFallback-subset.ttf",
    "Symbola-subset.ttf",
)
#: The light face of the scene's number; it has digits only.
DIGITS_FONT = "InterDisplay-Light-digits.otf"
#: A machine with more font files than this is searched no further.
_SYSTEM_FONTS_MAX = 4000
_LESS_WANTED = ("bold", "italic", "oblique", "black", "heavy", "light", "thin", "condensed", "mono", "serif", "display")
#: Faces of coloured pictures, which have no outlines, and Apple's face of placeholders for everything.
_UNUSABLE = ("color", "colour", "lastresort")


@dataclass(frozen=True, slots=True)
class Face:
    """One font that can be drawn with."""

    path: Path
    characters: CharacterMap

    def has(self, cluster: str) -> bool:
        """Tell whether it has every character of the cluster that must be seen."""
        return all(character in self.characters for character in cluster if not _may_be_left_out(character))

    def drawable(self, cluster: str) -> str:
        """Give the cluster without the joiners and selectors that this font does not know."""
        return "".join(character for character in cluster if character in self.characters)


def system_font_folders() -> list[Path]:
    """Give the folders in which fontconfig, macOS and Windows keep fonts, without reading the environment."""
    if sys.platform == "darwin":
        shared, own = ("/System/Library/Fonts", "/Library/Fonts"), ("Library/Fonts",)
    elif sys.platform == "win32":
        shared, own = ("C:/Windows/Fonts",), ("AppData/Local/Microsoft/Windows/Fonts",)
    else:
        shared, own = ("/usr/share/fonts", "/usr/local/share/fonts"), (".local/share/fonts", ".fonts")
    try:
        home = Path.home()
    except RuntimeError:  # a container's user need not have one
        return [Path(folder) for folder in shared]
    return [*(Path(folder) for folder in shared), *(home / folder for folder in own)]


@cache
def bundled_face(name: str) -> Face:
    """Give a face of the folder `fonts`.

    Raises:
        RenderFailed: its file is missing or broken.
    """
    path = _FONT_FOLDER / name
    try:
        return Face(path, read_character_map(path))
    except (OSError, ValueError) as exc:
        raise RenderFailed(f"draw a storyboard card: its font {name} is missing or broken; reinstall Longreel") from exc


@cache
def system_face(path: Path) -> Face | None:
    """Give the face of a file of the system; None for one that we cannot use, which is no error of this card."""
    try:
        return Face(path, read_character_map(path))
    except (OSError, ValueError):
        return None


@cache
def system_fonts(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Give the font files under the folders, upright regular faces and Noto first."""
    found: list[Path] = []
    for folder in folders:
        for path in folder.rglob("*"):
            name = path.name.lower()
            if path.suffix.lower() in {".ttf", ".otf", ".ttc"} and not any(word in name for word in _UNUSABLE):
                found.append(path)
            if len(found) >= _SYSTEM_FONTS_MAX:
                break
    return tuple(sorted(found, key=_preference))


def _preference(path: Path) -> tuple[int, int, str]:
    name = path.name.lower()
    return sum(word in name for word in _LESS_WANTED), int(not name.startswith("noto")), str(path)


def _may_be_left_out(character: str) -> bool:
    """Tell whether a cluster can be read without this character: joiners, variation selectors, tags, skin tones."""
    return (
        character in "\u200c\u200d"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )
