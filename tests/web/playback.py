"""A cinema: Chromium plays films from a loopback server that answers requests for ranges, and tells what it showed.

with Cinema(executable) as cinema:
    showing = cinema.play(film, rate=0.5)
    assert showing.frames == [(1, 0), (1, 1), ...]
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.web.files_server import FilesHandler, FilesServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PAGE = Path(__file__).with_name("playback.html")
_PATIENCE_SECONDS = 120
_FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)
#: (clip, frame) as written in a picture.
Frame = tuple[int, int]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Showing:
    """What one film's playing showed."""

    #: Every frame that was put before the viewer and looked at, in order.
    frames: list[Frame]
    #: When each was due, in seconds of the film.
    times: list[float]
    #: How many frames were put before the viewer, as Chromium counted.
    presented: int
    decoded: int
    #: Frames that were decoded and came too late to be shown.
    dropped: int
    duration: float
    ended_at: float
    #: What stood there at the end.
    last: Frame
    #: Tracks of text that the page could switch on.
    text_tracks: int

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """Take it out of what the page gave."""
        frames = found["frames"]
        return cls(
            frames=[(each["shown"][0], each["shown"][1]) for each in frames],
            times=[each["at"] for each in frames],
            presented=frames[-1]["count"] if frames else 0,
            decoded=found["decoded"],
            dropped=found["dropped"],
            duration=found["duration"],
            ended_at=found["endedAt"],
            last=(found["last"][0], found["last"][1]),
            text_tracks=found["textTracks"],
        )


class Cinema:
    """One browser and one server. Playwright's loop has a thread of its own: another fixture may have one as well.

    Args:
        executable: the system's Chromium.
    """

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._server = _FilmServer()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cinema")
        self._exits = ExitStack()
        self._page: Page | None = None

    def __enter__(self) -> Self:
        self._exits.enter_context(self._server)
        try:
            self._in_thread(self._open)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._in_thread(self._exits.close)
        self._thread.shutdown()

    def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return self._thread.submit(work).result()

    def _open(self) -> None:
        from playwright.sync_api import sync_playwright

        playwright = self._exits.enter_context(sync_playwright())
        # Chromium has no sandbox for root, who runs containers; the page is our own.
        browser = playwright.chromium.launch(
            executable_path=self._executable, args=list(_FLAGS), chromium_sandbox=os.geteuid() != 0
        )
        self._exits.callback(browser.close)
        self._page = browser.new_page()
        self._page.set_default_timeout(_PATIENCE_SECONDS * 1000)
        self._page.goto(f"{self._server.url}/")

    def play(self, films: Sequence[Path], rate: float) -> list[Showing]:
        """Play films from start to end, all at once; an error of the decoder raises.

        Args:
            films: MP4s whose frames have barcodes.
            rate: speed; 1 is normal.
        """
        found = self._ask("longreel.play(urls, rest)", films, rate)
        return [Showing.of(each) for each in found]

    def seek(self, films: Sequence[Path], times: Sequence[float]) -> list[list[Frame]]:
        """Give which frame each film shows after jumping to each of some times, in seconds."""
        found = self._ask("longreel.seek(urls, rest)", films, list(times))
        return [[(clip, frame) for clip, frame in each] for each in found]

    def _ask(self, call: str, films: Sequence[Path], rest: object) -> Any:
        page = self._page
        assert page is not None, "play a film: the browser is not running; use `with`"
        urls = [self._server.add(film) for film in films]
        return self._in_thread(lambda: page.evaluate(f"([urls, rest]) => {call}", [urls, rest]))


class _FilmServer(FilesServer):
    """Serves the page and films until it is left."""

    def __init__(self) -> None:
        super().__init__(_Handler, {"/": _PAGE})

    def add(self, film: Path) -> str:
        """Give the address at which a film is served from now on."""
        path = f"/{len(self.files)}/{film.name}"
        self.files[path] = film
        return f"{self.url}{path}"


class _Handler(FilesHandler):
    def serve(self, path: Path) -> None:
        data = path.read_bytes()
        kind = "text/html; charset=utf-8" if path == _PAGE else "video/mp4"
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self.answer(HTTPStatus.OK, data, kind, Accept_Ranges="bytes")
            return
        start, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else len(data), len(data))
        content_range = f"bytes {start}-{end - 1}/{len(data)}"
        self.answer(
            HTTPStatus.PARTIAL_CONTENT, data[start:end], kind, Accept_Ranges="bytes", Content_Range=content_range
        )
