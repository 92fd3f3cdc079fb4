"""Type for the cards: which font draws which character, how wide a text is, and its picture as coverage.

The only file that imports Pillow. The fonts in `fonts/` come first; a system font is looked for only when a
character is in none of them, and a character that no font has is drawn as one neat box.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from events.errors import RenderFailed
from media.cards.arabic import joined
from media.cards.fonts import (
    DIGITS_FONT,
    TEXT_FONTS,
    Face,
    bundled_face,
    system_face,
    system_font_folders,
    system_fonts,
)
from media.cards.script import Stretch, clusters, visual_stretches

#: Size at which text is measured, in pixels: large enough that hinting moves no width by more than half a percent.
_REFERENCE_PX = 128
#: Type smaller than this is drawn larger and reduced: shapes and gaps then are true at every size.
_DRAWN_PX_MIN = 80
#: Width and height of the box that stands for a character no font has, in em.
_BOX_EM, _BOX_HEIGHT_EM = 0.66, 0.72
#: Room around a line for what reaches over its own width and height (italics, stacked marks), in em.
_PAD_EM = 0.3
ASCENT_EM, DESCENT_EM = 0.98, 0.32


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring clusters, left to right on the page, drawn with one face in one direction; None draws boxes."""

    face: Face | None
    clusters: tuple[str, ...]
    right_to_left: bool


class Faces:
    """The fonts of one card.

    Args:
        fallback_folders: where to look for a font when the bundled ones lack a character; None means the usual
            folders of this system.
        shaping: whether Raqm lays text out; None means where Pillow has it.
    """

    def __init__(self, fallback_folders: Sequence[Path] | None = None, *, shaping: bool | None = None) -> None:
        self._bundled = [bundled_face(name) for name in TEXT_FONTS]
        self._folders = tuple(system_font_folders() if fallback_folders is None else fallback_folders)
        self._shaping = _raqm_is_here() if shaping is None else shaping
        self._face_of: dict[str, Face | None] = {}
        self._widths: dict[str, float] = {}

    def face_of(self, cluster: str) -> Face | None:
        """Give the face that draws this cluster; None where no font has it."""
        if cluster not in self._face_of:
            bundled = next((face for face in self._bundled if face.has(cluster)), None)
            self._face_of[cluster] = bundled or self._system_face(cluster)
        return self._face_of[cluster]

    def _system_face(self, cluster: str) -> Face | None:
        for path in system_fonts(self._folders):
            face = system_face(path)
            if face is not None and face.has(cluster) and _opens(path, self._shaping):
                return face
        return None

    def width_em(self, text: str) -> float:
        """Give the advance width of one line of text in em: times the size, it is pixels."""
        if text not in self._widths:
            runs = self.runs(text, right_to_left=False)
            self._widths[text] = sum(self._run_width(run, _REFERENCE_PX) for run in runs) / _REFERENCE_PX
        return self._widths[text]

    def runs(self, text: str, *, right_to_left: bool) -> list[Run]:
        """Give the runs of one line from left to right on the page.

        Args:
            text: one line.
            right_to_left: the direction of its paragraph.
        """
        found: list[Run] = []
        for stretch in visual_stretches(text, right_to_left=right_to_left):
            runs = list(self._runs_of(stretch))
            found += reversed(runs) if stretch.right_to_left else runs
        return found

    def _runs_of(self, stretch: Stretch) -> Iterator[Run]:
        pending: list[str] = []
        face: Face | None = None
        for cluster in self._spelled(stretch.clusters):
            wanted = self.face_of(cluster)
            # A space stays with the run that it ends: it must not cut Arabic from its neighbours.
            if pending and cluster in " \u00a0" and face is not None and face.has(cluster):
                wanted = face
            if pending and wanted is not face:
                yield Run(face, tuple(pending), stretch.right_to_left)
                pending = []
            face = wanted
            pending.append(cluster)
        if pending:
            yield Run(face, tuple(pending), stretch.right_to_left)

    def _spelled(self, found: tuple[str, ...]) -> Iterator[str]:
        """Give the clusters; one that no font has is spelled in plainer characters if these exist and can be drawn."""
        for cluster in found:
            plainer = _plainer(cluster) if self.face_of(cluster) is None else cluster
            parts = clusters(plainer)
            if plainer != cluster and all(self.face_of(part) for part in parts):
                yield from parts
            else:
                yield cluster

    def _run_width(self, run: Run, size_px: int) -> float:
        if run.face is None:
            return len(run.clusters) * _BOX_EM * size_px
        text, options = self._laid_out(run)
        return float(_font(run.face.path, size_px, self._shaping).getlength(text, **options))

    def _laid_out(self, run: Run) -> tuple[str, dict[str, Any]]:
        """Give a run's text as Pillow wants it, with its options."""
        assert run.face is not None, "boxes have no text"
        face = run.face
        if self._shaping:
            text = "".join(face.drawable(cluster) for cluster in run.clusters)
            return text, {"direction": "rtl" if run.right_to_left else "ltr"}
        found = list(run.clusters)
        if run.right_to_left:
            shaped = joined(run.clusters)
            found = shaped if all(face.has(cluster) for cluster in shaped) else found
            found.reverse()
        return "".join(face.drawable(cluster) for cluster in found), {}

    def coverage(self, text: str, size_px: int, *, right_to_left: bool = False) -> tuple[Any, int, int]:
        """Draw one line.

        Args:
            text: one line.
            size_px: its em.
            right_to_left: the direction of its paragraph.

        Returns:
            Coverage 0..255 as a uint8 array (rows, columns), and the column and the row in it of the line's origin
            (left end of the baseline).
        """
        return _reduced_drawing(self, self.runs(text, right_to_left=right_to_left), size_px)


def digits_coverage(number: int, size_px: int) -> Any:
    """Draw a number in the light face of digits; give its coverage, trimmed to its ink."""
    run = Run(bundled_face(DIGITS_FONT), tuple(str(number)), right_to_left=False)
    coverage, _, _ = _reduced_drawing(Faces(()), [run], size_px)
    rows, columns = coverage.any(axis=1).nonzero()[0], coverage.any(axis=0).nonzero()[0]
    return coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _reduced_drawing(faces: Faces, runs: Sequence[Run], size_px: int) -> tuple[Any, int, int]:
    import numpy as np
    from PIL import Image, ImageDraw

    times = max(1, math.ceil(_DRAWN_PX_MIN / size_px))
    drawn_px = size_px * times
    widths = [faces._run_width(run, drawn_px) for run in runs]
    pad = math.ceil(size_px * _PAD_EM)
    columns = math.ceil(sum(widths) / times) + 2 * pad
    baseline = math.ceil(size_px * ASCENT_EM) + pad
    rows = baseline + math.ceil(size_px * DESCENT_EM) + pad
    image = Image.new("L", (columns * times, rows * times), 0)
    draw = ImageDraw.Draw(image)
    x = float(pad * times)
    for run, width in zip(runs, widths, strict=True):
        if run.face is None:
            _draw_boxes(draw, len(run.clusters), x, baseline * times, drawn_px)
        else:
            text, options = faces._laid_out(run)
            font = _font(run.face.path, drawn_px, faces._shaping)
            draw.text((x, baseline * times), text, fill=255, font=font, anchor="ls", **options)
        x += width
    return np.asarray(image.reduce(times) if times > 1 else image), pad, baseline


def _draw_boxes(draw: Any, count: int, x: float, baseline: int, size_px: int) -> None:
    stroke = max(1, round(size_px * 0.05))
    for index in range(count):
        left = x + (index + 0.08) * _BOX_EM * size_px
        right = x + (index + 0.92) * _BOX_EM * size_px
        box = (left, baseline - _BOX_HEIGHT_EM * size_px, right, baseline)
        draw.rounded_rectangle(box, radius=size_px * 0.09, outline=255, width=stroke)


def _plainer(cluster: str) -> str:
    letters = (chr(ord(c) - 0x1F1E6 + ord("A")) if "\U0001f1e6" <= c <= "\U0001f1ff" else c for c in cluster)
    return unicodedata.normalize("NFKC", "".join(letters))


@cache
def _raqm_is_here() -> bool:
    from PIL import features

    return bool(features.check("raqm"))


@cache
def _opens(path: Path, shaping: bool) -> bool:
    """Tell whether the font can be drawn with; one that cannot is passed over, which is no error of this card."""
    try:
        _font(path, _REFERENCE_PX, shaping)
    except RenderFailed:
        return False
    return True


@lru_cache(maxsize=64)
def _font(path: Path, size_px: int, shaping: bool) -> Any:
    from PIL import ImageFont

    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    try:
        return ImageFont.truetype(path, size_px, layout_engine=engine)
    except OSError as exc:
        raise RenderFailed(f"draw a storyboard card: the font {path} cannot be opened; remove or reinstall it") from exc
