"""The benchmark of the stitch: it runs, goes on where it was stopped, and sees what is wrong with a film."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from benchmarks.stitch_checks import Timeline, beep_after_flash, check
from benchmarks.stitch_compose import composed
from benchmarks.stitch_contenders import contenders
from benchmarks.stitch_copied import copied
from benchmarks.stitch_corpus import LOOKS, QUICK_SHAPES, SHAPES, Corpus, corpus_of
from benchmarks.stitch_quality import psnr, quality_of, ssim
from benchmarks.stitch_results import Results, ratio
from benchmarks.stitch_verdicts import verdicts
from benchmarks.stitch_watch import Seen, Watched, watch
from docs.figures_stitch import stitch_figures

ROOT = Path(__file__).parent.parent
SHAPE = replace(QUICK_SHAPES[0], clip_count=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    """Two clips that conform."""
    return corpus_of("conforming", SHAPE, folder, lambda text: None)


@pytest.fixture(scope="module")
def film(corpus: Corpus, folder: Path) -> Path:
    """They joined by ffmpeg's concat filter."""
    made = folder / "film.mp4"
    inputs = [word for path in corpus.paths for word in ("-i", str(path))]
    joined = ["-filter_complex", "concat=n=2:v=1:a=1", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs, *joined, str(made)], check=True)
    return made


@pytest.fixture(scope="module")
def watched(film: Path) -> Watched:
    return watch(film, keep_every=12)


def found_in(film: Watched, corpus: Corpus) -> Any:
    alone = [beep_after_flash(watch(path), clip) for clip, path in enumerate(corpus.paths)]
    assert all(apart is not None for apart in alone)
    return check(film, Timeline(corpus, Fraction(0)), [apart or Fraction(0) for apart in alone])


def test_a_film_of_all_frames_in_order_is_right(watched: Watched, corpus: Corpus) -> None:
    found = found_in(watched, corpus)

    assert (found.frames_right, found.frames_expected, found.frames_wrong) == (96, 96, 0)
    assert found.skew_ms is not None
    assert found.skew_ms < 5


def repeated(frames: list[Seen]) -> list[Seen]:
    return [*frames[:10], replace(frames[10], identity=frames[9].identity), *frames[11:]]


def swapped(frames: list[Seen]) -> list[Seen]:
    one, other = frames[20].identity, frames[21].identity
    return [*frames[:20], replace(frames[20], identity=other), replace(frames[21], identity=one), *frames[22:]]


def unreadable(frames: list[Seen]) -> list[Seen]:
    return [*frames[:5], replace(frames[5], identity=None), *frames[6:]]


def late(frames: list[Seen]) -> list[Seen]:
    return [*frames[:5], replace(frames[5], at=frames[5].at + Fraction(1, 100)), *frames[6:]]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (repeated, {"repeated": 1, "missing": 1}),
        (swapped, {"misplaced": 1}),
        (unreadable, {"unreadable": 1, "missing": 1}),
        (late, {"uneven": 2}),
        (lambda frames: frames[:-1], {"missing": 1}),
    ],
)
def test_a_film_with_a_fault_is_found_out(
    watched: Watched, corpus: Corpus, spoil: Callable[[list[Seen]], list[Seen]], what: dict[str, int]
) -> None:
    found = found_in(replace(watched, frames=spoil(watched.frames)), corpus)

    seen = {name: getattr(found, f"frames_{name}") for name in ("missing", "repeated", "misplaced", "unreadable")}
    assert {name: count for name, count in seen.items() if count} == {n: c for n, c in what.items() if n != "uneven"}
    assert found.frames_uneven == what.get("uneven", 0)


def test_sound_that_is_late_or_breaks_off_at_a_join_is_found_out(watched: Watched, corpus: Corpus) -> None:
    good = found_in(watched, corpus)
    later = replace(watched, sound=np.pad(watched.sound, (watched.rate_hz // 20, 0)))
    silent = watched.sound.copy()
    silent[2 * watched.rate_hz - 480 : 2 * watched.rate_hz + 480] = 0

    assert found_in(later, corpus).skew_ms == pytest.approx(50, abs=2)
    gap = found_in(replace(watched, sound=silent), corpus)
    assert gap.dip_ms > 15 > good.dip_ms
    assert gap.dip_db < -40


def test_a_clip_of_another_rate_has_to_show_the_frame_of_its_time(folder: Path) -> None:
    corpus = corpus_of("different", replace(SHAPE, clip_count=2), folder, lambda text: None)
    timeline = Timeline(corpus, Fraction(0))
    assert corpus.looks[1].rate == 25

    def film(shift: int) -> Watched:
        own = [Seen((0, frame), Fraction(frame, 24), False) for frame in range(48)]
        # Shown from the second half of a second on, each frame is one that is not due.
        other = [
            Seen((1, round(frame * Fraction(25, 24)) + (shift if frame > 12 else 0)), 2 + Fraction(frame, 24), False)
            for frame in range(48)
        ]
        return Watched([*own, *other], np.zeros(48_000 * 4, np.float32), 48_000, Fraction(4))

    assert check(film(0), timeline, [Fraction(0)] * 2).frames_right == 96
    assert check(film(3), timeline, [Fraction(0)] * 2).frames_misplaced == 35


def test_likeness_is_1_where_pictures_are_equal_and_less_where_they_were_encoded(
    watched: Watched, corpus: Corpus
) -> None:
    picture = next(iter(watched.kept.values()))

    assert (psnr(picture, picture), ssim(picture, picture)) == (100, pytest.approx(1))
    quality = quality_of(watched.kept, corpus)
    assert quality is not None
    assert quality.picture_count == 8
    assert 0.9 < quality.ssim < 1
    assert 30 < quality.psnr_db < 60


def test_frames_that_were_encoded_without_need_are_counted(film: Path, corpus: Corpus) -> None:
    timeline = Timeline(corpus, Fraction(0))

    assert copied(corpus.paths[0], timeline).encoded_frame_count == 0
    found = copied(film, timeline)
    assert (found.frame_count, found.encoded_frame_count) == (96, 96)
    assert found.untouched_but_encoded == found.untouched_frame_count == 96


def test_composing_moves_little_however_long_the_film_is(corpus: Corpus) -> None:
    made = composed(corpus, [2, 40])

    assert [each["film_frames"] for each in made] == [96, 40 * 48]
    shares = [each["moved_bytes"] / each["film_bytes"] for each in made]
    # These clips are tiny, so that their index is a tenth of them.
    assert 0 < shares[1] < shares[0] * 1.2 < 0.2


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_clips_are_as_the_cases_say(shape: Any) -> None:
    looks = {case: made(shape) for case, made in LOOKS.items()}

    assert set(looks["conforming"]) == set(looks["crossfades"]) == {shape.look}
    assert sum(look != shape.look for look in looks["odd"]) == shape.clip_count // 10
    assert len(set(looks["different"])) == shape.clip_count
    assert looks["different"][0] == shape.look


def test_a_contender_that_is_not_here_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    missing = {each.key: each.missing for case in LOOKS for each in contenders(case) if each.missing}

    assert "apt-get install" in missing["melt"]
    assert "apt-get install" in missing["system_ffmpeg_copy"]


def run_of(wall: float, number: int = 0) -> dict[str, Any]:
    return {"round": number, "wall_seconds": wall, "cpu_seconds": 2 * wall, "peak_mib": 100.0, "load": 0.1}


def row_of(name: str, *walls: float, **more: Any) -> dict[str, Any]:
    runs = [run_of(wall, number) for number, wall in enumerate(walls)]
    plain = {"is_ours": name == "longreel", "is_copy": False, "is_slow": True, "trouble": "", "quality": None}
    return {"name": name, "runs": runs, **plain, **more}


def part_of(case: str, **rows: dict[str, Any]) -> dict[str, Any]:
    corpus = {"name": "30x6s-720p", "clip_count": 30, "clip_seconds": 6, "size_bytes": 1}
    return {"case": case, "sources": "", "corpus": corpus, "rows": rows}


def test_ratios_are_taken_within_rounds() -> None:
    assert ratio(row_of("a", 2, 30, 4), row_of("b", 1, 10), "wall_seconds") == 2.5
    assert ratio(row_of("a", 2), row_of("b"), "wall_seconds") is None


@pytest.mark.parametrize(("wall", "is_met"), [(10, True), (11, False)])
def test_one_tenth_odd_is_met_at_a_sixth_of_the_full_encode(wall: float, is_met: bool) -> None:
    part = part_of("odd", longreel=row_of("longreel", wall), longreel_full=row_of("all", 60))

    assert [verdict.is_met for verdict in verdicts({"odd": part})] == [is_met]


def test_faster_but_worse_to_look_at_is_not_met() -> None:
    part = part_of(
        "different",
        longreel=row_of("longreel", 10, quality={"ssim": 0.95}),
        melt=row_of("melt", 12, quality={"ssim": 0.98}),
        moviepy=row_of("moviepy", 50, quality={"ssim": 0.97}),
    )

    found = verdicts({"different": part})

    assert [verdict.is_met for verdict in found] == [True, False]
    assert "0.83 x melt" in found[0].found


def test_what_an_earlier_run_kept_is_only_gone_on_with_for_the_same_clips(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "stitch.json"
    first = Results(path, {"quick": True}, go_on=True)
    first.part("conforming", corpus)["rows"]["cat"] = row_of("cat", 1)
    first.save()
    other = Corpus(corpus.shape, corpus.paths[:1], corpus.looks[:1])

    assert Results(path, {"quick": True}, go_on=True).part("conforming", corpus)["rows"]
    assert not Results(path, {"quick": True}, go_on=True).part("conforming", other)["rows"]
    assert not Results(path, {"quick": False}, go_on=True).parts
    assert not Results(path, {"quick": True}, go_on=False).parts


def benchmark(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.stitch", "--quick", "--clips", str(folder), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_quick_run_looks_at_every_film_and_a_second_goes_on_with_what_is_missing(
    folder: Path, tmp_path: Path
) -> None:
    kept, films = tmp_path / "stitch.json", tmp_path / "films"
    words = ["--cases", "crossfades", "--json", str(kept), "--films", str(films)]

    done = benchmark(folder, *words, "--contenders", "xfade")
    assert done.returncode == 0, done.stderr
    done = benchmark(folder, *words, "--contenders", "longreel,xfade", "--only-missing")
    assert done.returncode == 0, done.stderr

    assert "ffmpeg xfade chain" not in done.stderr
    rows = json.loads(kept.read_text())["parts"]["crossfades 4x2s-180p"]["rows"]
    assert {key: row["findings"]["frames_wrong"] for key, row in rows.items()} == {"xfade": 0, "longreel": 0}
    assert rows["longreel"]["copied"]["frame_count"] == 4 * 48 - 3 * 12
    assert rows["longreel"]["copied"]["untouched_but_encoded"] == 0
    assert 3 * 12 <= rows["longreel"]["copied"]["encoded_frame_count"] < 4 * 48 - 3 * 12
    assert len(list(films.rglob("*.mp4"))) == 2
    assert "ffmpeg xfade chain" in done.stdout
    assert "not measured yet" in stitch_figures(json.loads(kept.read_text()))


def test_a_case_that_there_is_not_is_refused_with_those_that_there_are(folder: Path) -> None:
    done = benchmark(folder, "--cases", "wipes")

    assert done.returncode == 2
    assert "wipes: these are known: conforming, odd, different, crossfades" in done.stderr
