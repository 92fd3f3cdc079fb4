"""The README is a contract: what it tells people to run is run here, what it names is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from docs import capacity, film
from docs.figures import figures
from docs.marked import filled
from docs.samples import PAGE, samples
from embedded.exits import MEANINGS
from events.messages import Topic

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def _run_blocks() -> list[str]:
    return re.findall(r"<!-- run -->\n```sh\n(.*?)```", README, re.DOTALL)


def _clip(path: Path, source: str, sound: str | None) -> None:
    args = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    args += ["-f", "lavfi", "-i", sound] if sound else []
    args += ["-t", "1", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", str(path)]
    subprocess.run(args, check=True)


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """A folder as the README's reader has it, and the environment of their shell."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    _clip(tmp_path / "one.mp4", "testsrc=s=320x180:r=24", "sine=f=440:r=48000")
    _clip(tmp_path / "two.mp4", "testsrc2=s=640x360:r=30", "sine=f=660:r=44100")
    _clip(tmp_path / "three.mp4", "smptebars=s=320x240:r=25", None)
    (tmp_path / "broken.mp4").write_bytes((tmp_path / "one.mp4").read_bytes()[:2000])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(tmp_path), "LONGREEL_HOME": str(tmp_path / "home"), "PWD": str(tmp_path)}


def test_every_command_that_the_readme_runs_works(newcomer: dict[str, str]) -> None:
    lines = [line for block in _run_blocks() for line in block.splitlines() if line.strip()]
    assert len(lines) >= 6

    for line in lines:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=newcomer["PWD"], env=newcomer, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    made = {path.name for path in Path(newcomer["PWD"]).glob("*.mp4")}
    assert {"lighthouse.mp4", "door.mp4", "reel.mp4", "rest.mp4", "story.mp4"} <= made


def test_every_make_target_that_the_readme_names_is_there_and_ci_calls_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert (
        {"demo", "test", "check", "bench"} <= set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets
    )
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {"make demo", "make test", "make check"} <= set(ci.splitlines())


def test_every_figure_of_the_readme_was_measured_by_the_benchmarks() -> None:
    assert filled(README, "figures", figures()) == README, "run: python -m docs.figures --write"


def test_every_figure_of_the_page_on_deploying_is_reckoned_from_the_limits_and_the_prices() -> None:
    page = capacity.PAGE.read_text(encoding="utf-8")

    assert filled(page, "capacity", capacity.tables()) == page, "run: python -m docs.capacity --write"


def test_the_page_on_deploying_counts_reads_and_writes_as_they_are_measured() -> None:
    measured = (ROOT / "tests" / "cloud" / "test_firestore_cost.py").read_text(encoding="utf-8")

    for name in ("WRITES", "READS"):
        counted = [getattr(film, f"{name}_OF_A_{what}") for what in ("SEGMENT", "JOB")]
        assert f"{name}_OF_A_SEGMENT, {name}_OF_A_JOB = {counted[0]}, {counted[1]}" in measured


def test_the_page_of_messages_shows_the_samples_that_the_tests_read_and_names_every_topic() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert filled(page, "sample", samples()) == page, "run: python -m docs.samples --write"
    assert all(f"`{topic}`" in page for topic in Topic)


def test_the_readmes_folder_table_is_the_tree() -> None:
    table = re.findall(r"^\| (`.*?`) \| ", README.split("## Where things are")[1], re.MULTILINE)
    named = {name.rstrip("/") for row in table for name in re.findall(r"`([^`]+)`", row)}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.partition("/")[0] for line in listed.splitlines() if "/" in line} - {".ci"}

    assert {name for name in named if not name.endswith(".py")} == folders
    assert all((ROOT / name).exists() for name in named)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def test_the_exit_code_table_is_the_codes() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").split("## Exit codes")[1]
    table = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+?) \|$", page, re.MULTILINE)}

    assert table == MEANINGS


def test_every_variable_is_documented_and_every_documented_one_is_read() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    config = (ROOT / "adapters" / "config.py").read_text(encoding="utf-8")
    named = r"(?:LONGREEL|GOOGLE|FIRESTORE|PUBSUB|STORAGE|FIREBASE)_[A-Z_]+"

    documented = {
        name: cells for name, *cells in re.findall(rf"^\| `({named})` \| (.+?) \| .+? \| (.+?) \|$", page, re.M)
    }
    assert set(documented) == set(re.findall(rf'"({named})"', config))
    in_code = re.findall(rf"^    \| ({named}) \| (.+?) \| (.+?) \|$", config, re.M)
    assert {name: cells for name, *cells in in_code} == {
        name: [default.strip("`"), meaning.replace("`", "")] for name, (default, meaning) in documented.items()
    }


def test_the_index_of_decisions_is_complete() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}

    assert pages == set(re.findall(r"\((0[^)]+\.md)\)", index))
