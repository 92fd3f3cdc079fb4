"""The images' recipe: linted, pinned, small, without rights. Building it takes a container engine; no test has one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
import yaml

from gpu_job.encoder_probe import COMPLAINTS
from gpu_job.ffmpeg import VERSION_MIN
from tests.infra.imports import ROOT, reached

INFRA = ROOT / "infra"
RECIPE = (INFRA / "gpu_job.Dockerfile").read_text(encoding="utf-8")
NOTICE = (INFRA / "gpu_job.NOTICE").read_text(encoding="utf-8")
BUILD = yaml.safe_load((INFRA / "cloudbuild.yaml").read_text(encoding="utf-8"))
BIN = Path(sys.executable).parent


def stages() -> dict[str, str]:
    """Give each stage's text by its name."""
    found = re.split(r"^FROM (?:\S+) AS (\S+)$", RECIPE, flags=re.M)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [BIN / "hadolint", "--no-color", "--failure-threshold", "info", INFRA / "gpu_job.Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_one_image_for_ever_and_the_only_one() -> None:
    bases = set(re.findall(r"^FROM (\S+)", RECIPE, re.M)) - set(stages())

    assert bases == {"${BASE}"}
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", RECIPE, re.M)


def packages() -> set[str]:
    """Give our packages that the recipe copies."""
    return set(re.findall(r"^COPY (\w+) \1$", RECIPE, re.M))


def test_the_packages_that_are_copied_are_those_that_the_program_imports() -> None:
    ours, _ = reached("gpu_job.__main__")

    assert {each.partition(".")[0] for each in ours} == packages()


def installed() -> set[str]:
    """Give the Python packages that the recipe installs by name."""
    found = re.findall(r"--constraint constraints\.txt(?: \\\n)?\s+([a-z][a-z0-9 \-]+)$", RECIPE, re.M)
    return {name for line in found for name in line.split()}


def test_the_libraries_that_are_installed_are_those_that_the_program_imports_and_each_is_pinned() -> None:
    brought = ("google.api_core", "google.auth", "requests", "urllib3", "pydantic_core")
    by_name = {
        "google": "google-cloud-storage",
        "google_crc32c": "google-crc32c",
        "imageio_ffmpeg": "imageio-ffmpeg",
    }
    _, others = reached("gpu_job.__main__")
    named = {name for name in others if not f"{name}.".startswith(tuple(f"{each}." for each in brought))}
    libraries = {name.partition(".")[0] for name in named} - sys.stdlib_module_names

    assert {by_name.get(name, name) for name in libraries} == installed()
    pins = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    assert installed() <= {name.lower() for name in pins}
    assert RECIPE.count("pip install") == RECIPE.count("--only-binary :all: --constraint constraints.txt") == 2


def test_neither_image_has_an_ffmpeg_that_it_does_not_use() -> None:
    assert "COPY --from=libraries-with-ffmpeg " in stages()["cpu"]
    assert "COPY --from=libraries " in stages()["gpu"]
    assert "imageio-ffmpeg" not in stages()["libraries"]


def test_the_program_is_its_own_first_process() -> None:
    """Else SIGTERM would meet a shell, and FFmpeg would go on."""
    assert 'ENTRYPOINT ["python", "-m", "gpu_job", "--work", "/scratch"]' in stages()["program"]


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_an_image_ends_as_a_user_without_rights_named_by_number(stage: str) -> None:
    [number] = re.findall(r"useradd .*--uid (\d+) ", RECIPE)

    assert re.findall(r"^USER (\S+)$", stages()[stage], re.M)[-1] == number
    assert int(number) >= 10_000


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


def test_the_gpu_image_uses_debians_ffmpeg_and_asks_for_the_drivers_encoder() -> None:
    gpu = stages()["gpu"]

    assert "LONGREEL_FFMPEG=/usr/bin/ffmpeg" in gpu
    [capabilities] = re.findall(r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", gpu)
    assert "video" in capabilities.split(","), "libnvidia-encode belongs to it"
    [advised] = {found for each in COMPLAINTS for found in re.findall(r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", each.advice)}
    assert advised == capabilities


def test_ffmpeg_may_be_passed_on_and_the_notice_says_under_which_licence() -> None:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout

    assert "--enable-nonfree" not in said
    assert "--enable-gpl --enable-version3" in said
    assert said.split()[2] in NOTICE, "imageio-ffmpeg brings another: read its licence, then change the notice"
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    assert f"imageio-ffmpeg {pins['imageio-ffmpeg']}" in NOTICE
    assert pins["av"] == av.__version__
    assert f"package av {pins['av']} (PyAV)" in NOTICE
    assert re.search(r"^COPY LICENSE infra/gpu_job\.NOTICE \./$", stages()["program"], re.M)


def test_cloud_build_builds_both_images_and_pushes_only_what_has_started() -> None:
    built = {step["args"][4]: step["args"][6] for step in BUILD["steps"] if step["args"][0] == "build"}
    ran = [argument for step in BUILD["steps"] if step["args"][0] == "run" for argument in step["args"]]

    assert set(built) == {"cpu", "gpu"} <= set(stages())
    assert BUILD["images"] == list(built.values())
    assert all(ran.count(image) == 2 for image in BUILD["images"])
    assert {step["name"] for step in BUILD["steps"]} == {"gcr.io/cloud-builders/docker"}


@pytest.mark.parametrize(
    ("knows", "goes_on"), [("Encoder h264_nvenc [NVIDIA NVENC H.264 encoder]:", True), ("", False)]
)
def test_cloud_build_pushes_no_gpu_image_whose_ffmpeg_has_no_nvenc(knows: str, goes_on: bool, tmp_path: Path) -> None:
    """An FFmpeg that does not know an encoder says so and gives 0, so its exit status alone tells nothing."""
    [[shell, *options]] = [
        [step["args"][2].removeprefix("--entrypoint="), *step["args"][4:]]
        for step in BUILD["steps"]
        if step["id"] == "gpu-has-nvenc"
    ]
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        f"#!/bin/sh\necho '{knows}'\n[ '{knows}' ] || echo \"Codec 'h264_nvenc' is not recognized by FFmpeg.\" >&2\n"
    )
    ffmpeg.chmod(0o755)

    done = subprocess.run(
        [shell, *options], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, check=False
    )

    assert (done.returncode == 0) == goes_on


def test_what_cloud_build_runs_in_the_cpu_image_finds_its_ffmpeg() -> None:
    [code] = [step["args"][-1] for step in BUILD["steps"] if step["id"] == "cpu-has-ffmpeg"]

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("ffmpeg version")
