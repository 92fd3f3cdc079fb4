"""The container's recipe holds what the package needs; building it takes a container engine and is not tested here."""

from __future__ import annotations

import re
import tomllib

from gpu_job.encoder_probe import COMPLAINTS
from gpu_job.ffmpeg import VERSION_MIN
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


def pinned(name: str) -> tuple[int, ...]:
    """Give the version that an ARG of the recipe pins, without its epoch and without what may change."""
    [text] = re.findall(rf"^ARG {name}=(?:\d+:)?([\d.]+)\*$", RECIPE, re.M)
    return tuple(int(each) for each in text.strip(".").split("."))


#: "An ffmpeg built with NVENC API 13.0 headers needs driver >= 570 and fails on the L4's 535 driver. NVENC API 12.1
#: fits 535." Source: Google's sample `jobs-video-encoding`, which pins nv-codec-headers n12.1.14.0 for Cloud Run's L4.
L4_NVENC_API = (12, 1)


def test_ffmpeg_is_built_with_headers_that_the_driver_of_cloud_runs_card_takes() -> None:
    """What Debian 12's FFmpeg really asks for is in test_encoder_probe.py: 11.1."""
    assert pinned("NV_CODEC_HEADERS_VERSION") == (11, 1) <= L4_NVENC_API
    assert VERSION_MIN <= pinned("FFMPEG_VERSION") == (5, 1)
    assert '"libffmpeg-nvenc-dev=$NV_CODEC_HEADERS_VERSION"' in RECIPE
    assert '"ffmpeg=$FFMPEG_VERSION"' in RECIPE


def test_the_versions_that_are_pinned_belong_to_the_debian_of_the_image() -> None:
    """Debian 12, bookworm, has FFmpeg 5.1 and nv-codec-headers 11.1."""
    bases = re.findall(r"^FROM (\S+)", RECIPE, re.M)

    assert [base for base in bases if ":" in base] == ["python:3.11-slim-bookworm"] * 2
    assert set(bases) == {"python:3.11-slim-bookworm", "cpu"}


def test_python_packages_are_pinned_and_one_of_googles_is_enough() -> None:
    assert re.findall(r"pip install (.+)$", RECIPE, re.M) == [
        '--no-cache-dir -c constraints.txt ".[local]" google-cloud-storage'
    ]
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.M))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    by_name = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    assert "google-cloud-storage" in by_name
    assert all(f"{name}=={by_name[name.lower()]}" in wanted for name in (each.partition("==")[0] for each in wanted))


def test_the_gpu_image_uses_debians_ffmpeg_and_asks_for_the_drivers_encoder() -> None:
    gpu = RECIPE.split("FROM ")[-1]

    assert "LONGREEL_FFMPEG=/usr/bin/ffmpeg" in gpu
    [capabilities] = re.findall(r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", gpu)
    assert "video" in capabilities.split(","), "libnvidia-encode belongs to it"
    [advised] = {found for each in COMPLAINTS for found in re.findall(r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", each.advice)}
    assert advised == capabilities
