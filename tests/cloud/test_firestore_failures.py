"""The ledger of failed deliveries counts each once, tells the count, and forgets."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from adapters.firestore_failures import KEPT_FOR, FailureLedger
from tests.cloud.firestore_meter import Meter, metered_client

if TYPE_CHECKING:
    from google.cloud import firestore

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def client(firestore_emulator: str, project_id: str, meter: Meter) -> Iterator[firestore.Client]:
    with closing(metered_client(project_id, meter)) as client:
        yield client


@pytest.fixture
def ledger(client: firestore.Client) -> FailureLedger:
    return FailureLedger(lambda: client)


def test_failures_of_a_message_are_counted_in_one_write_each(ledger: FailureLedger, meter: Meter) -> None:
    counts = [ledger.count("17", "requested", f"reason {number}", NOW) for number in range(3)]

    assert counts == [1, 2, 3]
    assert (meter.reads, meter.writes) == (0, 3)
    assert ledger.count("18", "requested", "another message", NOW) == 1


def test_a_message_that_is_forgotten_begins_anew(ledger: FailureLedger) -> None:
    ledger.count("17", "requested", "x", NOW)
    ledger.forget("17")
    ledger.forget("never seen")

    assert ledger.count("17", "requested", "x", NOW) == 1


def test_the_document_says_why_and_when_firestore_may_delete_it(
    ledger: FailureLedger, client: firestore.Client
) -> None:
    ledger.count("17", "requested", "first", NOW)
    ledger.count("17", "requested", "y" * 10_000, NOW + timedelta(minutes=1))

    [found] = client.collection("failures").stream()
    fields = found.to_dict() or {}
    assert (fields["messageId"], fields["topic"], fields["count"]) == ("17", "requested", 2)
    assert fields["reason"] == "y" * 1500
    assert fields["expireAt"] == NOW + timedelta(minutes=1) + KEPT_FOR


def test_deliveries_that_fail_at_once_are_all_counted(ledger: FailureLedger) -> None:
    with ThreadPoolExecutor(20) as pool:
        counts = list(pool.map(lambda _: ledger.count("17", "requested", "x", NOW), range(20)))

    assert sorted(counts) == list(range(1, 21))


@pytest.mark.parametrize("message_id", ["a/b", "..", "__x__", "ü" * 100], ids=["slash", "dots", "reserved", "long"])
def test_any_message_id_has_a_document_of_its_own(ledger: FailureLedger, message_id: str) -> None:
    assert ledger.count(message_id, "requested", "x", NOW) == 1
    assert ledger.count(message_id, "requested", "x", NOW) == 2
