"""Prints what hostile files cost, as a table: `python -m tests.media.hostile.report [PART OF A NAME] [WORK …]`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.media.hostile.bounds import BOUNDS, table
from tests.media.hostile.corpus import CASES
from tests.media.hostile.kit import Case, Kit, make_kit
from tests.media.hostile.trap import Trap
from tests.media.hostile.watch import Run, Watcher


def runs_of(case: Case, works: list[str], kit: Kit, watcher: Watcher) -> Iterator[tuple[str, str, Run]]:
    """Run a case through the works; what the probe refuses goes no further."""
    path = case.write(kit)
    for work in works:
        arguments = {"path": str(path)}
        if work == "film":
            folder = kit.folder / f"film-{case.name}"
            folder.mkdir()
            arguments |= {"beside": str(kit.good_path), "folder": str(folder)}
        run = watcher.run(work, **arguments)
        yield case.name, work, run
        if work == "film":
            shutil.rmtree(folder)
        if work == "probe" and run.outcome != "ok":
            return


def main(part: str = "", *works: str) -> None:
    """Print the table of the cases whose name has `part` in it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job").mkdir()
        (Path(folder) / "elsewhere").mkdir()
        trap = Trap(Path(folder) / "elsewhere")
        kit, watcher = make_kit(Path(folder) / "job", trap), Watcher()
        with trap:
            chosen = [case for name, case in CASES.items() if part in name]
            rows = [
                row for case in chosen for row in runs_of(case, ["probe", *(works or list(BOUNDS)[1:])], kit, watcher)
            ]
        watcher.close()
        sys.stdout.write(table(rows) + f"\n\nThe trap heard: {trap.heard or 'nothing'}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
