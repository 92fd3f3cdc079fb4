"""What goes wrong with a loopback server on purpose, and the log of what it was asked."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.cloud.servers.http_messages import Answer, Refused, Request

#: Requests that the log keeps one by one; its counts go on.
LOGGED_REQUESTS_MAX = 10_000


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next requests."""

    #: Kind of request that it meets; None for any.
    kind: str | None = None
    #: Looks closer at the request; None for any.
    where: Callable[[Request], bool] | None = None
    #: How many requests it meets.
    times: int = 1
    #: How many requests are spared before.
    after: int = 0
    #: Answered instead of doing anything; None does it.
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    #: Word for programs in the error.
    reason: str = "backendError"
    #: What the error says to people.
    message: str = "this server was told to refuse it"
    #: Waited before anything is done.
    delay_seconds: float = 0
    #: Waited before each piece of the answer's body (PIECE_SIZE_BYTES at most).
    pause_seconds: float = 0
    #: The connection is cut after this many bytes of the answer's body.
    cut_after_bytes: int | None = None
    #: It is done, and the connection is cut instead of an answer.
    lose_answer: bool = False

    def meets(self, kind: str, request: Request) -> bool:
        return self.kind in {None, kind} and (self.where is None or self.where(request))

    def answer(self, status: int) -> Answer:
        """Give the error that is answered."""
        return Refused(status, self.message, self.reason, self.headers).answer()


@dataclass
class Logged:
    """One request and what came of it."""

    kind: str
    method: str
    path: str
    query: dict[str, str]
    #: 0 where the connection was cut instead.
    status: int = 0
    #: Bodies only.
    received_bytes: int = 0
    sent_bytes: int = 0


class RequestLog:
    """What was asked, by kind. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            #: The latest requests, one by one.
            self.requests: deque[Logged] = deque(maxlen=LOGGED_REQUESTS_MAX)
            #: Requests by kind.
            self.counts: Counter[str] = Counter()
            #: Bytes of bodies by kind.
            self.received_bytes: Counter[str] = Counter()
            self.sent_bytes: Counter[str] = Counter()

    def add(self, logged: Logged) -> None:
        with self._lock:
            self.requests.append(logged)
            self.counts[logged.kind] += 1
            self.received_bytes[logged.kind] += logged.received_bytes

    def add_sent(self, logged: Logged, size_bytes: int) -> None:
        with self._lock:
            logged.sent_bytes += size_bytes
            self.sent_bytes[logged.kind] += size_bytes

    def count(self, kind: str | None = None) -> int:
        """Give how many requests of a kind there were; None for all."""
        with self._lock:
            return self.counts.total() if kind is None else self.counts[kind]


class FaultQueue:
    """The faults that wait for a request. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault | None, fields: dict[str, Any]) -> None:
        """Queue a fault, given whole or by its fields."""
        with self._lock:
            self._faults.append(fault or Fault(**fields))

    def clear(self) -> None:
        """Forget what is still queued."""
        with self._lock:
            self._faults.clear()

    def next(self, kind: str, request: Request) -> Fault:
        """Take the first fault that meets this request; one that does nothing when there is none."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.meets(kind, request):
                    return self._take(index, fault)
        return Fault()

    def _take(self, index: int, fault: Fault) -> Fault:
        if fault.after:
            self._faults[index] = replace(fault, after=fault.after - 1)
            return Fault()
        if fault.times > 1:
            self._faults[index] = replace(fault, times=fault.times - 1)
        else:
            del self._faults[index]
        return fault
