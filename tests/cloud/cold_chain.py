"""Films made by functions of which every call meets a new process, as when nobody has asked for a while.

    python -m tests.cloud.cold_chain [--at-once N]

Prints a line of JSON for every case of `CASES`: `case`, `entryPoint`, `signature` and `instances`, which are those of
`benchmarks/cold_start_instance.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections import defaultdict
from dataclasses import asdict

from benchmarks.cold_start_instance import Instance, start
from events.messages import Topic
from events.names import OutputObject, SegmentObject, parse_object_name
from functions.clips import is_clip
from functions.films import is_film
from tests.cloud.host import CALLABLES, FUNCTIONS
from tests.cloud.servers.http import Answer, LoopbackServer, Request
from tests.cloud.servers.run import RunJob
from tests.cloud.stack import LocalCloud

#: What one film is about; jobs go one after the other.
SPLICED, TRANSCODED, CHAINED, CANCELLED, NO_JOB = "spliced", "transcoded", "chained", "cancelled", ""
#: (entry point, job, what an object is) → the case, for people.
CASES = {
    ("create_upload_url", NO_JOB, ""): "create_upload_url",
    ("create_job", SPLICED, ""): "create_job",
    ("resume_job", SPLICED, ""): "resume_job",
    ("cancel_job", CANCELLED, ""): "cancel_job",
    ("on_requested", SPLICED, ""): "on_requested",
    ("on_segment_requested", SPLICED, ""): "on_segment_requested: Veo",
    ("on_segment_requested", TRANSCODED, ""): "on_segment_requested: Omni",
    ("on_object_finalized", SPLICED, "clip"): "on_object_finalized: a clip",
    ("on_object_finalized", SPLICED, "film"): "on_object_finalized: a film",
    ("on_segment_done", SPLICED, ""): "on_segment_done",
    ("on_segment_done", CHAINED, ""): "on_segment_done: daisy chain",
    ("on_stitch_requested", SPLICED, ""): "on_stitch_requested: splice",
    ("on_stitch_requested", TRANSCODED, ""): "on_stitch_requested: Transcoder API",
    ("on_stitch_requested", CHAINED, ""): "on_stitch_requested: Cloud Run",
    ("on_transcoder_report", TRANSCODED, ""): "on_transcoder_report",
    ("on_sweep", NO_JOB, ""): "on_sweep",
}
GPU_JOB = "stitch-gpu"
#: Longest that one job may take.
PATIENCE_SECONDS = 240


class ColdFunctions(LoopbackServer):
    """Every call meets a process of its own.

    Args:
        at_once: processes that run at the same time.
    """

    def __init__(self, at_once: int) -> None:
        super().__init__()
        #: What the calls are about now.
        self.job = NO_JOB
        #: Case → every instance that there was of it.
        self.instances: dict[str, list[Instance]] = defaultdict(list)
        self._room = threading.Semaphore(at_once)
        self._changed = threading.Condition()
        self.route("POST", r"/functions/(?P<name>\w+)", "event", self._event)
        self.route("POST", r"/[^/]+/[^/]+/(?P<called>\w+)", "call", self._call)

    def wait_for_cases(self, job: str) -> None:
        """Wait until every case of a job has happened."""
        wanted = {case for (_, of, _), case in CASES.items() if of == job}
        with self._changed:
            done = self._changed.wait_for(lambda: wanted <= set(self.instances), PATIENCE_SECONDS)
        assert done, f"these did not happen: {wanted - set(self.instances)}"

    def _event(self, request: Request) -> Answer:
        name, body = request.found["name"], request.body()
        what = _object_of(body) if name == FUNCTIONS[Topic.OBJECT_FINALIZED] else ""
        if what == "nothing of ours":
            return Answer()  # as the function itself says, a second later
        return self._answer(name, "cloudevent", request, body, what)

    def _call(self, request: Request) -> Answer:
        return self._answer(CALLABLES[request.found["called"]], "http", request, request.body(), "")

    def _answer(self, name: str, signature: str, request: Request, body: bytes, what: str) -> Answer:
        wanted = ("Content-Type", "Authorization")
        headers = {key: value for key in wanted if (value := request.headers.get(key)) is not None}
        with self._room:
            instance, said = start(name, signature, {"path": "/", "headers": headers, "body": body.decode()})
        if instance.status != 200:
            sys.stderr.write(said)
        case = CASES.get((name, self.job, what))
        if case is not None and instance.status == 200:
            with self._changed:
                self.instances[case].append(instance)
                self._changed.notify_all()
        return Answer(instance.status, instance.body.encode(), content_type="application/json")


def _object_of(push: bytes) -> str:
    """Tell what an object is that was written."""
    place = parse_object_name(json.loads(push)["message"]["attributes"]["objectId"])
    if isinstance(place, SegmentObject) and is_clip(place):
        return "clip"
    return "film" if isinstance(place, OutputObject) and is_film(place) else "nothing of ours"


class ColdCloud(LocalCloud):
    """Google's cloud on this machine, with functions that are always cold."""

    def __init__(self, at_once: int) -> None:
        super().__init__(variables={"LONGREEL_GPU_JOB": GPU_JOB, "LONGREEL_ACTIVE_JOBS_MAX": "100"})
        self.functions = ColdFunctions(at_once)

    def start_functions(self) -> int:
        return self.functions.start().port

    def stop_functions(self) -> None:
        self.functions.stop()

    def ask(self, job: str, generator: str, seconds: int, count: int = 1, **wishes: object) -> str:
        """Begin a job; what follows is about it."""
        self.functions.job = job
        prompts = [{"prompt": f"Scene {number + 1}", "durationMs": 1000 * seconds} for number in range(count)]
        request = {"prompts": prompts, "generator": generator, "projectId": job, **wishes}
        job_id: str = self.call("createJob", request)["jobId"]
        return job_id


def make_films(at_once: int) -> dict[str, list[Instance]]:
    """Have each case happen once at least; give its instances."""
    with ColdCloud(at_once) as cloud:
        cloud.call("createUploadUrl", {"filename": "a.mp4", "contentType": "video/mp4", "sizeBytes": 5})
        cloud.sweep()
        cloud.functions.wait_for_cases(NO_JOB)
        spliced = cloud.ask(SPLICED, "veo", 4, count=2)
        cloud.call("resumeJob", {"jobId": spliced})
        _finish(cloud, SPLICED, spliced)
        _finish(cloud, TRANSCODED, cloud.ask(TRANSCODED, "omni", 6, engine="transcoder"))
        _chain(cloud)
        cloud.call("cancelJob", {"jobId": cloud.ask(CANCELLED, "veo", 4)})
        cloud.functions.wait_for_cases(CANCELLED)
        return dict(cloud.functions.instances)


def _finish(cloud: ColdCloud, job: str, job_id: str) -> None:
    done = cloud.finished(job_id, PATIENCE_SECONDS)
    assert done.state == "completed", done
    cloud.functions.wait_for_cases(job)


def _chain(cloud: ColdCloud) -> None:
    cloud.run.deploy(RunJob(GPU_JOB))
    # The film itself is not wanted, only that it is ordered.
    cloud.run.hold()
    job_id = cloud.ask(CHAINED, "veo", 4, count=2, daisyChain=True, engine="gpu")
    cloud.functions.wait_for_cases(CHAINED)
    cloud.call("cancelJob", {"jobId": job_id})


def main() -> None:
    """Print what came of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=1, help="processes that run at the same time")
    found = make_films(parser.parse_args().at_once)
    for (entry_point, _, _), case in CASES.items():
        signature = "http" if entry_point in CALLABLES.values() else "cloudevent"
        told = {"case": case, "entryPoint": entry_point, "signature": signature}
        sys.stdout.write(f"{json.dumps(told | {'instances': [asdict(each) for each in found[case]]})}\n")


if __name__ == "__main__":
    main()
