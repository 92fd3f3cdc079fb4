"""Orientation by fit: where a clip of another shape stands in the film, to two pixels, and what of it is cut."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from events.plan import Fit, Orientation
from tests.gpu_job.bench import Bench, run

#: The clips by how they lie: the first is the one that is seen for longest.
SIZES = {"landscape": (160, 96), "portrait": (96, 170), "square": (120, 120), "odd": (151, 83)}
FRAMES = {"landscape": 6, "portrait": 3, "square": 3, "odd": 3}
#: What the film measures by the orientation that was asked for: that of the clips that lie so.
FILM_SIZES = {
    Orientation.SOURCE: (160, 96),
    Orientation.LANDSCAPE: (160, 96),
    Orientation.PORTRAIT: (96, 170),
    Orientation.SQUARE: (120, 120),
}
#: Luma rises from left to right, one colour from top to bottom, so that each pixel says where it was.
RAMP = "geq=lum='60+150*X/(W-1)':cb='60+130*Y/(H-1)':cr=128"
_DARK = 24
#: Sides are even and begin at even places, since colour stands for 2 x 2 pixels.
_OFF_PX = 2
Plane = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory, ffmpeg_program: str) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("ramps"), {}
    for name, (width, height) in SIZES.items():
        made[name] = folder / f"{name}.mp4"
        # Odd sides need a colour for every pixel.
        pixels = "yuv444p" if name == "odd" else "yuv420p"
        source = f"color=gray:size={width}x{height}:rate=24,format=yuv444p,{RAMP},format={pixels}"
        coded = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-bf", "0"]
        run(ffmpeg_program, "-f", "lavfi", "-i", source, "-frames:v", str(FRAMES[name]), *coded, str(made[name]))
    return made


def planes(path: Path) -> list[tuple[Plane, Plane]]:
    """Give luma and the first colour of every frame."""
    found = []
    with av.open(str(path)) as opened:
        for frame in opened.decode(video=0):
            two = []
            for plane, shrink in zip(frame.planes[:2], (1, 2), strict=True):
                lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                two.append(lines[: frame.height // shrink, : frame.width // shrink])
            found.append((two[0], two[1]))
    return found


def inside(size: tuple[int, int], film: tuple[int, int], fit: Fit) -> tuple[float, float]:
    """Give the width and height that the whole clip has in the film, beyond its edges where it is cut."""
    choose = max if fit is Fit.CROP else min
    scale = choose(Fraction(film[0], size[0]), Fraction(film[1], size[1]))
    return float(size[0] * scale), float(size[1] * scale)


@pytest.mark.parametrize("orientation", list(Orientation))
@pytest.mark.parametrize("fit", list(Fit))
def test_every_clip_stands_in_the_middle_whole_or_cut_alike_on_both_sides(
    bench: Bench, ramps: dict[str, Path], orientation: Orientation, fit: Fit
) -> None:
    report = bench.stitch(bench.plan(*ramps.values(), orientation=orientation, fit=fit))

    film = FILM_SIZES[orientation]
    assert (report.width_px, report.height_px) == film
    assert film[0] % 2 == film[1] % 2 == 0
    shown = planes(bench.film)
    assert len(shown) == sum(FRAMES.values())
    at = 0
    for name, size in SIZES.items():
        check(*shown[at + 1], inside(size, film, fit), film, fit, name)
        at += FRAMES[name]


def check(luma: Plane, colour: Plane, whole: tuple[float, float], film: tuple[int, int], fit: Fit, name: str) -> None:
    (width, height), (left, top) = whole, ((film[0] - whole[0]) / 2, (film[1] - whole[1]) / 2)
    # Where each side begins and ends that is seen of the clip itself.
    xs, ys = (max(0.0, left), min(film[0], left + width)), (max(0.0, top), min(film[1], top + height))
    row, column = luma[film[1] // 2].astype(float), colour[:, film[0] // 4].astype(float)
    for x in (xs[0] + 4, film[0] / 2, xs[1] - 5):
        assert row[round(x)] == pytest.approx(60 + 150 * (x - left) / width, abs=2 + _OFF_PX * 150 / width), (name, x)
    for y in (ys[0] + 4, film[1] / 2, ys[1] - 5):
        assert column[round(y / 2)] == pytest.approx(
            60 + 130 * (y - top) / height, abs=2 + 2 * _OFF_PX * 130 / height
        ), (name, y)
    bars = [luma[:, : max(0, int(xs[0]) - 2)], luma[:, int(xs[1]) + 3 :]]
    bars += [luma[: max(0, int(ys[0]) - 2)], luma[int(ys[1]) + 3 :]]
    for bar in (each for each in bars if each.size):
        assert (bar.max() < _DARK) == (fit is Fit.PAD), name
        assert (bar.min() > _DARK) == (fit is not Fit.PAD), name
