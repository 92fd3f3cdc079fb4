"""Chromium with a page that listens to a job: the app's side of Longreel, driven from a test.

with Chromium(executable, sdk) as chromium:
    page = chromium.open_page(project, firestore_host, functions_host, "alice")
    job_id = page.create_job({"kind": "long_form", ...})["jobId"]
    page.listen(job_id)
    page.wait_for_state("completed")
    assert page.states() == ["queued", "generating", "stitching", "completed"]
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlencode, urlsplit

from tests.web.identity import unsigned_token
from tests.web.page_server import PageServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Longest that anything on the page may take; two slow, shared cores.
PATIENCE_SECONDS = 60
#: Loopback by number is all that this browser can find, whatever it or a page wants.
_FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--no-first-run",
)


class CallRefused(Exception):
    """A callable answered with an error.

    Args:
        code: as the SDK has it, such as `functions/already-exists`.
        message: its text; the SDK adds the HTTP status, ` [409]`.
        details: what came with it; None for nothing.
    """

    def __init__(self, code: str, message: str, details: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


class Chromium:
    """One browser and the server of its page; a context of its own for every page that is opened.

    Playwright's loop runs in this thread from entering to leaving: `asyncio.run` is refused in between.

    Args:
        executable: the system's Chromium.
        sdk: folder of the Firebase JS SDK's browser files, `node_modules/firebase`.
    """

    def __init__(self, executable: str, sdk: Path) -> None:
        self._executable = executable
        self._server = PageServer(Path(__file__).parent, sdk)
        self._exits = ExitStack()
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        with ExitStack() as exits:
            exits.enter_context(self._server)
            playwright = exits.enter_context(sync_playwright())
            # Chromium has no sandbox for root, who runs containers; the pages are our own.
            self._browser = playwright.chromium.launch(
                executable_path=self._executable, args=list(_FLAGS), chromium_sandbox=os.geteuid() != 0
            )
            exits.callback(self._browser.close)
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exits.close()

    def open_page(
        self,
        project: str,
        firestore_host: str,
        functions_host: str | None = None,
        uid: str | None = None,
        region: str = "us-central1",
    ) -> ListenerPage:
        """Open the page as a user of their own, signed in, listening to nothing yet.

        Args:
            project: id of the project; begins with `demo-`.
            firestore_host: `127.0.0.1:port` of the Firestore emulator.
            functions_host: `127.0.0.1:port` where callables answer at `/{project}/{region}/{name}`; None for none.
            uid: who is at the page; None for somebody who does not sign in.
            region: of the callables.
        """
        assert self._browser is not None, "open a page: the browser is not running; use `with`"
        asked = {"project": project, "firestore": firestore_host, "region": region}
        if functions_host is not None:
            asked["functions"] = functions_host
        if uid is not None:
            asked["token"] = unsigned_token(project, uid)
        opened = ListenerPage(self._browser.new_context(viewport={"width": 900, "height": 640}).new_page())
        opened.page.goto(f"{self._server.url}/listener.html?{urlencode(asked)}")
        opened.page.wait_for_function("window.longreel !== undefined")
        opened.page.evaluate("longreel.ready")
        return opened


@dataclass
class ListenerPage:
    """One open page. What it saw is a list of events, each with `at`: milliseconds since 1970 on the page's clock.

    | kind | fields |
    |---|---|
    | job | jobId, exists, data: the document or None |
    | segments | jobId, data: {index: document} |
    | error | on (`job` or `segments`), jobId, code, message |
    """

    page: Page
    #: What the page printed as an error or threw, in order.
    complaints: list[str] = field(default_factory=list)
    #: Addresses outside this machine that the page wanted; the browser finds none of them.
    strays: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if urlsplit(url).hostname != "127.0.0.1":
            self.strays.append(url)

    def create_job(self, data: Mapping[str, Any]) -> Any:
        """Call `createJob`; give its result.

        Raises:
            CallRefused: it answered with an error.
        """
        return self.call("createJob", data)

    def call(self, name: str, data: Mapping[str, Any]) -> Any:
        """Call a callable function from the page; give its result.

        Raises:
            CallRefused: it answered with an error.
        """
        answer = self.page.evaluate(
            """([name, data]) => longreel.call(name, data).then(
                (result) => ({ result }),
                ({ code, message, details }) => ({ error: { code, message, details: details ?? null } }))""",
            [name, dict(data)],
        )
        if "error" in answer:
            raise CallRefused(**answer["error"])
        return answer.get("result")

    def listen(self, job_id: str) -> None:
        """Listen to a job and its segments from now on, and to no other."""
        self.page.evaluate("jobId => longreel.listen(jobId)", job_id)

    def stop(self) -> None:
        """Listen to nothing."""
        self.page.evaluate("longreel.stop()")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Give the events of a kind, in order."""
        found = self.page.evaluate("kind => longreel.events.filter((each) => each.kind === kind)", kind)
        assert isinstance(found, list)
        return found

    def states(self) -> list[str]:
        """Give the states that the job was seen in, in order, each once in a row."""
        seen = [event["data"]["state"] for event in self.events("job") if event["exists"]]
        return [state for state, before in zip(seen, [None, *seen], strict=False) if state != before]

    def segment_states(self, index: int) -> list[str]:
        """Give the states that a segment was seen in, in order, each once in a row."""
        seen = [event["data"][str(index)]["state"] for event in self.events("segments") if str(index) in event["data"]]
        return [state for state, before in zip(seen, [None, *seen], strict=False) if state != before]

    def wait_for_state(self, state: str) -> None:
        """Wait until the job has been seen in a state."""
        self.wait_for_job("state", state)

    def wait_for_job(self, name: str, value: object) -> None:
        """Wait until the job has been seen with a value in a field."""
        self._wait("([name, value]) => longreel.events.some((each) => each.data?.[name] === value)", [name, value])

    def wait_for_segment(self, index: int, state: str) -> None:
        """Wait until a segment has been seen in a state."""
        self._wait("([i, s]) => longreel.events.some((e) => e.data?.[i]?.state === s)", [str(index), state])

    def wait_for_errors(self, count: int) -> None:
        """Wait until as many listeners have been refused."""
        self._wait("count => longreel.events.filter((each) => each.kind === 'error').length >= count", count)

    def _wait(self, condition: str, argument: object) -> None:
        # Asked every few milliseconds, not once a drawn frame: a page in the background draws none.
        self.page.wait_for_function(condition, arg=argument, polling=10)

    def commit_to_page_ms(self) -> list[float]:
        """Give how long every change of the job took to the page, in order, from what its `updatedAt` says.

        That is read off a clock before the commit is sent, so this is more than the way from commit to page. What the
        listener found when it began is left out: it is as old as it is.
        """
        ahead = self._clock_ahead_ms()
        seen = [(event["at"], event["data"]["updatedAt"]) for event in self.events("job") if event["exists"]]
        return [at - ahead - (when["seconds"] * 1000 + when["nanoseconds"] / 1e6) for at, when in seen[1:]]

    def _clock_ahead_ms(self) -> float:
        # The page's clock began with the page and was never set since, so it drifts away from that of the system.
        before = time.time()
        page = self.page.evaluate("performance.timeOrigin + performance.now()")
        return float(page) - 500 * (before + time.time())

    def screenshot(self, path: Path) -> Path:
        """Write what the page shows as a PNG file."""
        self.page.screenshot(path=path)
        return path

    def text(self) -> str:
        """Give the text that the page shows."""
        return self.page.inner_text("main")

    def close(self) -> None:
        """Close the page and forget its user."""
        self.page.context.close()


class OpenPage(Protocol):
    """What the fixture `open_page` gives: the page in a test's own project, closed after the test."""

    def __call__(self, uid: str | None, functions_host: str | None = None) -> ListenerPage:
        """Open the page as a user, or as nobody."""
