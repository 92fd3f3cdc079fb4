"""`infra/firestore.indexes.json` has an index for every query of the store: the emulator never misses one, Google does.

Held to the documented rules: a query on one field needs that field's own index; equalities with an order need, for
each of them, a composite index that ends in the order, and Firestore merges these; a collection group needs a field
override. An override holds for every collection of that name, also for one of the user's own app, so under names that
others may use (`segments`, `scripts`, `locks`, `failures`) only fields are left out that nobody would ask by.
Source: Google, "Index types in Cloud Firestore" and "Take advantage of index merging".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.firestore import FirestoreJobStore
from adapters.firestore_documents import job_document, segment_document
from adapters.firestore_spend import FirestoreSpend
from pipeline.records import Cost, JobState, SegmentState
from tests.cloud.firestore_meter import Meter, metered_client
from tests.contract.rigs import NOW
from tests.contract.test_job_store import a_job, segments_of, set_segment

INDEXES = json.loads((Path(__file__).parents[2] / "infra" / "firestore.indexes.json").read_text(encoding="utf-8"))
Field = tuple[str, str]


def composites(group: str) -> set[tuple[Field, ...]]:
    return {
        tuple((field["fieldPath"], field["order"]) for field in index["fields"])
        for index in INDEXES["indexes"]
        if (index["collectionGroup"], index["queryScope"]) == (group, "COLLECTION")
    }


def override(group: str, field: str) -> list[dict[str, str]] | None:
    found = [x for x in INDEXES["fieldOverrides"] if (x["collectionGroup"], x["fieldPath"]) == (group, field)]
    assert len(found) <= 1
    return found[0]["indexes"] if found else None


def missing(query: Any) -> str | None:
    """Say which index a query lacks; None when it has all."""
    [source] = query.from_
    group, equal = source.collection_id, sorted(set(_equalities(query.where)))
    order = [(each.field.field_path, each.direction.name) for each in query.order_by]
    order = [each for each in order if each[0] != "__name__"]
    if len(equal) + len(order) > 1:
        lacking = [name for name in equal if ((name, "ASCENDING"), *order) not in composites(group)]
        return f"{group}: {lacking} with {order}" if lacking else None
    for name, direction in [*((name, "ASCENDING") for name in equal), *order]:
        own = override(group, name)
        scope = "COLLECTION_GROUP" if source.all_descendants else "COLLECTION"
        automatic = own is None and not source.all_descendants
        if not automatic and {"order": direction, "queryScope": scope} not in (own or []):
            return f"{group}.{name} {direction} in a {scope}"
    return None


def _equalities(where: Any) -> Iterator[str]:
    for part in where.composite_filter.filters:
        yield from _equalities(part)
    if where.field_filter.op.name in {"EQUAL", "IN"}:
        yield where.field_filter.field.field_path


@pytest.fixture
def queries(firestore_emulator: str, project_id: str) -> Iterator[list[Any]]:
    """Give every query that the store can ask."""
    meter = Meter()
    with closing(metered_client(project_id, meter)) as client:
        store = FirestoreJobStore(lambda: client)
        for number in range(2):
            job = a_job(f"job_number{number}", project_id=f"p{number}", wake_at=NOW - timedelta(seconds=1))
            store.create(job, segments_of(job))
            store.transact(job.job_id, 0, set_segment(wake_at=NOW))
        for user_id in (None, "someone"):
            for project in (None, "p0"):
                for states in (None, frozenset({JobState.QUEUED}), frozenset({JobState.QUEUED, JobState.FAILED})):
                    store.jobs(user_id=user_id, project_id=project, states=states)
        for wanted in (None, frozenset({SegmentState.PENDING}), frozenset({SegmentState.FAILED, SegmentState.DONE})):
            for below in (None, 2):
                store.segments("job_number0", wanted, below)
        assert len(store.overdue(NOW, 1)) == 1
        assert len(store.overdue(NOW, 9)) == 4
        yield meter.queries


def test_every_query_has_its_index(queries: list[Any]) -> None:
    assert len(queries) >= 12 + 4 + 4

    assert [fault for each in queries if (fault := missing(each))] == []


def test_an_index_that_lacks_is_noticed(queries: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INDEXES, "indexes", [])
    monkeypatch.setitem(INDEXES, "fieldOverrides", [])

    reasons = [str(missing(each)) for each in queries]

    assert any(reason.startswith("videoJobs: ['state', 'userId']") for reason in reasons)
    assert any(reason.startswith("segments: ['state']") for reason in reasons)
    assert any(reason.startswith("segments.wakeAt") for reason in reasons)


def test_what_is_left_out_of_the_indexes_is_a_field_of_the_documents_and_large_ones_are_left_out() -> None:
    job = a_job()
    known = {
        "videoJobs": {*job_document(job), "scripts", "commitToken"},
        "segments": {*segment_document(segments_of(job)[0], job.user_id), "commitToken"},
        "scripts": {"segments", "commitToken"},
        "locks": {"commitToken"},
        "failures": {"reason", "lastAt", "expireAt"},
    }

    for each in INDEXES["fieldOverrides"]:
        assert each["fieldPath"] in known[each["collectionGroup"]]
    assert override("segments", "spec") == override("scripts", "segments") == override("videoJobs", "settings") == []


def test_the_sum_of_a_day_has_its_index_and_costs_one_read(firestore_emulator: str, project_id: str) -> None:
    meter = Meter()
    with closing(metered_client(project_id, meter)) as client:
        FirestoreJobStore(lambda: client).create(a_job(cost=Cost(3_000_000)), segments_of(a_job()))
        meter.reset()

        assert FirestoreSpend(lambda: client).since(NOW) == 3_000_000

    assert meter.reads == 1
    [aggregation] = meter.aggregations
    query = aggregation.structured_query
    [source], [summed] = query.from_, aggregation.aggregations
    # A sum over what a range finds needs a composite index: the range, then what is summed up.
    # Source: Google, "Summarize data with aggregation queries", limitations.
    fields = (query.where.field_filter.field.field_path, summed.sum.field.field_path)
    assert tuple((name, "ASCENDING") for name in fields) in composites(source.collection_id)


def test_counts_of_failures_end_by_themselves() -> None:
    [policy] = [each for each in INDEXES["fieldOverrides"] if each.get("ttl")]

    assert (policy["collectionGroup"], policy["fieldPath"]) == ("failures", "expireAt")
