"""What a test does to the process of all functions: moves its clock, loses messages, kills it at a chosen line.

Real time is the one thing that is not Google's: the functions read a clock that is ahead by as much as a test says,
and what Pub/Sub says of times is moved by what the clock was ahead at that time.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import RawArray, RawValue
from typing import Any

from adapters.system_clock import SystemClock
from functions.services import Services

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: How often a clock may be moved.
ADVANCES_MAX = 10_000


class Shared:
    """What outlives a process that is killed: memory that it shares with the one that starts it anew."""

    def __init__(self) -> None:
        self._advances: Any = RawArray("d", 2 * ADVANCES_MAX)
        self._advanced: Any = RawValue("q", 0)
        #: Lines until the process dies; 0 lets it live.
        self.lines_left: Any = RawValue("q", 0)
        #: Only lines of this name count; every line where it is empty.
        self.line_named: Any = RawArray("c", 200)
        #: Only lines in work on this job count; those of every job where it is empty.
        self.job: Any = RawArray("c", 200)
        self.died_at: Any = RawArray("c", 200)

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, from now on."""
        number = self._advanced.value
        before = self._advances[2 * number - 1] if number else 0.0
        self._advances[2 * number] = datetime.now(UTC).timestamp()
        self._advances[2 * number + 1] = before + seconds
        self._advanced.value = number + 1

    def ahead(self, at: datetime) -> timedelta:
        """Give how far the clock was ahead of this machine's at one of its times."""
        for number in reversed(range(self._advanced.value)):
            if self._advances[2 * number] <= at.timestamp():
                return timedelta(seconds=self._advances[2 * number + 1])
        return timedelta(0)


class MovedClock(SystemClock):
    """The real clock, ahead of its time."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def now(self) -> datetime:
        """Give the time that the functions believe in."""
        now = super().now()
        return now + self._shared.ahead(now)


class Trap:
    """Kills this process by -9 at a line, as when a machine is taken away."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._lock = threading.Lock()

    def line(self, name: str, job_id: str) -> None:
        """Pass a line, or die at it."""
        shared = self._shared
        with self._lock:
            if shared.lines_left.value == 0:
                return
            if shared.line_named.value not in (b"", name.encode()) or shared.job.value not in (b"", job_id.encode()):
                return
            shared.lines_left.value -= 1
            if shared.lines_left.value == 0:
                shared.died_at.value = name.encode()
                os.kill(os.getpid(), signal.SIGKILL)


#: Method → the word for it, and whose job its first argument tells of.
LINES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "create": ("create", lambda job: job.job_id),
    "transact": ("commit", str),
    "publish": ("publish", lambda outgoing: getattr(outgoing[0].message, "job_id", "") if outgoing else ""),
    "submit": ("submit", lambda order: order.job_id),
    "start": ("start", lambda plan: plan.job_id),
}


class Mortal:
    """Something outside, on a machine that may die before or after each change that it makes there."""

    def __init__(self, inner: Any, trap: Trap) -> None:
        self._inner = inner
        self._trap = trap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in LINES:
            return found
        word, job_of = LINES[name]

        def between_lines(first: Any, *others: Any) -> Any:
            self._trap.line(f"before {word}", job_of(first))
            answer = found(first, *others)
            self._trap.line(f"after {word}", job_of(first))
            return answer

        return between_lines


class MortalStitcher(Mortal):
    """A stitcher that is looked at for what it can, so that what it can must stand here."""

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Ask the engines."""
        owner: tuple[str, int] | None = self._inner.owner_of(operation)
        return owner


def mortal(services: Services, trap: Trap) -> Services:
    """Let the process die at the lines before and after all that changes something outside."""
    return replace(
        services,
        jobs=Mortal(services.jobs, trap),
        bus=Mortal(services.bus, trap),
        stitcher=MortalStitcher(services.stitcher, trap),
        generators={name: Mortal(each, trap) for name, each in services.generators.items()},
    )


@dataclass
class Loss:
    """Messages that are lost: acknowledged, and nobody is called."""

    function: str
    #: Field of the message → its value; a text only has to begin so.
    fields: dict[str, Any]
    #: How many; None for all.
    times: int | None = 1

    def meets(self, function: str, message: dict[str, Any]) -> bool:
        """Tell whether it is about this message."""
        return self.function == function and all(_fits(message.get(name), value) for name, value in self.fields.items())


@dataclass
class Deliveries:
    """Sees every message before its function does."""

    shared: Shared
    lock: threading.Lock = field(default_factory=threading.Lock)
    losses: list[Loss] = field(default_factory=list)
    #: `{function, message}` of each that was lost.
    lost: list[dict[str, Any]] = field(default_factory=list)
    #: `{function, message, status}` of each that a function was called with, in the order of their ends.
    delivered: list[dict[str, Any]] = field(default_factory=list)
    #: Calls that run now.
    running: int = 0

    def watched(self, function: str, app: App) -> App:
        """Give an app that loses what it should."""

        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            envelope = json.loads(body)
            message = _message(envelope)
            if self._loses(function, message):
                start_response("204 No Content", [])
                return []
            body = json.dumps(self._moved(envelope)).encode()
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            return self._called(function, message, app, environ, start_response)

        return call

    def _called(
        self,
        function: str,
        message: dict[str, Any],
        app: App,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        entry = {"function": function, "message": message, "status": 0}

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            entry["status"] = int(status.partition(" ")[0])
            return start_response(status, headers, *rest)

        with self.lock:
            self.running += 1
        try:
            # Read to its end here, so that it has run when it is counted.
            return [b"".join(app(environ, begin))]
        finally:
            with self.lock:
                self.running -= 1
                self.delivered.append(entry)

    def _loses(self, function: str, message: dict[str, Any]) -> bool:
        with self.lock:
            for loss in self.losses:
                if loss.meets(function, message):
                    if loss.times is not None:
                        loss.times -= 1
                        if loss.times == 0:
                            self.losses.remove(loss)
                    self.lost.append({"function": function, "message": message})
                    return True
        return False

    def _moved(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Let Pub/Sub tell the functions' time."""
        message = envelope["message"]
        for name in ("publishTime", "publish_time"):
            at = datetime.fromisoformat(message[name])
            moved = at + self.shared.ahead(at)
            message[name] = moved.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        return envelope


@dataclass
class Controls:
    """`GET /control` tells how it is; `POST /control` changes it."""

    shared: Shared
    deliveries: Deliveries

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self._do(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(self._told()).encode()]

    def _do(self, orders: dict[str, Any]) -> None:
        if "advanceSeconds" in orders:
            self.shared.advance(orders["advanceSeconds"])
        if "dieAtLine" in orders:
            self.shared.died_at.value = b""
            self.shared.job.value = orders.get("job", "").encode()
            self.shared.line_named.value = orders.get("lineNamed", "").encode()
            self.shared.lines_left.value = orders["dieAtLine"]
        with self.deliveries.lock:
            self.deliveries.losses += [Loss(**each) for each in orders.get("lose", [])]

    def _told(self) -> dict[str, Any]:
        with self.deliveries.lock:
            return {
                "pid": os.getpid(),
                "now": MovedClock(self.shared).now().isoformat(),
                "diedAt": self.shared.died_at.value.decode(),
                "running": self.deliveries.running,
                "lost": self.deliveries.lost,
                "delivered": self.deliveries.delivered,
            }


def _message(envelope: dict[str, Any]) -> dict[str, Any]:
    """Give the message of a push as a JSON object; empty where somebody published something else by hand."""
    try:
        message = json.loads(base64.b64decode(envelope["message"].get("data") or ""))
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str) and found.startswith(wanted)
    return bool(found == wanted)
