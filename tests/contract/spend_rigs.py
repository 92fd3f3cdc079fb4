"""What counts a day's money, beside the store that it counts in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from adapters.database import Database
from adapters.firestore import FirestoreJobStore
from adapters.firestore_spend import FirestoreSpend
from adapters.sqlite import SqliteJobStore
from adapters.sqlite_spend import SqliteSpend
from pipeline.ports import JobStore
from pipeline.spend_port import Spend
from tests.cloud import emulators


@dataclass
class SpendRig:
    """A store, and what counts in it."""

    store: JobStore
    spend: Spend


def sqlite(folder: Path) -> Iterator[SpendRig]:
    database = Database(folder / "store.db", "OFF")
    yield SpendRig(SqliteJobStore(database), SqliteSpend(database))
    database.close()


def firestore(folder: Path) -> Iterator[SpendRig]:
    """Give the rig; the folder is not needed."""
    with patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": emulators.firestore_host()}):
        from google.cloud import firestore

        with closing(firestore.Client(project=emulators.fresh_project())) as client:
            yield SpendRig(FirestoreJobStore(lambda: client), FirestoreSpend(lambda: client))
