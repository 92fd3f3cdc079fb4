"""Twenty films of eight segments at once: all are made, nothing is bought twice, and no job is over its width."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from tests.cloud.ordered import bought, check_made_for_its_price, once, order, wait_until_quiet
from tests.cloud.servers.storage_objects import StoredObject
from tests.cloud.servers.vertex import Order
from tests.cloud.stack import LocalCloud

FILMS, SEGMENTS, WIDTH = 20, 8, 3
#: On two slow cores that others use as well.
LONGEST_SECONDS = 120


class InFlight(list[Order]):
    """What was bought, and how many orders of a job were under way at once: taken, and nothing landed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._under_way: dict[str, set[str]] = {}
        #: Job → the most at once.
        self.most: Counter[str] = Counter()

    def append(self, order: Order) -> None:
        """Take note of an order."""
        job_id, place = _place(order.prefix.split("/", 3)[3])
        with self._lock:
            super().append(order)
            under_way = self._under_way.setdefault(job_id, set())
            under_way.add(place)
            self.most[job_id] = max(self.most[job_id], len(under_way))

    def landed(self, made: StoredObject) -> None:
        """Take note of an object, before anybody hears of it."""
        if "/segments/" in made.name:
            job_id, place = _place(made.name)
            with self._lock:
                self._under_way[job_id].discard(place)


def _place(name: str) -> tuple[str, str]:
    """Give the job, and the segment with its attempt."""
    _, job_id, _, index, attempt, *_ = name.split("/")
    return job_id, f"{index}/{attempt}"


@pytest.fixture
def cloud(needs_emulators: None) -> Iterator[LocalCloud]:
    with LocalCloud(latency_seconds=0.3) as cloud:
        yield cloud


def test_twenty_films_of_eight_segments_at_once(cloud: LocalCloud) -> None:
    in_flight = InFlight()
    cloud.vertex.bought = in_flight
    cloud.storage.events.listeners.append(in_flight.landed)
    began = time.monotonic()

    with ThreadPoolExecutor(FILMS) as apps:
        jobs = list(
            apps.map(lambda number: order(cloud, f"film-{number}", SEGMENTS, maxParallelSegments=WIDTH), range(FILMS))
        )
    films = [cloud.finished(job_id) for job_id in jobs]
    took_seconds = time.monotonic() - began
    wait_until_quiet(cloud)

    for film in films:
        check_made_for_its_price(cloud, film, SEGMENTS)
        assert bought(cloud, film.job_id) == once(SEGMENTS)
    assert set(cloud.vertex.submits.values()) == {1}, "no order was sent twice"
    assert max(in_flight.most.values()) <= WIDTH, in_flight.most
    assert max(in_flight.most.values()) == WIDTH, "it was used"
    assert cloud.vertex.polls.total() == 0
    assert list(cloud.adapters.dead_letters.list()) == []
    assert took_seconds < LONGEST_SECONDS
    print(f"{FILMS} films of {SEGMENTS} segments: {took_seconds:.1f} s; {cloud.meter()}")  # noqa: T201 a figure for people
