"""Seeing a job through: what goes wrong with this process's own worker reaches the user."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from embedded.run import see_through
from events.errors import PipelineError
from tests.embedded.engine import Home, submit


def test_a_worker_that_can_take_no_messages_ends_the_command_with_the_reason(tmp_path: Path) -> None:
    """It used to wait for ever: the worker logged the error once a second, and nobody looked."""
    home = Home(tmp_path)
    with home.open(worker=True) as pipeline:
        job_id = submit(pipeline, "project", 2).job_id
        with closing(sqlite3.connect(pipeline.adapters.database.path)) as other:
            other.execute("ALTER TABLE messages RENAME TO mislaid")

        with pytest.raises(PipelineError, match="no such table"):
            see_through(pipeline, job_id, as_json=True)
