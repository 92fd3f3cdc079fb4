"""The container's recipe holds what the package needs; building it takes a container engine and is not tested here."""

from __future__ import annotations

import re
import tomllib

from tests.gpu_job.bench import REPOSITORY

RECIPE = (REPOSITORY / "infra" / "gpu_job.Dockerfile").read_text()


def test_every_package_is_copied_into_the_image() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    named = project["tool"]["setuptools"]
    wanted = {name.partition(".")[0] for name in named["packages"]} | {f"{name}.py" for name in named["py-modules"]}

    copied = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", RECIPE, re.M) for word in line.split()}

    assert wanted <= copied


def test_the_program_is_its_own_first_process() -> None:
    """Else SIGTERM would meet a shell, and FFmpeg would go on."""
    assert 'ENTRYPOINT ["python", "-m", "gpu_job", "--work", "/scratch"]' in RECIPE


def test_both_images_end_without_rights() -> None:
    for stage in RECIPE.split("FROM ")[2:]:
        assert re.findall(r"^USER (\w+)$", stage, re.M)[-1] == "longreel"
