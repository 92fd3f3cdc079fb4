"""Looking at log lines as the cloud's doors and the embedded home write them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from cloudevents.http import CloudEvent

from adapters.pubsub import too_early
from doors.logs import formatter
from doors.receive import Receiver
from embedded.log import JsonLines
from events.messages import Topic
from functions import on_requested
from tests.functions.test_main import ATTEMPTS_MAX, Ledger
from tests.functions.world import World


class Logged:
    """What was written so far."""

    def __init__(self, *streams: StringIO) -> None:
        self._streams = streams

    @property
    def text(self) -> str:
        """Give all that was written."""
        return "".join(stream.getvalue() for stream in self._streams)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Give each line, read."""
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def logged(*formatters: logging.Formatter) -> Iterator[Logged]:
    """Write our log lines, and those of all others, by each of the formatters: else as in the cloud."""
    handlers = []
    for each in formatters or (formatter("demo-doors"),):
        handler = logging.StreamHandler(StringIO())
        handler.setFormatter(each)
        handlers.append(handler)
    root, ours = logging.getLogger(), logging.getLogger("longreel")
    before = ours.level, ours.propagate
    root.handlers += handlers
    ours.setLevel(logging.INFO)
    ours.propagate = True
    try:
        yield Logged(*(handler.stream for handler in handlers))
    finally:
        ours.level, ours.propagate = before
        for handler in handlers:
            root.removeHandler(handler)


def both_columns() -> tuple[logging.Formatter, logging.Formatter]:
    """Give what makes lines in the cloud, and what makes them in a home."""
    return formatter("demo-doors"), JsonLines()


def deliver_unreadable(world: World, body: str) -> None:
    """Deliver a message that no function can read to one, so that it is buried."""
    ledger = Ledger()
    receiver = Receiver(world.services, ledger, ledger, ATTEMPTS_MAX, too_early)
    data = {"message": {"data": base64.b64encode(body.encode()).decode(), "messageId": "1"}}
    receiver.take(CloudEvent({"type": "t", "source": "s", "id": "1"}, data), Topic.REQUESTED, on_requested.handle)
