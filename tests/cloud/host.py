"""Every function of `main.py` in one process, each in an app of functions-framework's own, as `gcloud` would deploy it.

    python -m tests.cloud.host

Prints its port when it is ready. `/functions/NAME` takes events, `/PROJECT/REGION/createJob` and its siblings are the
callables, as the Firebase SDK calls them. `GET /meter` tells what Firestore would bill and how often each function
was called; `POST /meter` begins anew.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any

import functions_framework
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from adapters.cloud import open_cloud
from adapters.config import read_cloud_config
from doors.outside import Outside, assemble
from events.messages import Topic
from tests.cloud.firestore_meter import Meter, metered_client

ROOT = Path(__file__).parents[2]
#: Topic → entry point of its function.
FUNCTIONS = {
    Topic.REQUESTED: "on_requested",
    Topic.SEGMENT_REQUESTED: "on_segment_requested",
    Topic.SEGMENT_DONE: "on_segment_done",
    Topic.STITCH_REQUESTED: "on_stitch_requested",
    Topic.OBJECT_FINALIZED: "on_object_finalized",
    Topic.TRANSCODER_REPORTS: "on_transcoder_report",
    Topic.SWEEP: "on_sweep",
}
#: Name that an app calls → entry point.
CALLABLES = {
    "createJob": "create_job",
    "cancelJob": "cancel_job",
    "resumeJob": "resume_job",
    "createUploadUrl": "create_upload_url",
}

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Calls:
    """Counts the calls of each function, by their answer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[str] = Counter()

    def counted(self, name: str, app: App) -> App:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                with self._lock:
                    self.counts[f"{name} {status.partition(' ')[0]}"] += 1
                return start_response(status, headers, *rest)

            # Mounted at its very prefix the path is empty, which Werkzeug would redirect.
            return app({**environ, "PATH_INFO": environ.get("PATH_INFO") or "/"}, begin)

        return call


def function_app(entry_point: str, signature: str, outside: Outside) -> App:
    """Give one function's app over an outside that all of them share, so that it can be metered."""
    os.environ.pop("FUNCTION_SIGNATURE_TYPE", None)
    app: App = functions_framework.create_app(entry_point, str(ROOT / "main.py"), signature)
    # Each app executes main.py anew.
    vars(sys.modules["main"])["outside"] = lambda: outside
    return app


def main() -> None:
    config = read_cloud_config()
    meter, calls = Meter(), Calls()
    outside = assemble(open_cloud(config, documents=lambda: metered_client(config.project, meter)))

    def told(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        figures = {"reads": meter.reads, "writes": meter.writes, "refused": meter.refused, "calls": calls.counts}
        if environ["REQUEST_METHOD"] == "POST":
            meter.reset()
            calls.counts = Counter()
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(figures).encode()]

    mounts: dict[str, App] = {"/meter": told}
    for name in FUNCTIONS.values():
        mounts[f"/functions/{name}"] = calls.counted(name, function_app(name, "cloudevent", outside))
    for called, name in CALLABLES.items():
        mounts[f"/{config.project}/{config.region}/{called}"] = calls.counted(name, function_app(name, "http", outside))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, DispatcherMiddleware(told, mounts), threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
