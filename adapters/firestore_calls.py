"""What we ask of Firestore's client: batched reads, queries, and commits that are held to what was read."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from adapters.firestore_documents import Document
from adapters.firestore_fields import Fields
from adapters.google_errors import translated

if TYPE_CHECKING:
    from google.cloud import firestore

#: The field by which a writer knows its own commit again when the answer was lost.
TOKEN = "commitToken"  # noqa: S105 - the name of a field, nothing secret


class Conflict(Exception):
    """Somebody else wrote one of the documents first, or this very commit has landed already; nothing else did."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document as it was read; `seen` is None where there is none."""

    path: str
    values: Document
    #: When it was last written, which a commit is held to.
    seen: datetime | None

    @property
    def fields(self) -> Fields:
        """Its fields, to be read with suspicion."""
        return Fields(self.path, self.values)

    @property
    def token(self) -> str | None:
        """Who wrote it last."""
        token = self.values.get(TOKEN)
        return token if isinstance(token, str) else None


class Calls:
    """One Firestore database. Safe for threads.

    Args:
        client: makes Google's client; called once, at the first use.
        patience_s: how long to try again while Firestore does not answer.
    """

    def __init__(self, client: Callable[[], firestore.Client], patience_s: float) -> None:
        self._make = client
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._made: firestore.Client | None = None

    @property
    def client(self) -> firestore.Client:
        """Google's client."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def get(self, doing: str, *paths: str, only: list[str] | None = None) -> list[Found]:
        """Read documents by their paths, all in one call, in the order in which they are named.

        Args:
            doing: what this is for; begins the text of an error.
            paths: of the documents; one that is not there is found without fields.
            only: the fields that are wanted; None for all.
        """
        with translated(doing):
            references = [self.client.document(path) for path in paths]
            snapshots = list(self.client.get_all(references, only, **self._again()))
        found = {each.reference.path: _found(each) for each in snapshots}
        return [found[path] for path in paths]

    def run(self, doing: str, query: firestore.Query) -> list[Found]:
        """Give what a query finds, in its order."""
        with translated(doing):
            return [_found(each) for each in query.stream(**self._again())]

    def sum(self, doing: str, query: firestore.Query, field: str) -> int:
        """Sum an integer field of what a query finds; Firestore adds it up, and bills a read for 1,000 documents."""
        with translated(doing):
            # Their types know the list of results, but not the lists in it.
            results = cast("list[list[Any]]", query.sum(field, alias="total").get(**self._again()))
        [[total]] = results
        return int(total.value)

    def commit(self, doing: str, commit: Commit) -> dict[str, datetime]:
        """Write all or nothing.

        Returns:
            When each document was written, by path.

        Raises:
            Conflict: one of the documents is not what it was.
            Unavailable: no answer in time.
        """
        from google.api_core import exceptions as api

        with translated(doing):
            try:
                results = commit.batch.commit(**self._again())
            except (api.Conflict, api.FailedPrecondition, api.NotFound) as exc:
                raise Conflict(str(exc)) from exc
        return {path: result.update_time for path, result in zip(commit.paths, results, strict=True)}

    def _again(self) -> dict[str, Any]:
        from google.api_core import exceptions as api
        from google.api_core.retry import Retry, if_exception_type

        # A second try of a commit that has landed meets its own writes; its token tells it so.
        passing = if_exception_type(api.ServiceUnavailable, api.InternalServerError)
        retry = Retry(predicate=passing, initial=0.1, maximum=2.0, multiplier=1.5, timeout=self._patience_s)
        return {"retry": retry, "timeout": self._patience_s}


class Commit:
    """A few writes that become true together, each held to the version that was decided on."""

    def __init__(self, client: firestore.Client) -> None:
        self._client = client
        self.batch = client.batch()
        self.token = uuid.uuid4().hex[:16]
        #: Of the documents, in the order of the writes.
        self.paths: list[str] = []

    def write(self, path: str, fields: Document, seen: datetime | None) -> None:
        """Create a document that was not there, or change fields of one that was last written at `seen`."""
        reference = self._client.document(path)
        signed = fields | {TOKEN: self.token}
        if seen is None:
            self.batch.create(reference, signed)
        else:
            self.batch.update(reference, signed, option=self._client.write_option(last_update_time=seen))
        self.paths.append(path)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete documents, whoever wrote them."""
        for path in paths:
            self.batch.delete(self._client.document(path))
            self.paths.append(path)


def _found(snapshot: firestore.DocumentSnapshot[Any]) -> Found:
    return Found(snapshot.reference.path, snapshot.to_dict() or {}, snapshot.update_time if snapshot.exists else None)
