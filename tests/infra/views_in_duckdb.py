"""Log lines and views go in, what each view then has comes out; a program, `python -m tests.infra.views_in_duckdb`.

DuckDB has a process of its own. In one that runs other tests as well, a thread of theirs that is still at work when
Python ends keeps modules alive, and DuckDB's binding (nanobind) complains of each of its types and functions by name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

#: Time of an entry and of its arrival, its id, the name of its log, and its payload as JSON.
Line = tuple[datetime, datetime, str, str, str]
#: The columns that are asked for. Source: Google, "Log Analytics: schema of a log view", which is that of LogEntry.
ALL_LOGS = """CREATE TABLE "_AllLogs" (
    timestamp TIMESTAMPTZ, receive_timestamp TIMESTAMPTZ, insert_id VARCHAR, log_name VARCHAR, json_payload JSON
)"""
PATIENCE_SECONDS = 120


def rows_of_views(lines: Sequence[Line], views: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Give the rows of each view over these lines.

    Args:
        lines: of the log.
        views: name → query in DuckDB's dialect; those that others are made of come first.
    """
    given = {"lines": [[line[0].isoformat(), line[1].isoformat(), *line[2:]] for line in lines], "views": dict(views)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.infra.views_in_duckdb"],
        cwd=Path(__file__).parents[2],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    rows: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return rows


def main() -> None:
    """Read what `rows_of_views` gives, and print its answer."""
    import duckdb

    given = json.load(sys.stdin)
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(ALL_LOGS)
        lines = [
            [datetime.fromisoformat(line[0]), datetime.fromisoformat(line[1]), *line[2:]] for line in given["lines"]
        ]
        connection.executemany('INSERT INTO "_AllLogs" VALUES (?, ?, ?, ?, ?)', lines)
        for name, query in given["views"].items():
            connection.execute(f'CREATE VIEW "{name}" AS {query}')
        found = {
            name: [
                json.loads(row)
                for (row,) in connection.execute(f'SELECT to_json(each) FROM "{name}" AS each').fetchall()
            ]
            for name in given["views"]
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
