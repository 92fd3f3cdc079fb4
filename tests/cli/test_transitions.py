"""`longreel make` and `longreel stitch` with fades."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Door, frames


@pytest.mark.parametrize(("transition", "expected"), [("crossfade", 2 * 24 - 7), ("fadeBlack", 2 * 24)])
def test_given_clips_fade_into_each_other(door: Door, clips: Path, transition: str, expected: int) -> None:
    wish = ("--transition", transition, "--transition-ms", "300")

    said = door.ok("stitch", clips / "one.mp4", clips / "one.mp4", "-o", "film.mp4", *wish)

    assert frames(door.folder / "film.mp4") == expected
    assert "fades are rendered, so the frames around each join are encoded" in said


def test_scenes_of_a_script_fade_as_it_says_and_an_option_wins(door: Door) -> None:
    script = "prompts: [A lighthouse at dusk, The lamp is lit]\ntransition: fadeBlack\ntransitionMs: 400\n"
    (door.folder / "script.yaml").write_text(script)

    door.ok("make", "script.yaml", "--scene-ms", "500", "--transition-ms", "250", "-o", "film.mp4")
    assert frames(door.folder / "film.mp4") == 2 * 12

    refused = door.refused("make", "script.yaml", "--scene-ms", "500", "-o", "other.mp4")
    assert "a fade of 400 ms (transitionMs) is longer than half of it" in refused


def test_a_clip_too_short_for_its_fade_is_named(door: Door, clips: Path) -> None:
    wish = ("--transition", "crossfade", "--transition-ms", "600")

    done = door.run("stitch", clips / "one.mp4", clips / "one.mp4", "-o", "film.mp4", *wish)

    assert done.returncode != 0
    assert "1000 ms of it are shown, and a fade of 600 ms is longer than half of that" in done.stderr
    assert not (door.folder / "film.mp4").exists()
