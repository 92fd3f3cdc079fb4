"""What the web tests stand on: Node, the Firebase JS SDK, Chromium; each says how to get it when it is not here."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cloud import emulators
from tests.web.browser import Chromium, ListenerPage, OpenPage
from tests.web.firestore_rest import RULES, FirestoreRest
from tests.web.playback import Cinema

_WEB = Path(__file__).parent
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def _absent(reason: str) -> NoReturn:
    """Skip on a laptop, fail where `CI` is set."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="package")
def node_modules() -> Path:
    """Give the folder that has the Firebase JS SDK in the version of the lockfile."""
    if shutil.which("node") is None:
        _absent("there is no Node.js here; install Node.js 20 or later, then run: npm ci --prefix tests/web")
    pinned = json.loads((_WEB / "package.json").read_text(encoding="utf-8"))["devDependencies"]["firebase"]
    if _installed() != pinned:
        _absent(f"the Firebase JS SDK {pinned} is not installed; run: npm ci --prefix tests/web")
    return _WEB / "node_modules"


def _installed() -> str | None:
    modules = _WEB / "node_modules"
    # npm writes this last, so an install that broke off is none.
    if not (modules / ".package-lock.json").is_file():
        return None
    version: str = json.loads((modules / "firebase" / "package.json").read_text(encoding="utf-8"))["version"]
    return version


@pytest.fixture(scope="package")
def chromium_program() -> str:
    """Give the path of the system's Chromium, where Playwright can drive it."""
    if importlib.util.find_spec("playwright") is None:
        _absent("Playwright is not installed; run: pip install playwright")
    executable = next((found for name in _CHROMIUMS if (found := shutil.which(name))), None)
    if executable is None:
        _absent("there is no Chromium here; install your system's chromium package")
    return executable


@pytest.fixture(scope="package")
def chromium(chromium_program: str, node_modules: Path) -> Iterator[Chromium]:
    """Give a running browser; it ends with this package's tests, and Playwright's loop with it."""
    with Chromium(chromium_program, node_modules / "firebase") as browser:
        yield browser


@pytest.fixture(scope="module")
def cinema(chromium_program: str) -> Iterator[Cinema]:
    """Give a running browser that plays films, a module's own."""
    with Cinema(chromium_program) as opened:
        yield opened


@pytest.fixture(scope="package")
def firestore_host() -> str:
    """Give `host:port` of the Firestore emulator."""
    if (reason := emulators.missing()) is not None:
        _absent(reason)
    return emulators.firestore_host()


@pytest.fixture
def database(firestore_host: str, monkeypatch: pytest.MonkeyPatch) -> FirestoreRest:
    """Give an empty project under our rules; Google's Python clients made in this test go to the emulator."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_host)
    found = FirestoreRest(firestore_host, emulators.fresh_project())
    assert found.release_rules(RULES.read_text(encoding="utf-8")) == []
    return found


@pytest.fixture
def open_page(chromium: Chromium, database: FirestoreRest) -> Iterator[OpenPage]:
    """Give a function that opens a page as a user, or as nobody; the pages are closed after the test."""
    with ExitStack() as exits:

        def opened(uid: str | None, functions_host: str | None = None) -> ListenerPage:
            page = chromium.open_page(database.project, database.host, functions_host, uid)
            exits.callback(page.close)
            return page

        yield opened
