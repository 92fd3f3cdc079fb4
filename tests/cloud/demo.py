"""A film of six prompts by all functions on Google's emulators; says what it is made of, what it cost, what it took.

    python -m tests.cloud.demo [--output FILE] [--figures FILE]

Nothing is asked that is not on this machine. Exit status: 0 for a film, 1 for none, 69 where there are no emulators,
130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pipeline.records import Job
from tests.cloud import emulators
from tests.cloud.demo_figures import Figures, figures_of, words_of
from tests.cloud.host import CALLABLES, FUNCTIONS
from tests.cloud.stack import REGION, ROOT, LocalCloud
from tests.cloud.supervised import supervised
from tests.web.page_server import PageServer

PROMPTS = (
    "A lighthouse on a black rock before dawn, the sea breathing slowly around it.",
    "The keeper climbs the spiral stairs with a lamp; her shadow runs ahead of her on the wall.",
    "Close on her hands as she polishes the great lens, until it catches the first light.",
    "Far out, a small boat. Its captain lifts her head: something flickered on the horizon.",
    "The storm arrives all at once. Waves climb the rock, spray rises past the gallery.",
    "Morning. The boat lies in the harbour, and two women share a pot of tea without a word.",
)
CLIP_MS = 4000
#: From an order at Vertex to its clip; Google's takes a minute or two.
LATENCY_SECONDS = 0.5
#: Longest that nothing may be heard of the film.
PATIENCE_SECONDS = 60
WEB = ROOT / "tests" / "web"

STANDS_IN = """\
  Firestore       Google's emulator, at {firestore}
  Pub/Sub         Google's emulator, at {pubsub}
  Cloud Storage   a loopback server that speaks its protocol to Google's own client
  Veo             a loopback server that speaks Vertex AI's protocol and draws test pictures
  Transcoder,
  Cloud Run       loopback servers that speak their protocols, for films that cannot be spliced
  sign-in         an unsigned token, as Firebase's Auth emulator gives them out
  functions       all {functions} of main.py, each in an app of functions-framework, over Google's own clients
"""


def say(text: str = "") -> None:
    """Tell the person at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make_film(output: Path) -> Figures:
    """Start everything, make the film, take everything down."""
    began = time.monotonic()
    # A proxy of this machine's network has no business on loopback.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    say(f"A film of {len(PROMPTS)} prompts on Google's emulators. Nothing leaves this machine. Starting:\n")
    with ThreadPoolExecutor(2) as pool:
        hosts = [each.result() for each in [pool.submit(emulators.firestore_host), pool.submit(emulators.pubsub_host)]]
    rivals = {"LONGREEL_GPU_JOB": "stitch-gpu", "LONGREEL_CPU_JOB": "stitch-cpu"}
    with ExitStack() as exits:
        cloud = exits.enter_context(LocalCloud(latency_seconds=LATENCY_SECONDS, variables=rivals))
        # Who interrupts the clearing up only makes it longer; a second interrupt ends everything at once.
        exits.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        count = len(FUNCTIONS) + len(CALLABLES)
        say(STANDS_IN.format(firestore=hosts[0], pubsub=hosts[1], functions=count))
        started = time.monotonic()
        called_by, made = call_create_job(cloud)
        say(f"createJob, called by {called_by}: {made['jobId']}, ${made['estimatedUsd']:.2f} estimated\n")
        job, heard = follow(cloud, made, started)
        output.parent.mkdir(parents=True, exist_ok=True)
        took = time.monotonic() - started
        return figures_of(cloud, job, output, heard, called_by, started - began, took)


def call_create_job(cloud: LocalCloud) -> tuple[str, dict[str, Any]]:
    """Call `createJob` as an app's page does; give by what, and the answer."""
    prompts = [{"prompt": prompt, "durationMs": CLIP_MS} for prompt in PROMPTS]
    data = {"title": "The lighthouse", "generator": "veo", "prompts": prompts}
    version = sdk_version()
    if version is None:
        # Content type, token, {"data": …}, {"result": …}: nothing else is in the protocol.
        return "plain HTTP in the protocol of the Firebase JS SDK, which is not installed (make web)", cloud.call(
            "createJob", data
        )
    with PageServer(WEB, WEB / "node_modules" / "firebase") as auth:
        asked = {
            "project": cloud.project,
            "region": REGION,
            "functions": f"127.0.0.1:{cloud.port}",
            "auth": auth.url,
            "token": cloud.token("alice"),
            "name": "createJob",
            "data": data,
        }
        command = ["node", "call.mjs"]
        ran = subprocess.run(command, cwd=WEB, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return f"the Firebase JS SDK {version} in Node.js", answer


def sdk_version() -> str | None:
    """Give the version of the Firebase JS SDK; None where it or Node.js is not installed."""
    modules = WEB / "node_modules"
    # npm writes this file last, so an install that broke off is none.
    if shutil.which("node") is None or not (modules / ".package-lock.json").is_file():
        return None
    version: str = json.loads((modules / "firebase" / "package.json").read_text(encoding="utf-8"))["version"]
    return version


@contextmanager
def listening(cloud: LocalCloud, path: str) -> Iterator[SimpleQueue[dict[str, Any]]]:
    """Listen to a document, as the page does; each of its states comes into the queue."""
    from google.cloud import firestore

    heard: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def on_snapshot(documents: Any, _changes: object, _read_time: object) -> None:
        for each in documents:
            heard.put(each.to_dict())

    client = firestore.Client(project=cloud.project)
    watch = client.document(path).on_snapshot(on_snapshot)
    try:
        yield heard
    finally:
        watch.unsubscribe()
        client.close()


def follow(cloud: LocalCloud, made: dict[str, Any], since: float) -> tuple[Job, int]:
    """Print what the listener hears until the job is over; give the job, and how often something was heard."""
    count = 0
    with listening(cloud, made["listen"]) as heard:
        while True:
            try:
                seen = heard.get(timeout=PATIENCE_SECONDS)
            except Empty:
                raise SystemExit(f"Nothing was heard of {made['jobId']} for {PATIENCE_SECONDS} s.") from None
            count += 1
            clips = f"{seen['doneCount']} of {seen['segmentCount']} clips"
            at = time.monotonic() - since
            say(f"  {at:5.1f} s  {seen['phase']:<10} {seen['progress']:>3} %  {clips}  {seen['message']}")
            if seen["state"] in {"completed", "failed", "cancelled"}:
                break
    say()
    job = cloud.job(made["jobId"])
    if job.film is None or job.route is None:
        raise SystemExit(f"There is no film: {job.error.message if job.error else job.state}")
    return job, count


def run(output: Path, figures_file: Path | None) -> int:
    """Do it; give the exit status."""
    # A shell that starts this in the background has interrupts ignored; here they end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        figures = make_film(output)
        say(words_of(figures))
        if figures_file is not None:
            figures_file.write_text(json.dumps(asdict(figures), indent=1), encoding="utf-8")
    except KeyboardInterrupt:
        emulators.stop_all()
        say("\nInterrupted. Nothing is left running.")
        return 130
    finally:
        emulators.stop_all()
    return 0


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="Make a film by all functions on Google's emulators.")
    parser.add_argument("--output", type=Path, default=Path("demo/cloud-film.mp4"), help="where the film goes")
    parser.add_argument("--figures", type=Path, help="also write what is printed at the end to this file, as JSON")
    options = parser.parse_args()
    if (reason := emulators.missing()) is not None:
        sys.stderr.write(f"The cloud demo runs on Google's emulators: {reason}. `make demo` needs none of that.\n")
        return os.EX_UNAVAILABLE
    return supervised(lambda: run(options.output, options.figures))


if __name__ == "__main__":
    sys.exit(main())
