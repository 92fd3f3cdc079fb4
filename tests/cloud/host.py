"""Every function of `main.py` in one process, each in an app of functions-framework's own, as `gcloud` would deploy it.

    python -m tests.cloud.host [--storage-patience-seconds 20]

Prints its port when it is ready. `/functions/NAME` takes events, `/PROJECT/REGION/createJob` and its siblings are the
callables, as the Firebase SDK calls them. `GET /meter` tells what Firestore would bill and how often each function
was called; `POST /meter` begins anew. `/control` is for what goes wrong; see `tests/cloud/host_controls.py`.

Everything is loaded once, then serves in a forked process; when that is killed, another one takes its place at once,
at the same port, as instances come and go in the cloud.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, NoReturn

import functions_framework
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import BaseWSGIServer, make_server

import adapters.cloud
from adapters.config import CloudConfig, read_cloud_config
from adapters.gcs import DEADLINE_SECONDS, CloudObjectStore
from adapters.gcs_client import storage_client
from adapters.pubsub import too_early
from doors.outside import Outside, assemble
from doors.receive import Receiver
from events.messages import Topic
from tests.cloud.firestore_meter import CALLER, Meter, metered_client
from tests.cloud.host_controls import Controls, Deliveries, MovedClock, Shared, Trap, mortal

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
#: What the functions load when they need it; loaded here before the first fork, so that a new process serves at once.
LOADED = (
    "google.cloud.firestore",
    "google.cloud.pubsub_v1",
    "google.cloud.storage",
    "google.genai",
    "firebase_functions.https_fn",
    "media.probe",
    "media.last_frame",
)

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

            CALLER.set(name)
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


def open_outside(config: CloudConfig, meter: Meter, shared: Shared, storage_patience_seconds: float) -> Outside:
    """Put the outside together as `doors.outside` does, but on a machine whose clock moves and that may die."""
    vars(adapters.cloud)["SystemClock"] = lambda: MovedClock(shared)
    opened = adapters.cloud.open_cloud(config, documents=lambda: metered_client(config.project, meter))
    outside = assemble(opened)
    objects = CloudObjectStore(lambda: storage_client(config.project), storage_patience_seconds)
    services = mortal(replace(outside.services, objects=objects), Trap(shared))
    receiver = Receiver(services, opened.dead_letters, opened.failures, config.delivery_attempts_max, too_early)
    return replace(outside, services=services, receiver=receiver)


def make_host(storage_patience_seconds: float) -> BaseWSGIServer:
    """Bind a free port and put everything behind it; nobody is asked yet, and no thread runs."""
    config = read_cloud_config()
    meter, calls, shared = Meter(), Calls(), Shared()
    outside, deliveries = open_outside(config, meter, shared, storage_patience_seconds), Deliveries(shared)

    def told(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        figures = {"reads": meter.reads, "writes": meter.writes, "refused": meter.refused, "calls": calls.counts}
        figures["of"] = meter.by_caller
        if environ["REQUEST_METHOD"] == "POST":
            meter.reset()
            calls.counts = Counter()
        start_response("200 OK", [("content-type", "application/json")])
        return [json.dumps(figures).encode()]

    mounts: dict[str, App] = {"/meter": told, "/control": Controls(shared, deliveries)}
    for name in FUNCTIONS.values():
        app = calls.counted(name, function_app(name, "cloudevent", outside))
        mounts[f"/functions/{name}"] = deliveries.watched(name, app)
    for called, name in CALLABLES.items():
        mounts[f"/{config.project}/{config.region}/{called}"] = calls.counted(name, function_app(name, "http", outside))
    return make_server("127.0.0.1", 0, DispatcherMiddleware(told, mounts), threaded=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--storage-patience-seconds", type=float, default=DEADLINE_SECONDS)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    for name in LOADED:
        importlib.import_module(name)
    server = make_host(options.storage_patience_seconds)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    parent_lives, parent_end = os.pipe()
    while True:
        child = os.fork()
        if child == 0:
            os.close(parent_end)
            serve(server, parent_lives)
        signal.signal(signal.SIGTERM, lambda *_: _end(child))  # noqa: B023 the latest child is meant
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"the functions ended by themselves: {status}")


def serve(server: BaseWSGIServer, parent_lives: int) -> NoReturn:
    """Serve until this process is ended, or the one that forked it has died."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A pipe that nobody writes to ends with its writer.
    threading.Thread(target=lambda: os.read(parent_lives, 1) or os._exit(0), daemon=True).start()
    server.serve_forever()
    os._exit(0)


def _end(child: int) -> NoReturn:
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    os._exit(0)


if __name__ == "__main__":
    main()
