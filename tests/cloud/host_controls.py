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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import RawArray, RawValue
from typing import Any

from adapters.system_clock import SystemClock
from pipeline.ports import JobStore, MessageBus
from pipeline.work_ports import Gone, Quote, RenderOrder, Running, Started, Stitcher, Stopped
from tests.functions.doubles import FaultyBus, FaultyJobStore, FaultyStitcher, Trap

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
        #: Lines that were passed since.
        self.lines_passed: Any = RawValue("q", 0)
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


class DeadlyTrap(Trap):
    """Kills this process by -9 at a line, as when a machine is taken away."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self._shared = shared
        self._lock = threading.Lock()

    def line(self, name: str) -> None:
        """Pass a line, or die at it."""
        with self._lock:
            self._shared.lines_passed.value += 1
            left = self._shared.lines_left.value
            if left == 0:
                return
            self._shared.lines_left.value = left - 1
            if left == 1:
                self._shared.died_at.value = name.encode()
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class MortalGenerator:
    """A paid generator on a machine that may die before or after each order."""

    generator: Any
    trap: Trap

    @property
    def resubmittable(self) -> bool:
        resubmittable: bool = self.generator.resubmittable
        return resubmittable

    def check(self, *arguments: Any) -> Quote:
        quote: Quote = self.generator.check(*arguments)
        return quote

    def submit(self, order: RenderOrder) -> Started:
        self.trap.line("before submit")
        started: Started = self.generator.submit(order)
        self.trap.line("after submit")
        return started

    def poll(self, operation: str) -> Running | Stopped | Gone:
        answer: Running | Stopped | Gone = self.generator.poll(operation)
        return answer

    def cancel(self, operation: str) -> None:
        self.generator.cancel(operation)


class MortalStitcher(FaultyStitcher):
    """The routed stitcher, likewise; it still knows whose a piece of work is."""

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Ask the engines."""
        owner: tuple[str, int] | None = self.stitcher.owner_of(operation)  # type: ignore[attr-defined] # it finds owners
        return owner


def mortal(services: Any, trap: Trap) -> dict[str, Any]:
    """Give the fields of `Services` that pass a line before and after whatever they change outside."""
    jobs: JobStore = services.jobs
    bus: MessageBus = services.bus
    stitcher: Stitcher = services.stitcher
    paid = {name: MortalGenerator(services.generators[name], trap) for name in ("veo", "omni")}
    return {
        "jobs": FaultyJobStore(jobs, trap),
        "bus": FaultyBus(bus, trap),
        "stitcher": MortalStitcher(stitcher, trap),
        "generators": {**services.generators, **paid},
    }


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
            self.shared.lines_passed.value = 0
            self.shared.lines_left.value = orders["dieAtLine"]
        with self.deliveries.lock:
            self.deliveries.losses += [Loss(**each) for each in orders.get("lose", [])]

    def _told(self) -> dict[str, Any]:
        with self.deliveries.lock:
            return {
                "pid": os.getpid(),
                "now": MovedClock(self.shared).now().isoformat(),
                "diedAt": self.shared.died_at.value.decode(),
                "linesPassed": self.shared.lines_passed.value,
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
