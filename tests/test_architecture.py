"""The house rules that a program can check: floors, sizes, one library a file, nothing heavy at import."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("events", "pipeline", "media", "functions", "adapters", "embedded", "doors", "gpu_job")
DOORS = ("cli.py", "main.py")
SOURCES = sorted([*(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")), *(ROOT / d for d in DOORS)])

#: Third-party library → the files that may import it. A new line here is a decision.
MAY_IMPORT = {
    "pydantic": {"events/"},
    "pydantic_core": {"events/"},
    "av": {
        "media/cards/clip.py",
        "media/last_frame.py",
        "media/probe_av.py",
        "media/seam.py",
        "media/seam_look.py",
        "embedded/doctor.py",
    },
    "numpy": {"media/"},
    "PIL": {"media/"},
    "imageio_ffmpeg": {"gpu_job/ffmpeg_choice.py"},
    "platformdirs": {"adapters/config.py"},
    "yaml": {"embedded/script.py"},
    "rich": {"embedded/display.py"},
    "typer": {"cli.py", "embedded/options.py", "embedded/letter_commands.py"},
    "functions_framework": {"main.py"},
    "cloudevents": {"main.py", "doors/incoming.py", "doors/receive.py"},
    "flask": {"main.py", "doors/callables.py", "doors/logs.py"},
    "structlog": {"doors/logs.py"},
    "werkzeug": {"doors/receive.py"},
    "firebase_admin": {"doors/callables.py"},
    "firebase_functions": {"doors/callables.py"},
    # Google's clients: one outside system a family of files. What they share is translated in google_errors.py.
    "google.cloud.firestore": {"adapters/firestore", "adapters/cloud.py"},
    "google.pubsub_v1": {"adapters/pubsub"},
    "grpc": {"adapters/pubsub_clients.py"},
    "google.cloud.storage": {"adapters/gcs", "adapters/cloud.py"},
    "urllib3": {"adapters/gcs_client.py"},
    "requests": {"adapters/google_errors.py", "adapters/gcs_client.py"},
    "cryptography": {"adapters/gcs_upload_urls.py"},
    "google_crc32c": {"adapters/compose_film.py", "gpu_job/manifest.py"},
    "google.genai": {"adapters/genai_client.py", "adapters/veo.py", "adapters/omni.py"},
    "httpx": {"adapters/genai_client.py"},
    "google.cloud.video": {"adapters/transcoder.py"},
    "google.cloud.run_v2": {"adapters/cloud_run_api.py"},
    "google.api_core": {"adapters/"},
    "google.auth": {"adapters/"},
    "google.oauth2": {"adapters/"},
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in {"google", "google.cloud"}:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _library(module: str) -> str:
    """Give the row of the table that a module belongs to: google is not one library, but many."""
    rows = [row for row in MAY_IMPORT if f"{module}.".startswith(f"{row}.") or module.startswith(f"{row}_v1")]
    return max(rows, key=len, default=module)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_has_at_most_300_lines_and_its_functions_at_most_60(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_a_third_party_library_is_imported_only_where_the_table_allows_it() -> None:
    ours = {*FOLDERS, "cli", "main"}
    found = defaultdict(set)
    for path in SOURCES:
        for module in _imports(path):
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in ours:
                found[_library(module)].add(_name(path))

    assert set(found) <= set(MAY_IMPORT), "a library that the table does not know"
    for library, files in found.items():
        strangers = {file for file in files if not any(file.startswith(allowed) for allowed in MAY_IMPORT[library])}
        assert not strangers, f"{library} is imported by {strangers}"


def test_nobody_imports_the_doors() -> None:
    for path in SOURCES:
        assert not {"cli", "main"} & set(_imports(path)), _name(path)


def test_imports_run_down_the_floors() -> None:
    program = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*FOLDERS, "cli", "main"])
def test_no_installed_package_hides_ours(name: str) -> None:
    # functions-framework puts our folder behind the installed packages, so a package of the same name would win.
    spec = importlib.util.find_spec(name)

    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)
    others = importlib.metadata.packages_distributions().get(name, [])
    assert set(others) <= {"longreel"}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("cli", {"av", "numpy", "PIL", "rich", "yaml", "sqlite3", "gpu_job"}),
        ("main", {"av", "numpy", "sqlite3", "google.genai", "google.cloud.firestore", "google.cloud.storage", "typer"}),
        (
            "doors.outside",
            {"google.cloud.firestore", "google.cloud.storage", "google.genai", "google.api_core", "grpc"},
        ),
        ("doors.outside", {"firebase_admin", "requests", "av", "numpy", "sqlite3"}),
        ("functions.api", {"av", "numpy", "media", "sqlite3"}),
        ("functions.on_stitch_requested", {"av", "numpy", "sqlite3"}),
        ("pipeline.decide", {"media", "adapters", "functions", "av"}),
        ("media.splice", {"av", "numpy"}),
        ("media.probe", {"av", "numpy"}),
    ],
)
def test_a_door_loads_only_what_it_needs(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not forbidden & set(done.stdout.split())


def test_no_name_says_nothing() -> None:
    for path in SOURCES:
        assert path.stem not in {"utils", "util", "common", "helpers", "base", "manager", "misc"}, _name(path)


def test_no_committed_text_names_a_path_of_somebodys_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    marks = ("/wo" + "rk/", "/ro" + "ot/", "/tmp/bash" + "_jobs")

    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".json", ".in", ""}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [mark for mark in marks if mark in text], name
