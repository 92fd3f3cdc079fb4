"""One instance of one function: a process that loads `main.py` as functions-framework does, and takes one call.

    python -m benchmarks.cold_start_instance BEGAN ENTRY_POINT SIGNATURE < task.json

BEGAN is the monotonic clock's time at which the process was ordered. The task is either a request, `{"path",
"headers", "body"}`, which the function answers, or `{"modules"}`: what it is to load, as a function that answered such
a request had loaded, and nobody is asked anything. Packages that are not deployed are not found. Prints a line of
JSON: see `Instance`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
#: Longest that one instance may take for its one call.
PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Instance:
    """What one process was like."""

    #: HTTP status of the answer; 0 where nothing was asked.
    status: int
    #: The answer's body, as text.
    body: str
    #: From the order of the process to the app that could take a call; and to the end of its work.
    ready_seconds: float
    seconds: float
    #: Processor time, user and system, of all threads, to the same two points.
    ready_cpu_seconds: float
    cpu_seconds: float
    #: Of these, what was spent on imports: everything up to the ready app, and every import statement from then on.
    import_seconds: float
    import_cpu_seconds: float
    #: The most memory that it held. Source: VmHWM of Linux.
    peak_mib: float
    #: Everything that was loaded in the end, in the order in which its loading began.
    modules: list[str]
    #: Modules of the task that would not load by themselves.
    refused: list[str]


def start(entry_point: str, signature: str, task: dict[str, Any], *options: str) -> tuple[Instance, str]:
    """Run one instance; give what it was like, and what it printed on standard error.

    Args:
        entry_point: name of the function in `main.py`.
        signature: `cloudevent` or `http`.
        task: as above.
        options: of Python itself, such as `-X importtime`.

    Raises:
        RuntimeError: it ended without an answer.
    """
    # Imported only here, by who starts an instance: it is not to find it loaded.
    from benchmarks.cold_start_deployed import undeployed

    command = [sys.executable, *options, "-m", "benchmarks.cold_start_instance"]
    ran = subprocess.run(
        [*command, repr(time.monotonic()), entry_point, signature],
        cwd=ROOT,
        input=json.dumps(task | {"undeployed": sorted(undeployed())}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"an instance of {entry_point} ended with {ran.returncode}: {ran.stderr}")
    return Instance(**json.loads(ran.stdout.splitlines()[-1])), ran.stderr


class ImportClock:
    """Measures what import statements take, from now on, in any thread; what one imports in turn is part of it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._guard = threading.Lock()
        self._local = threading.local()
        # Python comes by here for each module that is not loaded yet, and for no other.
        bootstrap = vars(sys.modules["_frozen_importlib"])
        self._find_and_load = bootstrap["_find_and_load"]
        bootstrap["_find_and_load"] = self._timed

    def _timed(self, name: str, import_: Any) -> Any:
        if getattr(self._local, "busy", False):
            return self._find_and_load(name, import_)
        self._local.busy = True
        began, cpu_began = time.monotonic(), time.thread_time()
        try:
            return self._find_and_load(name, import_)
        finally:
            self._local.busy = False
            with self._guard:
                self.seconds += time.monotonic() - began
                self.cpu_seconds += time.thread_time() - cpu_began


class Undeployed:
    """Finds no module of packages that are not deployed.

    Args:
        names: of top-level modules.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, *_where: object) -> None:
        """Leave it to the next finder.

        Raises:
            ModuleNotFoundError: it is not deployed.
        """
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> None:
    """Be one instance."""
    began, entry_point, signature = float(sys.argv[1]), sys.argv[2], sys.argv[3]
    task = json.loads(sys.stdin.read())
    sys.meta_path.insert(0, Undeployed(task["undeployed"]))
    import functions_framework

    create_app: Any = functions_framework.create_app
    app = create_app(entry_point, str(ROOT / "main.py"), signature)
    ready, ready_cpu, imports = time.monotonic() - began, time.process_time(), ImportClock()
    status, body, refused = 0, "", []
    if "modules" in task:
        refused = [name for name in task["modules"] if not _loaded(name)]
    else:
        answer = app.test_client().post(task["path"], data=task["body"].encode(), headers=task["headers"])
        status, body = answer.status_code, answer.get_data(as_text=True)
    told = Instance(
        status=status,
        body=body,
        ready_seconds=ready,
        seconds=time.monotonic() - began,
        ready_cpu_seconds=ready_cpu,
        cpu_seconds=time.process_time(),
        import_seconds=ready + imports.seconds,
        import_cpu_seconds=ready_cpu + imports.cpu_seconds,
        peak_mib=_peak_mib(),
        modules=list(sys.modules),
        refused=refused,
    )
    sys.stdout.write(f"\n{json.dumps(asdict(told))}\n")
    sys.stdout.flush()
    # An instance is not ended in order either; threads of the clients need not be waited for.
    os._exit(0)


def _peak_mib() -> float:
    # Not `getrusage`: what that says of a process includes the one that it was forked from.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _loaded(name: str) -> bool:
    if name not in sys.modules:
        try:
            import_module(name)
        except ImportError:
            return False
    return True


if __name__ == "__main__":
    main()
