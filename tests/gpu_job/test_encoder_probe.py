"""NVENC is tried before it is trusted, and whoever misses it reads why and what to do.

No machine of the tests has NVENC. Real FFmpegs are refused by a driver that takes nobody (`nvidia_driver.c`), which
shows their own words; the same words come from a script where no C compiler is. What a card would make is libx264's.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from events.plan import Compression, Fit
from gpu_job.encoder_probe import COMPLAINTS, Problem, find_problem
from gpu_job.ffmpeg import FFmpeg
from media.colour import Colour
from media.target import choose_target
from media.treatment import Picture, Quality, Target
from media.video_encoders import VIDEO_ENCODERS, nvenc_args, x264_args
from tests.gpu_job.bench import Bench
from tests.gpu_job.film_reading import barcodes

NVENC = "h264_nvenc"
TARGET = Target(
    Picture(160, 96, Fraction(24), "high", 2, 0, Colour(1, 1, 1)), None, Quality(20, "veryfast"), Fit.PAD, (), None
)
#: What `-encoders` prints of one that has all of ours.
LISTED = " V....D libx264 x\\n V....D h264_nvenc x\\n A....D aac x\\n"

MakeClip = Callable[..., Path]


def script(folder: Path, text: str, interpreter: str = "/bin/sh") -> Path:
    program = folder / "my-ffmpeg"
    program.write_text(f"#!{interpreter}\n{text}\n")
    program.chmod(0o755)
    return program


def saying(folder: Path, real: str, trial: str) -> FFmpeg:
    """Give a real FFmpeg of which only the making of NVENC's frame is replaced by a shell command."""
    text = f'case "$*" in *"-c:v {NVENC}"*) {trial};; *) exec {shlex.quote(real)} "$@";; esac'
    return FFmpeg(script(folder, text))


def refusing(folder: Path, real: str, line: str) -> FFmpeg:
    lines = [f"[{NVENC} @ 0x5592449fd440] {line}", "Error while opening encoder for output stream #0:0"]
    return saying(folder, real, "; ".join(f"echo {shlex.quote(each)} >&2" for each in lines) + "; exit 1")


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a driver that refuses everybody."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler; install gcc to see real FFmpegs be refused by a driver")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("nvidia_driver.c")
    for name, more in (("libcuda.so.1", ["-DCUDA"]), ("libnvidia-encode.so.1", [])):
        build = [compiler, "-w", "-shared", "-fPIC", *more, "-o", str(folder / name), str(source)]
        subprocess.run(build, check=True, capture_output=True)
    return folder


def driven(folder: Path, real: Path, driver: Path, **answers: int) -> FFmpeg:
    """Give a real FFmpeg that finds a driver."""
    words = [f"LD_LIBRARY_PATH={shlex.quote(str(driver))}", *(f"{name}={value}" for name, value in answers.items())]
    return FFmpeg(script(folder, f'exec env {" ".join(words)} {shlex.quote(str(real))} "$@"'))


def problem_of(ffmpeg: FFmpeg, **limits: float) -> Problem:
    problem = find_problem(ffmpeg, NVENC, TARGET, **limits)
    assert problem is not None
    return problem


@pytest.mark.parametrize("program", ["ffmpeg", "system_ffmpeg"])
def test_an_encoder_that_works_has_no_problem(program: str, request: pytest.FixtureRequest) -> None:
    assert find_problem(request.getfixturevalue(program), "libx264", TARGET) is None


def test_an_encoder_that_is_not_built_in_is_a_problem_in_words(tmp_path: Path) -> None:
    listed = LISTED.replace(NVENC, "h264_other")
    text = f'case "$1" in -version) echo ffmpeg version 5.1.9;; *) printf "{listed}";; esac'

    problem = problem_of(FFmpeg(script(tmp_path, text)))

    assert (problem.why, problem.has_card) == ("FFmpeg 5.1.9 was built without it", False)
    assert "LONGREEL_FFMPEG" in problem.advice


@pytest.mark.parametrize("program", ["ffmpeg", "system_ffmpeg"])
def test_the_real_program_on_a_machine_without_a_driver_says_so_and_takes_all_our_words(
    program: str, request: pytest.FixtureRequest
) -> None:
    """It reads all options before it looks for the driver: a word that it does not know would be its complaint."""
    problem = problem_of(request.getfixturevalue(program))

    if problem.why != "Cannot load libcuda.so.1":
        pytest.skip(f"this machine has a driver: {problem.why}")
    assert not problem.has_card
    assert "no NVIDIA driver" in problem.advice


@pytest.mark.parametrize("program", ["ffmpeg", "system_ffmpeg"])
@pytest.mark.parametrize(
    ("answers", "why", "advice"),
    [
        ({"DRIVER_API": 11 << 4}, "Driver does not support the required nvenc API version. Required: ", "older FFmpeg"),
        ({"CUDA_ERROR": 100}, "cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device", "no card"),
        ({"CUDA_ERROR": 999}, "cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown error", "restart"),
        ({"CARDS": 0}, "No CUDA capable devices found", "no card"),
        ({"SESSION_ERROR": 10}, "OpenEncodeSessionEx failed: out of memory (10)", "fewer programs"),
        ({"SESSION_ERROR": 2}, "OpenEncodeSessionEx failed: unsupported device (2)", "nvidia-smi"),
    ],
    ids=["an old driver", "no device", "a broken device", "no card", "too many sessions", "a card without NVENC"],
)
def test_a_driver_that_refuses_a_real_ffmpeg_is_told_in_its_words_with_advice(
    tmp_path: Path,
    program: str,
    answers: dict[str, int],
    why: str,
    advice: str,
    driver: Path,
    request: pytest.FixtureRequest,
) -> None:
    real = request.getfixturevalue(program).program

    problem = problem_of(driven(tmp_path, real, driver, **{"DRIVER_API": 15 << 4, **answers}))

    assert problem.why.startswith(why)
    assert advice in problem.advice
    assert problem.has_card == ("no card" not in problem.advice)


def test_a_driver_without_its_encoder_is_told_with_the_setting_that_brings_it(
    tmp_path: Path, ffmpeg: FFmpeg, driver: Path
) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "libcuda.so.1").symlink_to(driver / "libcuda.so.1")

    problem = problem_of(driven(tmp_path, ffmpeg.program, half))

    assert problem.why == "Cannot load libnvidia-encode.so.1"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility" in problem.advice


def test_debian_12s_ffmpeg_asks_for_less_than_the_driver_of_cloud_runs_l4_has(
    tmp_path: Path, system_ffmpeg: FFmpeg, driver: Path
) -> None:
    """The gpu image has this FFmpeg. Driver 535 of Cloud Run's L4 has NVENC API 12.1; 13.0 needs driver 570."""
    if not system_ffmpeg.version.startswith("5.1."):
        pytest.skip(f"the FFmpeg in PATH is {system_ffmpeg.version}, not Debian 12's")

    older = problem_of(driven(tmp_path, system_ffmpeg.program, driver, DRIVER_API=11 << 4))
    assert older.why == "Driver does not support the required nvenc API version. Required: 11.1 Found: 11.0"
    l4 = problem_of(driven(tmp_path, system_ffmpeg.program, driver, DRIVER_API=12 << 4 | 1))
    assert l4.why.startswith("OpenEncodeSessionEx failed"), "it gets as far as the card"


def test_pips_ffmpeg_asks_for_more_than_the_driver_of_cloud_runs_l4_has(
    tmp_path: Path, ffmpeg: FFmpeg, driver: Path
) -> None:
    """Why the gpu image does not use it."""
    problem = problem_of(driven(tmp_path, ffmpeg.program, driver, DRIVER_API=12 << 4 | 1))

    assert re.fullmatch(r"Driver does not support .* version\. Required: 1[3-9]\.\d Found: 12\.1", problem.why)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("Cannot load libcuda.so.1", "no NVIDIA driver"),
        ("Cannot load nvcuda.dll", "no NVIDIA driver"),
        ("Cannot load libnvidia-encode.so.1", "NVIDIA_DRIVER_CAPABILITIES"),
        ("Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1", "update the driver"),
        ("dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected", "no card"),
        ("dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown error", "restart"),
        ("No CUDA capable devices found", "no card"),
        ("OpenEncodeSessionEx failed: out of memory (10): (no details)", "fewer programs"),
        ("OpenEncodeSessionEx failed: incompatible client key (21): (no details)", "fewer programs"),
        ("OpenEncodeSessionEx failed: unsupported device (2): (no details)", "nvidia-smi"),
        ("No capable devices found", "nvidia-smi"),
        ("Something new", "nvidia-smi"),
    ],
)
def test_every_refusal_gets_its_advice(tmp_path: Path, ffmpeg_program: str, line: str, advice: str) -> None:
    problem = problem_of(refusing(tmp_path, ffmpeg_program, line))

    assert problem.why in line
    assert advice in problem.advice
    assert "@ 0x" not in problem.why


def test_advice_is_part_of_a_sentence() -> None:
    for complaint in COMPLAINTS:
        assert not complaint.advice.endswith(".")


LIBX264 = "-c:v libx264 -f h264 pipe:1"


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        ("true", "no frame came out"),
        ("echo rubbish", "what came out cannot be decoded: "),
        ("{real} -f lavfi -i color=black:size=160x96 -frames:v 1 {to}", "another picture came out than went in"),
        ("{real} -f lavfi -i color=gray:size=96x160 -frames:v 1 -vf crop=96:96 {to}", "what came out is not one frame"),
        ("{real} -f lavfi -i color=gray:size=160x96 -frames:v 2 {to}", "what came out is not one frame"),
        ("exit 3", "exit status 3"),
        ("kill -SEGV $$", "exit status -11"),
    ],
    ids=["empty", "no video", "black", "of another size", "two", "a failure without a word", "a crash"],
)
def test_a_frame_that_comes_out_wrong_is_no_reason_to_trust(
    tmp_path: Path, ffmpeg_program: str, trial: str, why: str
) -> None:
    real = f"{shlex.quote(ffmpeg_program)} -nostdin -v error"

    problem = problem_of(saying(tmp_path, ffmpeg_program, trial.format(real=real, to=LIBX264)))

    assert why in problem.why
    assert problem.has_card


def test_a_trial_that_hangs_is_given_up(tmp_path: Path, ffmpeg_program: str) -> None:
    hanging = saying(tmp_path, ffmpeg_program, "exec sleep 60")
    began = time.monotonic()

    problem = problem_of(hanging, limit_seconds=0.2)

    assert time.monotonic() - began < 10
    assert problem.why == "it was not done within 0.2 seconds"


def with_a_card(folder: Path, real: str, target: Target) -> FFmpeg:
    """Give a real FFmpeg whose NVENC is libx264, so that it works: as told by the other column of our table."""
    words = [encoder(target.picture, target.quality) for encoder in (nvenc_args, x264_args)]
    text = (
        "import json, os, sys\n"
        f"real, nvenc, x264 = json.loads({json.dumps(json.dumps([real, *words]))})\n"
        "args = sys.argv[1:]\n"
        f"if {NVENC!r} in args:\n"
        "    at = args.index('-c:v')\n"
        "    assert args[at:at + len(nvenc)] == nvenc, args\n"
        "    args[at:at + len(nvenc)] = x264\n"
        "os.execv(real, [real, *args])\n"
    )
    return FFmpeg(script(folder, text, sys.executable))


def test_with_a_card_that_works_every_chunk_is_asked_of_it_and_they_join(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str
) -> None:
    plan = bench.plan(make_clip(0), make_clip(1), compression=Compression.SMALL)
    card = with_a_card(bench.folder, ffmpeg_program, choose_target(plan))

    report = bench.stitch(plan, ffmpeg=lambda: card, expects_card=True)

    assert report.encoder == NVENC
    assert not [warning for warning in report.warnings if "card" in warning]
    assert [code.frame for code in barcodes(bench.film)] == [*range(24), *range(24)]


TOO_OLD = "Driver does not support the required nvenc API version. Required: 13.1 Found: 12.1"
NO_DRIVER = "Cannot load libcuda.so.1"


@pytest.mark.parametrize(
    ("line", "expects_card", "word"),
    [
        (TOO_OLD, False, "update the driver"),
        (TOO_OLD, True, "update the driver"),
        (NO_DRIVER, True, "give it a machine with an NVIDIA card"),
        (NO_DRIVER, False, None),
    ],
)
def test_without_it_libx264_makes_the_film_and_the_report_says_why(
    bench: Bench, make_clip: MakeClip, ffmpeg_program: str, line: str, expects_card: bool, word: str | None
) -> None:
    """Where no card is and none was asked for there is nothing to be done about it."""
    plan = bench.plan(make_clip(0), compression=Compression.SMALL)
    other = refusing(bench.folder, ffmpeg_program, line)

    report = bench.stitch(plan, ffmpeg=lambda: other, expects_card=expects_card)

    assert report.encoder == "libx264"
    [told] = [warning for warning in report.warnings if f"({NVENC}: {line})" in warning]
    assert told.startswith("The film was encoded ")
    assert (word in told) if word else told.endswith(").")
    [note] = [said["message"] for said in bench.lines if said["type"] == "note" and NVENC in said["message"]]
    assert note.startswith(f"{NVENC} is not used: {line}; ")


def test_every_encoder_of_the_table_is_known_to_the_probe(ffmpeg: FFmpeg, system_ffmpeg: FFmpeg) -> None:
    for encoder in VIDEO_ENCODERS:
        assert encoder in ffmpeg.encoders & system_ffmpeg.encoders
