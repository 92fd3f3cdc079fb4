"""The Firestore job store on Google's own emulator, ready for the contract."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from adapters.firestore import FirestoreJobStore
from events.messages import Message
from tests.cloud import emulators


class FirestoreRig:
    """A store in a project of its own, which nobody ever clears."""

    def __init__(self) -> None:
        self._project = emulators.fresh_project()
        self._client = self._connect()
        self.store = FirestoreJobStore(lambda: self._client)

    @contextmanager
    def another(self) -> Iterator[FirestoreJobStore]:
        with closing(self._connect()) as client:
            yield FirestoreJobStore(lambda: client)

    def published(self) -> list[Message]:
        return []

    def close(self) -> None:
        self._client.close()

    def _connect(self) -> Any:
        from google.cloud import firestore

        return firestore.Client(project=self._project)


def firestore(folder: Path) -> Iterator[FirestoreRig]:
    """Give the rig; the folder is not needed."""
    with (
        patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": emulators.firestore_host()}),
        closing(FirestoreRig()) as rig,
    ):
        yield rig
