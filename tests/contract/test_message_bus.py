"""What every message bus promises: at least once, not before its time, back-off, dead letters with a reason."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from events.messages import Requested, SegmentRequested, Topic
from pipeline.commands import Outgoing
from tests.contract.rigs import NOW, BusRig, BusWorker, Held

#: More than any bus tries.
OFTEN = 200
LONG = timedelta(hours=1)


def asked(number: int = 0, after: timedelta | None = None) -> Outgoing:
    return Outgoing(SegmentRequested(job_id="job_abc123", segment_index=number), NOW + after if after else None)


def index_of(held: Held) -> int:
    return SegmentRequested.from_json(held.delivery.body).segment_index


def indexes(helds: list[Held]) -> list[int]:
    return sorted(index_of(each) for each in helds)


def fail_until_dead(message_bus: BusRig, worker: BusWorker, reason: str) -> int:
    """Fail whatever comes; give how many deliveries there were."""
    count = 0
    for _ in range(OFTEN):
        for held in worker.take():
            count += 1
            held.fail(reason)
        if message_bus.dead_letters():
            return count
        message_bus.clock.advance(LONG)
    pytest.fail("a message that always fails never became a dead letter")


def let_leases_end(message_bus: BusRig) -> None:
    """Where a service leases by the clock, wait until what nobody answers for comes again."""
    if not message_bus.leases_by_owner:
        message_bus.clock.advance(LONG)


def test_what_is_published_is_delivered_with_its_topic_and_body(message_bus: BusRig) -> None:
    message = SegmentRequested(job_id="job_abc123", segment_index=7)

    message_bus.bus.publish([Outgoing(message)])

    (held,) = message_bus.worker().take()
    assert held.delivery.topic is Topic.SEGMENT_REQUESTED
    assert SegmentRequested.from_json(held.delivery.body) == message
    assert held.delivery.delivery_attempt == 1
    assert not held.delivery.claimant_died


def test_publishing_nothing_publishes_nothing(message_bus: BusRig) -> None:
    message_bus.bus.publish([])

    assert message_bus.worker().take() == []


def test_every_message_of_a_batch_is_delivered(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(number) for number in range(50)])

    assert indexes(message_bus.worker().take()) == list(range(50))


def test_a_message_that_was_acknowledged_does_not_come_again(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1), asked(2)])
    worker = message_bus.worker()
    for held in worker.take():
        held.ack()

    message_bus.clock.advance(LONG)

    assert worker.take() == []
    assert message_bus.dead_letters() == []


def test_a_batch_with_a_message_that_cannot_be_written_publishes_none_of_it(message_bus: BusRig) -> None:
    class Unknown(Requested):
        """A message that no topic carries."""

    with pytest.raises(KeyError):
        message_bus.bus.publish([asked(1), Outgoing(Unknown(job_id="job_abc123"))])

    message_bus.clock.advance(LONG)
    assert message_bus.worker().take() == []


def test_a_delayed_message_comes_when_its_time_has_come_and_not_before(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1, after=timedelta(seconds=30)), asked(2)])
    worker = message_bus.worker()

    assert indexes(worker.take()) == [2]
    message_bus.clock.advance(timedelta(seconds=29, milliseconds=999))
    assert worker.take() == []
    message_bus.clock.advance(timedelta(milliseconds=1))
    assert indexes(worker.take()) == [1]


def test_a_time_within_a_millisecond_is_never_rounded_down(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1, after=timedelta(microseconds=100))])
    worker = message_bus.worker()

    early = worker.take()
    message_bus.clock.advance(timedelta(milliseconds=1))

    assert early == []
    assert indexes(worker.take()) == [1]


def test_a_message_whose_time_has_passed_comes_at_once(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1, after=-LONG)])

    assert indexes(message_bus.worker().take()) == [1]


def test_what_failed_for_now_comes_again_after_a_while_and_counts_its_deliveries(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1)])
    worker = message_bus.worker()
    (held,) = worker.take()

    held.fail("the store did not answer")

    assert worker.take() == [], "without a wait, a broken outside is hammered"
    message_bus.clock.advance(LONG)
    (again,) = worker.take()
    assert again.delivery.delivery_attempt == 2
    assert not again.delivery.claimant_died


def test_waits_between_deliveries_grow(message_bus: BusRig) -> None:
    if not message_bus.leases_by_owner:
        return  # the service sets the waits, by the subscription's retry policy
    message_bus.bus.publish([asked(1)])
    worker = message_bus.worker()
    waits = []
    for _ in range(3):
        (held,) = worker.take()
        held.fail("not yet")
        waited = timedelta()
        while not (peeked := worker.take()):
            message_bus.clock.advance(timedelta(milliseconds=250))
            waited += timedelta(milliseconds=250)
        peeked[0].give_back()
        waits.append(waited)

    assert waits == sorted(waits)
    assert waits[0] < waits[-1]


def test_what_always_fails_becomes_a_dead_letter_with_the_last_reason(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1)])
    worker = message_bus.worker()

    deliveries = fail_until_dead(message_bus, worker, "the store did not answer")

    assert 3 <= deliveries <= 100
    (dead,) = message_bus.dead_letters()
    assert dead.topic == Topic.SEGMENT_REQUESTED
    assert "the store did not answer" in dead.reason
    message_bus.clock.advance(LONG)
    assert worker.take() == []


def test_a_permanent_error_makes_a_dead_letter_at_once(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1), asked(2)])
    worker = message_bus.worker()
    by_index = {index_of(held): held for held in worker.take()}

    by_index[1].refuse("bad_message: field jobId is missing")
    by_index[2].ack()

    (dead,) = message_bus.dead_letters()
    assert SegmentRequested.from_json(dead.body).segment_index == 1
    assert "field jobId is missing" in dead.reason


def test_a_replayed_dead_letter_is_delivered_as_a_new_message(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(5)])
    worker = message_bus.worker()
    worker.take()[0].refuse("it was ours")

    message_bus.dead_letters()[0].replay()

    assert message_bus.dead_letters() == []
    (held,) = worker.take()
    assert index_of(held) == 5
    assert held.delivery.delivery_attempt == 1


def test_a_message_given_back_comes_again_at_once_as_if_it_had_never_been_taken(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1)])
    worker, other = message_bus.worker(), message_bus.worker()

    worker.take()[0].give_back()
    let_leases_end(message_bus)

    (held,) = other.take()
    assert held.delivery.delivery_attempt == (1 if message_bus.leases_by_owner else 2)
    assert not held.delivery.claimant_died


def test_two_workers_never_hold_the_same_message(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(number) for number in range(100)])
    taken: Counter[int] = Counter()
    guard = threading.Lock()

    def take_all(worker: Any) -> None:
        while helds := worker.take(limit=3):
            with guard:
                taken.update(index_of(held) for held in helds)
            for held in helds:
                held.ack()

    threads = [threading.Thread(target=take_all, args=(message_bus.worker(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken == Counter(range(100))


def test_a_message_in_one_workers_hands_is_not_given_to_another_however_long_it_takes(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1)])
    worker, other = message_bus.worker(), message_bus.worker()
    (held,) = worker.take()

    message_bus.clock.advance(LONG)

    assert other.take() == []
    held.ack()


def test_a_killed_workers_messages_come_to_another_which_is_told_of_the_death(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(number) for number in range(3)])

    message_bus.killed_worker(take=2)
    let_leases_end(message_bus)

    helds = message_bus.worker().take()
    assert indexes(helds) == [0, 1, 2]
    again = {index_of(held) for held in helds if held.delivery.delivery_attempt == 2}
    assert len(again) == 2
    died = {index_of(held) for held in helds if held.delivery.claimant_died}
    assert died == (again if message_bus.leases_by_owner else set())


def test_a_death_is_told_once_and_not_of_a_worker_that_lived_and_failed(message_bus: BusRig) -> None:
    message_bus.bus.publish([asked(1)])
    message_bus.killed_worker(take=1)
    let_leases_end(message_bus)
    worker = message_bus.worker()
    worker.take()[0].fail("not yet")

    message_bus.clock.advance(LONG)

    assert not worker.take()[0].delivery.claimant_died


def test_what_another_process_publishes_is_delivered(message_bus: BusRig) -> None:
    message_bus.another_process_publishes(3)

    bodies = [held.delivery.body for held in message_bus.worker().take()]
    assert sorted(Requested.from_json(body).job_id for body in bodies) == ["job_other0", "job_other1", "job_other2"]
