"""The archives that are deployed: complete, the same for the same sources, and without what is not needed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.deploy.source import ROOT, functions, images
from tests.infra.imports import file_of, reached


def names(content: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(content)).namelist())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    zipfile.ZipFile(io.BytesIO(functions())).extractall(folder)
    return folder


@pytest.mark.parametrize(("pack", "first"), [(functions, "main"), (images, "gpu_job.__main__")])
def test_everything_that_the_program_may_ever_import_is_in_its_archive(pack: Callable[[], bytes], first: str) -> None:
    ours, _ = reached(first)

    assert {str(file_of(each).relative_to(ROOT)) for each in ours} <= names(pack())  # type: ignore[union-attr] # ours


def test_the_entry_points_are_found_in_the_unpacked_archive_alone(unpacked: Path) -> None:
    code = "import main, doors; print(doors.__file__, *sorted(name for name in vars(main) if '_' in name[1:-2]))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(unpacked)}

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=unpacked, env=environment, capture_output=True, check=True
    )

    where, *found = done.stdout.decode().split()
    assert Path(where).is_relative_to(unpacked)
    assert {"on_sweep", "create_job", "create_upload_url"} <= set(found)


def test_the_functions_are_built_with_the_versions_that_the_tests_ran_with(unpacked: Path) -> None:
    lines = (unpacked / "requirements.txt").read_text().splitlines()
    wanted = (ROOT / "requirements.txt").read_text().splitlines()

    assert lines[0] == "-c constraints.txt"
    assert [line for line in wanted if line not in lines] == ["pytest==9.2.0"]
    assert (unpacked / "constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()


def test_what_runs_on_one_machine_only_is_not_deployed() -> None:
    found = names(functions()) | names(images())

    assert not [name for name in found if name.startswith(("embedded/", "tests/", "media/cards/", "docs/"))]
    assert not [name for name in found if "__pycache__" in name]
    assert len(functions()) < 2_000_000


def test_the_same_sources_give_the_same_bytes_whenever_they_were_written(tmp_path: Path) -> None:
    for folder in {name.partition("/")[0] for name in names(functions()) | names(images()) if "/" in name} - {"infra"}:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("cards", "__pycache__"))
    for name in ("main.py", "constraints.txt", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "infra").mkdir()
    for name in ("infra/gpu_job.Dockerfile", "infra/gpu_job.NOTICE"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    os.utime(tmp_path / "main.py", (1, 1))

    assert (functions(tmp_path), images(tmp_path)) == (functions(), images())
    (tmp_path / "main.py").write_text("another")
    assert functions(tmp_path) != functions()
    assert images(tmp_path) == images(), "the images are not made of main.py: it does not make them anew"


def test_an_incomplete_checkout_is_refused_by_the_name_of_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no main\.py in"):
        functions(tmp_path)


def test_the_program_prints_paths_that_name_the_content(tmp_path: Path) -> None:
    program = ROOT / "infra" / "deploy" / "source.py"

    run = [sys.executable, "-S", program, tmp_path]
    first, again = (subprocess.run(run, capture_output=True, check=True, text=True).stdout for _ in range(2))

    assert first == again
    assert [Path(line).read_bytes() for line in first.splitlines()] == [functions(), images()]
