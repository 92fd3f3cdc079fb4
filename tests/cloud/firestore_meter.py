"""What Firestore would bill: a client of Google's whose calls are counted on their way out.

Counted as Google bills: every document that is asked for by name, there or not; every document that a query finds, one
at least for a query; every document that a commit writes. A commit that is refused writes nothing.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud import firestore


#: Whose call is served at the moment: the name of a function, empty outside of any.
CALLER: ContextVar[str] = ContextVar("CALLER", default="")


class Meter:
    """What went through the clients that were made with it. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Documents read.
        self.reads = 0
        #: Documents written.
        self.writes = 0
        #: Documents deleted.
        self.deletes = 0
        #: Commits that Firestore refused.
        self.refused = 0
        #: Function → `reads` and `writes` of its calls.
        self.by_caller: dict[str, Counter[str]] = defaultdict(Counter)
        #: The structured queries that were asked, as protocol buffers.
        self.queries: list[Any] = []
        #: Those that sum up.
        self.aggregations: list[Any] = []

    def reset(self) -> None:
        """Begin anew."""
        with self._lock:
            self.reads = self.writes = self.deletes = self.refused = 0
            self.by_caller = defaultdict(Counter)
            self.queries, self.aggregations = [], []

    def count(self, *, reads: int = 0, writes: int = 0, deletes: int = 0, refused: int = 0) -> None:
        """Add to the figures."""
        with self._lock:
            self.reads += reads
            self.writes += writes
            self.deletes += deletes
            self.refused += refused
            self.by_caller[CALLER.get()].update(reads=reads, writes=writes)

    def ask(self, query: Any) -> None:
        """Keep a query."""
        with self._lock:
            self.queries.append(query)


def metered_client(project: str, meter: Meter) -> firestore.Client:
    """Make Google's client for a project, with its calls counted."""
    from google.cloud import firestore

    client = firestore.Client(project=project)
    api = client._firestore_api  # makes the transport; from here on it goes through the meter
    client._firestore_api_internal = _Counted(api, meter)
    return client


class _Counted:
    """Google's generated client, counting what passes."""

    def __init__(self, api: Any, meter: Meter) -> None:
        self._api = api
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    def commit(self, request: Any, **options: Any) -> Any:
        try:
            response = self._api.commit(request=request, **options)
        except Exception:
            self._meter.count(refused=1)
            raise
        deletes = sum(1 for write in request["writes"] if _is_delete(write))
        self._meter.count(writes=len(request["writes"]) - deletes, deletes=deletes)
        return response

    def batch_write(self, request: Any, **options: Any) -> Any:
        response = self._api.batch_write(request=request, **options)
        self._meter.count(writes=len(request["writes"]))
        return response

    def batch_get_documents(self, request: Any, **options: Any) -> Any:
        self._meter.count(reads=len(request["documents"]))
        return self._api.batch_get_documents(request=request, **options)

    def run_query(self, request: Any, **options: Any) -> Any:
        self._meter.ask(request["structured_query"])
        return self._count_found(self._api.run_query(request=request, **options))

    def run_aggregation_query(self, request: Any, **options: Any) -> Any:
        # One read for up to 1,000 index entries; no test has more.
        self._meter.count(reads=1)
        self._meter.aggregations.append(request["structured_aggregation_query"])
        return self._api.run_aggregation_query(request=request, **options)

    def _count_found(self, answers: Any) -> Iterator[Any]:
        found = 0
        try:
            for answer in answers:
                found += 1 if answer.document.name else 0
                yield answer
        finally:
            self._meter.count(reads=max(1, found))


def _is_delete(write: Any) -> bool:
    return bool(write.delete)
