"""Google's cloud on one machine: the official emulators, loopback servers where Google has none, and every function.

The functions run in a process of their own, which a test may kill; everything else is asked through Google's clients.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from adapters.cloud import CloudAdapters, open_cloud
from adapters.config import CloudConfig, read_cloud_config
from events.messages import Message, Sweep, Topic
from pipeline.commands import Outgoing
from pipeline.records import Job, Segment
from tests.cloud import emulators
from tests.cloud.host import FUNCTIONS
from tests.cloud.pull_bridge import PullBridge
from tests.cloud.servers.run import RunServer
from tests.cloud.servers.storage import StorageServer
from tests.cloud.servers.transcoder import TranscoderServer
from tests.cloud.servers.vertex import VertexServer
from tests.cloud.topology import create_topology, remove_topology

ROOT = Path(__file__).parents[2]
BUCKET = "longreel-films"
REGION = "us-central1"
#: Longest that a test waits for anything at all.
PATIENCE_SECONDS = 120

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CallRefused(Exception):
    """A callable answered with an error of the protocol."""

    def __init__(self, http_status: int, error: Mapping[str, Any]) -> None:
        super().__init__(f"{http_status} {error}")
        self.http_status = http_status
        self.status: str = error["status"]
        self.message: str = error["message"]
        self.details: Any = error.get("details")


class LocalCloud:
    """A context manager; while it is open there is a project of its own.

    Args:
        latency_seconds: from an order at Vertex to its clip; None holds everything back until `vertex.work()`.
        workers: calls of one function that run at once.
        variables: more of the functions' environment, such as `LONGREEL_GPU_JOB`.
        sweep_every_seconds: how often Cloud Scheduler comes; None only when a test says so.
        carrying: whether messages flow from the start; else `bridge.start()` lets them.
        storage_patience_seconds: how long handlers repeat a failing call of Cloud Storage; None for as long as ever.
    """

    def __init__(
        self,
        *,
        latency_seconds: float | None = 0.05,
        workers: int = 8,
        variables: Mapping[str, str] | None = None,
        sweep_every_seconds: float | None = None,
        carrying: bool = True,
        storage_patience_seconds: float | None = None,
    ) -> None:
        self.project = emulators.fresh_project()
        self.storage = StorageServer(buckets=[BUCKET])
        self.vertex = VertexServer(latency_seconds=latency_seconds)
        self.transcoder = TranscoderServer()
        self.run = RunServer()
        self._workers = workers
        self._variables = dict(variables or {})
        self._sweep_every_seconds = sweep_every_seconds
        self._carrying = carrying
        self._storage_patience_seconds = storage_patience_seconds
        self._stopping = threading.Event()
        self._before: dict[str, str | None] = {}
        self._host: subprocess.Popen[str] | None = None
        self._closers: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _open(self) -> None:
        self._set(
            {
                "FIRESTORE_EMULATOR_HOST": emulators.firestore_host(),
                "PUBSUB_EMULATOR_HOST": emulators.pubsub_host(),
            }
        )
        self.storage.start()
        self._closers.append(self.storage.stop)
        topology = create_topology(self.project, None)
        # Before it go those that make clips and films, of which the storage server tells its topics.
        self._closers.append(lambda: remove_topology(topology))
        for server in (self.vertex, self.transcoder, self.run):
            server.start()
            self._closers.append(server.stop)
        self._set(
            {
                "GOOGLE_CLOUD_PROJECT": self.project,
                "STORAGE_EMULATOR_HOST": self.storage.url,
                # Never contacted: unsigned tokens are read where they are.
                "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9",
                "LONGREEL_EMULATED": "on",
                "LONGREEL_BUCKET": BUCKET,
                "LONGREEL_REGION": REGION,
                "LONGREEL_VERTEX_ENDPOINT": self.vertex.url,
                "LONGREEL_TRANSCODER_ENDPOINT": self.transcoder.url,
                "LONGREEL_RUN_ENDPOINT": self.run.url,
            }
            | self._variables
        )
        self.config: CloudConfig = read_cloud_config()
        self.adapters: CloudAdapters = open_cloud(self.config)
        self.storage.notify(f"projects/{self.project}/topics/{Topic.OBJECT_FINALIZED}", "jobs/")
        self.port = self.start_functions()
        routes = {
            path: f"http://127.0.0.1:{self.port}/functions/{FUNCTIONS[topic]}"
            for topic, path in topology.subscriptions.items()
        }
        self.bridge = PullBridge(routes, self._workers)
        if self._carrying:
            self.bridge.start()
        self._closers.append(self.bridge.stop)
        if self._sweep_every_seconds is not None:
            threading.Thread(target=self._come_every_minute, daemon=True).start()

    def close(self) -> None:
        """Take everything down, the last first."""
        self._stopping.set()
        # The bridge first: it waits for calls, which the functions must still answer.
        while self._closers:
            if len(self._closers) <= 5:
                self.stop_functions()
            self._closers.pop()()
        self.stop_functions()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _set(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    # The functions

    def start_functions(self) -> int:
        """Start the process of all functions; give its port."""
        command = [sys.executable, "-m", "tests.cloud.host"]
        if self._storage_patience_seconds is not None:
            command += ["--storage-patience-seconds", str(self._storage_patience_seconds)]
        self._host = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._host.stdout is not None
        said = self._host.stdout.readline()
        assert said, "the functions did not start; what they said is above"
        return int(said)

    def stop_functions(self) -> None:
        """End the process of all functions."""
        if self._host is not None:
            self._host.terminate()
            self._host.wait(30)
            assert self._host.stdout is not None
            self._host.stdout.close()
            self._host = None

    def kill_functions(self) -> None:
        """Kill the process of all functions by -9, in the middle of whatever it does; another takes its place."""
        os.kill(self.controlled()["pid"], signal.SIGKILL)

    def die_at(self, line: int, named: str = "", job_id: str = "") -> None:
        """Let the process die by -9 at one of the next lines before or after it changes something outside; 0 for never.

        Lines are counted from now on, or only those of a name, such as `after submit`, or in work on one job;
        `controlled()` tells at which it died (`diedAt`).
        """
        self.controlled(dieAtLine=line, lineNamed=named, job=job_id)

    def lose(self, topic: Topic, times: int | None = 1, **fields: object) -> None:
        """Let messages get lost for good.

        Args:
            topic: theirs.
            times: how many; None for all.
            fields: of the message, as on the wire, such as `jobId`; a text only has to begin so.
        """
        self.controlled(lose=[{"function": FUNCTIONS[topic], "fields": fields, "times": times}])

    def advance(self, seconds: float) -> None:
        """Let time pass for the functions."""
        self.controlled(advanceSeconds=seconds)

    def controlled(self, **orders: object) -> dict[str, Any]:
        """Ask the functions' process how it is, after telling it something; see `tests/cloud/host_controls.py`."""
        body = json.dumps(orders).encode() if orders else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/control", body)
        while True:
            try:
                with _opener.open(request, timeout=30) as answer:
                    told: dict[str, Any] = json.load(answer)
                    return told
            except (OSError, http.client.HTTPException):
                # It was killed while it answered; the next one will know, and take what it is told twice.
                if self._host is None or self._host.poll() is not None:
                    raise

    def call(self, name: str, data: object, uid: str | None = "alice", **headers: str) -> Any:
        """Call a callable as the Firebase SDK does.

        Raises:
            CallRefused: the protocol's error.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{self.project}/{REGION}/{name}",
            json.dumps({"data": data}).encode(),
            {"Content-Type": "application/json", **headers},
        )
        if uid is not None:
            request.add_header("Authorization", f"Bearer {self.token(uid)}")
        try:
            with _opener.open(request, timeout=60) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as exc:
            with exc:
                raise CallRefused(exc.code, json.load(exc)["error"]) from None

    def token(self, uid: str) -> str:
        """Give an ID token as the Auth emulator makes them: unsigned."""
        now = int(time.time())
        claims = {
            "iss": f"https://securetoken.google.com/{self.project}",
            "aud": self.project,
            "auth_time": now,
            "iat": now,
            "exp": now + 3600,
            "sub": uid,
            "user_id": uid,
            "firebase": {"identities": {}, "sign_in_provider": "custom"},
        }
        return ".".join([_part({"alg": "none", "typ": "JWT"}), _part(claims), ""])

    def meter(self, *, reset: bool = False) -> dict[str, Any]:
        """Give what Firestore would bill for the functions so far, and how often each was called."""
        url = f"http://127.0.0.1:{self.port}/meter"
        with _opener.open(urllib.request.Request(url, method="POST" if reset else "GET"), timeout=30) as answer:
            figures: dict[str, Any] = json.load(answer)
            return figures

    # What is there

    def job(self, job_id: str) -> Job:
        return self.adapters.jobs.load(job_id)

    def segments(self, job_id: str) -> list[Segment]:
        return self.adapters.jobs.segments(job_id)

    def publish(self, message: Message) -> None:
        self.adapters.bus.publish([Outgoing(message)])

    def sweep(self) -> None:
        """Let Cloud Scheduler's minute come."""
        self.publish(Sweep())

    def wait_for(self, job_id: str, is_so: Callable[[Job], bool], seconds: float = PATIENCE_SECONDS) -> Job:
        """Wait until something is so of a job."""
        until = time.monotonic() + seconds
        while True:
            job = self.job(job_id)
            if is_so(job):
                return job
            if time.monotonic() > until:
                segments = [(each.index, str(each.state), each.attempt, each.error) for each in self.segments(job_id)]
                raise AssertionError(f"{job_id} does not get there: {job}\n{segments}")
            self._stopping.wait(0.05)

    def finished(self, job_id: str, seconds: float = PATIENCE_SECONDS) -> Job:
        """Wait until a job is over."""
        return self.wait_for(job_id, lambda job: not job.active, seconds)

    def film(self, job: Job) -> bytes:
        """Give a finished film's bytes."""
        assert job.film is not None, job
        found = self.storage.find(job.film.uri)
        assert found is not None
        return found.content.read()

    def _come_every_minute(self) -> None:
        assert self._sweep_every_seconds is not None
        while not self._stopping.wait(self._sweep_every_seconds):
            self.sweep()


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
