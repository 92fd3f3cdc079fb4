"""What the jobs of a day cost, summed up by Firestore itself in one aggregation query."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.firestore import PATIENCE_S
from adapters.firestore_calls import Calls
from pipeline import limits

if TYPE_CHECKING:
    from google.cloud import firestore


class FirestoreSpend:
    """The `Spend` of one collection of jobs.

    A job that was written by a version that knew no limit, and not changed since, is not counted.

    Args:
        client: makes Google's client; called once, at the first use.
        collection: of the jobs.
        patience_s: how long to try again while Firestore does not answer.
    """

    def __init__(
        self,
        client: Callable[[], firestore.Client],
        collection: str = "videoJobs",
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._calls = Calls(client, patience_s)
        self._collection = collection

    def since(self, start: datetime) -> int:
        """Sum what is bound by jobs that were created, or last resumed, at `start` or later; micro USD."""
        from google.cloud.firestore_v1.base_query import FieldFilter

        # The deadline tells when a job was created or last resumed, and it is written already.
        since = FieldFilter("deadlineAt", ">=", start + limits.JOB_LONGEST)
        query = self._calls.client.collection(self._collection).where(filter=since)
        return self._calls.sum("sum up what the day costs", query, "cost.boundMicroUsd")
