"""Pub/Sub, ready for the contract: the product's bus and dead letters over the official emulator.

Time is twofold here. What the product decides (is a message due yet?) goes by the test's clock; what Pub/Sub decides
(when does a refused message come again, when is a lease over?) goes by the wall. So `advance` moves the first and
then waits, for seconds, until everything that Pub/Sub owes has come back.

A worker is what a door is: it takes deliveries, refuses what is early, and says of each what became of it. It pulls,
where a door is pushed to, because the emulator pushes only two messages at a time.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.pubsub import PubSubBus, too_early
from adapters.pubsub_clients import publisher_client, subscriber_client
from adapters.pubsub_dead_letters import DeadLetters
from events.messages import Topic
from pipeline.ports import Delivery
from tests.cloud import emulators
from tests.cloud.topology import Topology, create_topology, remove_topology
from tests.contract.rigs import Dead, Held, VirtualClock

if TYPE_CHECKING:
    from google.pubsub_v1 import ReceivedMessage

#: Deliveries until the door buries a message; as LONGREEL_DELIVERY_ATTEMPTS_MAX, but small, because each costs seconds.
ATTEMPTS_MAX = 4
#: Of the retry policy.
MIN_BACKOFF = timedelta(seconds=1)
#: How long a worker that lives holds a message, whatever it does: longer than any function may run.
LIVING_LEASE_SECONDS = 600
#: When Pub/Sub gives away what a dead worker held. Source: the shortest ack deadline that there is.
DEAD_LEASE_SECONDS = 10
#: Longest that Pub/Sub may take to bring back what it owes.
OWED_SECONDS = 60
#: Longest that any call, and any child process, may take.
CALL_SECONDS, CHILD_SECONDS = 20, 60

#: What a worker has taken: the topic, and the message with the word to answer it by.
Taken = tuple[Topic, "ReceivedMessage"]

absent = emulators.missing


class Inbox:
    """What Pub/Sub has for the workers of one test, and what it still owes them."""

    def __init__(self, topology: Topology, host: str) -> None:
        self._subscriptions = topology.subscriptions
        self._client = subscriber_client(host)
        #: Guards what follows.
        self._guard = threading.Lock()
        #: Ids of messages that Pub/Sub is to bring again.
        self._owed: set[str] = set()
        #: When a message was refused last, by the wall.
        self._refused_at: dict[str, float] = {}
        #: Came again, and nobody has taken them yet.
        self._back: dict[str, Taken] = {}

    def take(self, limit: int) -> list[Taken]:
        """Take up to `limit` messages, from those that came back and from Pub/Sub."""
        with self._guard:
            ready = [key for key in self._back if not self._came_too_soon(key)][:limit]
            taken = [self._back.pop(key) for key in ready]
        for topic in self._subscriptions:
            if room := limit - len(taken):
                taken += self._pull(topic, room)
        return taken

    def acknowledge(self, taken: Taken) -> None:
        """Say that a message was handled."""
        topic, each = taken
        self._client.acknowledge(subscription=self._subscriptions[topic], ack_ids=[each.ack_id], timeout=CALL_SECONDS)

    def refuse(self, taken: Taken) -> None:
        """Say that a message was not handled; the retry policy brings it again."""
        with self._guard:
            self._owed.add(taken[1].message.message_id)
            self._refused_at[taken[1].message.message_id] = time.monotonic()
        self._lease(*taken, seconds=0)

    def owe(self, message_ids: list[str]) -> None:
        """Expect back what somebody died with."""
        with self._guard:
            self._owed.update(message_ids)

    def bring_back(self) -> None:
        """Wait until everything that was refused, or that somebody died with, is here again."""
        deadline = time.monotonic() + OWED_SECONDS
        while self._owed or any(map(self._came_too_soon, self._back)):
            assert time.monotonic() < deadline, f"Pub/Sub still owes {len(self._owed)} messages"
            for topic in self._subscriptions:
                pulled = self._pull(topic, 1000)
                with self._guard:
                    self._back |= {each.message.message_id: (topic, each) for topic, each in pulled}
            threading.Event().wait(0.05)

    def _pull(self, topic: Topic, limit: int) -> list[Taken]:
        from google.pubsub_v1 import PullRequest

        # "What is there now" is what a test must know, and only this deprecated flag says it; the client would warn.
        request = PullRequest(subscription=self._subscriptions[topic], max_messages=limit, return_immediately=True)
        pull: Any = self._client.transport.pull
        pulled: list[Taken] = [(topic, each) for each in pull(request, timeout=CALL_SECONDS).received_messages]
        for each in pulled:
            self._lease(*each, seconds=LIVING_LEASE_SECONDS)
        with self._guard:
            ids = {each.message.message_id: (topic, each) for topic, each in pulled}
            self._owed -= ids.keys()
            hurried = {key: taken for key, taken in ids.items() if self._came_too_soon(key)}
            self._back |= hurried
        return [taken for key, taken in ids.items() if key not in hurried]

    def _came_too_soon(self, message_id: str) -> bool:
        # The emulator brings what was refused for the first time back at once. That is a fault of its own: Pub/Sub
        # waits as the retry policy says, and nobody here sees the message before that time.
        refused_at = self._refused_at.get(message_id)
        return refused_at is not None and time.monotonic() - refused_at < MIN_BACKOFF.total_seconds()

    def _lease(self, topic: Topic, each: ReceivedMessage, seconds: int) -> None:
        self._client.modify_ack_deadline(
            subscription=self._subscriptions[topic],
            ack_ids=[each.ack_id],
            ack_deadline_seconds=seconds,
            timeout=CALL_SECONDS,
        )


class RealTimeClock(VirtualClock):
    """The test's clock; whoever advances it also waits for what Pub/Sub owes."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    def advance(self, wait: timedelta) -> None:
        super().advance(wait)
        self._inbox.bring_back()


class PubSubWorker:
    """A door's way with messages, for messages that are pulled."""

    def __init__(self, inbox: Inbox, letters: DeadLetters, clock: VirtualClock) -> None:
        self._inbox = inbox
        self._letters = letters
        self._clock = clock

    def take(self, limit: int = 100) -> list[Held]:
        due = []
        for taken in self._inbox.take(limit):
            if too_early(taken[1].message.attributes, self._clock.now()) is None:
                due.append(self._held(taken))
            else:
                self._inbox.refuse(taken)
        return due

    def _held(self, taken: Taken) -> Held:
        topic, each = taken
        return Held(
            Delivery(topic, each.message.data.decode(), each.delivery_attempt),
            ack=partial(self._inbox.acknowledge, taken),
            fail=partial(self._fail, taken),
            refuse=partial(self._bury, taken),
            give_back=partial(self._inbox.refuse, taken),
        )

    def _fail(self, taken: Taken, reason: str) -> None:
        if taken[1].delivery_attempt >= ATTEMPTS_MAX:
            self._bury(taken, reason)
        else:
            self._inbox.refuse(taken)

    def _bury(self, taken: Taken, reason: str) -> None:
        topic, each = taken
        message = each.message
        attempts, now = each.delivery_attempt, self._clock.now()
        self._letters.bury(topic, message.data, reason, attempts, message.message_id, now, message.attributes)
        self._inbox.acknowledge(taken)


_KILLED = """
import sys
from adapters.pubsub_clients import subscriber_client
host, subscription, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
pulled = subscriber_client(host).pull(subscription=subscription, max_messages=limit, timeout=20)
print(*(each.message.message_id for each in pulled.received_messages), flush=True)
sys.stdin.read()
"""
_PUBLISHES = """
import sys
from adapters.pubsub import PubSubBus
from adapters.pubsub_clients import publisher_client
from events.messages import Requested
from pipeline.commands import Outgoing
host, project, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
bus = PubSubBus(project, client=lambda: publisher_client(host))
for number in range(count):
    bus.publish([Outgoing(Requested(job_id=f"job_other{number}"))])
"""


class PubSubBusRig:
    """Topics and subscriptions of a project of its own."""

    #: Pub/Sub leases by the clock: it tells nobody that a worker died, counts what was given back, and sets the waits.
    leases_by_owner = False

    def __init__(self, host: str) -> None:
        self._host = host
        self._topology = create_topology(
            emulators.fresh_project(),
            None,
            min_backoff=MIN_BACKOFF,
            ack_deadline_seconds=DEAD_LEASE_SECONDS,
            dead_letter_after=100,
            emulator_host=host,
        )
        publisher, subscriber = partial(publisher_client, host), partial(subscriber_client, host)
        project = self._topology.project
        self._letters = DeadLetters(project, publisher=publisher, subscriber=subscriber, patience_seconds=0.5)
        self._inbox = Inbox(self._topology, host)
        self.bus = PubSubBus(project, client=publisher)
        self.clock = RealTimeClock(self._inbox)

    def worker(self) -> PubSubWorker:
        return PubSubWorker(self._inbox, self._letters, self.clock)

    def killed_worker(self, take: int) -> None:
        subscription = self._topology.subscriptions[Topic.SEGMENT_REQUESTED]
        command = [sys.executable, "-c", _KILLED, self._host, subscription, str(take)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            ids = child.stdout.readline().split()
            assert len(ids) == take
            child.kill()
            child.wait(CHILD_SECONDS)
        self._inbox.owe(ids)

    def dead_letters(self) -> list[Dead]:
        return [
            Dead(each.topic, each.body, each.reason, partial(self._letters.replay, [each.message_id]))
            for each in self._letters.list()
        ]

    def another_process_publishes(self, count: int) -> None:
        command = [sys.executable, "-c", _PUBLISHES, self._host, self._topology.project, str(count)]
        subprocess.run(command, check=True, timeout=CHILD_SECONDS)

    def close(self) -> None:
        remove_topology(self._topology, emulator_host=self._host)


def message_bus(_folder: Path) -> Iterator[PubSubBusRig]:
    rig = PubSubBusRig(emulators.pubsub_host())
    yield rig
    rig.close()
