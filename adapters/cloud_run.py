"""The encoding program as a Cloud Run job, with a card or without: an engine of the cloud's router."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from adapters.cloud_run_api import CALL_SECONDS, Execution, RunApi
from adapters.system_clock import SystemClock
from events.errors import LimitExceeded, NotFound, PipelineError, PreconditionFailed, Unavailable
from events.names import parse_uri, stitch_name
from events.plan import Engine as EngineName
from events.plan import StitchPlan
from pipeline.object_port import ObjectStore
from pipeline.ports import Clock
from pipeline.routing import Offer, Refusal
from pipeline.work_ports import Gone, Running, Started, Stopped

if TYPE_CHECKING:
    from adapters.cloud_run_estimate import Estimate, Machine

#: How wrong an estimate of the time may be: a task that could meet its limit half-way is not begun.
_ESTIMATE_ERROR = 2
#: A task is stopped after this many times the estimate, and after no less than this: what a task that hangs may cost.
_TIMEOUT_FACTOR = 4
_TIMEOUT_SECONDS_MIN = 15 * 60
#: How long a claim without an execution may be the work of somebody who is still at it: longer than the call takes.
_CLAIM = timedelta(seconds=2 * CALL_SECONDS)
#: How long an execution may wait for its container. With a card, Google needs seconds; without quota it waits for ever.
_START_PATIENCE = timedelta(minutes=10)

#: Cloud Run's words for a job that no other try can start.
_MISCONFIGURED: Final = frozenset(
    {
        "CONTAINER_MISSING",
        "CONTAINER_PERMISSION_DENIED",
        "CONTAINER_IMAGE_UNAUTHORIZED",
        "CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED",
        "ENCRYPTION_KEY_PERMISSION_DENIED",
        "SECRETS_ACCESS_CHECK_FAILED",
        "VPC_NETWORK_NOT_FOUND",
    }
)


class CloudRunEngine:
    """Makes films by `gpu_job` on Cloud Run.

    An operation is named `EXECUTION@FOLDER`: the execution's full name, and `gs://bucket/jobs/{job}/stitch/{attempt}`,
    which holds `plan.json`, our own `execution.json`, and what the program leaves: `progress.json`, `error.json`,
    `report.json`.

    A start is claimed by `execution.json` before the job is run, so that a second start of the same attempt finds
    the first one's execution. Only where an answer of Cloud Run was lost and a later attempt is made does the work
    run twice; it costs a second run, which the task's timeout bounds, and the later film is passed over.

    Args:
        name: `gpu` or `cpu`.
        project: the project's id.
        region: where the job is.
        job_name: of the Cloud Run job.
        objects: where the papers go.
        endpoint: `http://host:port` of a server on this machine; None for Google's.
        clock: tells how long an execution has waited.
    """

    def __init__(
        self,
        name: EngineName,
        project: str,
        region: str,
        job_name: str,
        objects: ObjectStore,
        endpoint: str | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        if name not in {EngineName.GPU, EngineName.CPU}:
            raise ValueError(f"a Cloud Run job is no {name} engine")
        self._name = name
        self._job = job_name
        self._objects = objects
        self._api = RunApi(project, region, endpoint)
        self._clock = clock or SystemClock()

    @property
    def name(self) -> EngineName:
        """Tell which one it is."""
        return self._name

    def offer(self, plan: StitchPlan) -> Offer | Refusal:
        """Tell what the film would cost by the model of `adapters/cloud_run_estimate.py`, or why it cannot be made."""
        needed, machine = self._estimate(plan)
        if needed.disk_bytes > machine.disk_bytes:
            return Refusal(
                f"it needs {_gigabytes(needed.disk_bytes)} GB for files, and the machine's disk, which is its memory, "
                f"has {_gigabytes(machine.disk_bytes)} GB"
            )
        if needed.seconds * _ESTIMATE_ERROR > machine.task_seconds_max:
            return Refusal(
                f"it should take {needed.seconds / 60:.0f} minutes, too close to the "
                f"{machine.task_seconds_max // 60} after which Cloud Run stops a task"
            )
        reason = _in_words(needed, machine, len(plan.clips))
        return Offer(machine.price_micro_usd(needed.seconds), int(1000 * needed.seconds), reason)

    def start(self, plan: StitchPlan) -> Started:
        """Run the job, once for an attempt.

        Raises:
            LimitExceeded: no quota, no card, or no such job; nothing was started.
            NotAllowed: our service account may not run it; names the role.
            Unavailable: it may or may not have been started.
        """
        self._refuse_starved(plan)
        folder = _folder(plan, plan.attempt)
        try:
            claim = self._write(folder, _Record(self._job, self._clock.now()), 0)
        except PreconditionFailed:
            found = self._again(folder)
            if isinstance(found, Started):
                return found
            claim = found
        return self._run(plan, folder, claim)

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask Cloud Run about an execution, and the program's own papers how far or why."""
        execution, _, folder = operation.partition("@")
        seen = self._api.get(execution)
        if seen is None or seen.succeeded:
            return Gone()
        if seen.succeeded is False:
            return self._why_stopped(seen, folder)
        if not seen.started and seen.created_at is not None and self._clock.now() - seen.created_at > _START_PATIENCE:
            self._api.cancel(execution)
            return self._starved(folder, f"no container of it started in {_START_PATIENCE.seconds // 60} minutes")
        return Running(self._percent(folder))

    def cancel(self, operation: str) -> None:
        """Stop an execution; one that is over or unknown is left alone."""
        self._api.cancel(operation.partition("@")[0])

    def _estimate(self, plan: StitchPlan) -> tuple[Estimate, Machine]:
        # Imported only here: a function that starts no stitch does not pay for it.
        from adapters.cloud_run_estimate import CPU_MACHINE, GPU_MACHINE, estimate

        machine = GPU_MACHINE if self._name is EngineName.GPU else CPU_MACHINE
        return estimate(plan, machine), machine

    def _run(self, plan: StitchPlan, folder: str, claim: int) -> Started:
        plan_uri = f"{folder}/plan.json"
        self._objects.write(plan_uri, plan.to_json().encode())
        try:
            execution = self._api.run(self._job, self._args(plan_uri), self._timeout_seconds(plan))
        except Unavailable:
            raise
        except PipelineError:
            # Nothing was started, so the claim goes: another engine may take this attempt.
            self._objects.delete(f"{folder}/execution.json")
            raise
        self._write(folder, _Record(self._job, self._clock.now(), execution), claim)
        return Started(f"{execution}@{folder}")

    def _args(self, plan_uri: str) -> list[str]:
        # `--work` is in the image's entry point, where its folder is made.
        card = ["--expect-gpu"] if self._name is EngineName.GPU else []
        return ["--plan", plan_uri, "--objects", "gs://", *card]

    def _timeout_seconds(self, plan: StitchPlan) -> int:
        needed, machine = self._estimate(plan)
        if not all(clip.facts.duration_ms for clip in plan.clips):
            return machine.task_seconds_max
        return min(machine.task_seconds_max, max(_TIMEOUT_SECONDS_MIN, int(_TIMEOUT_FACTOR * needed.seconds)))

    def _again(self, folder: str) -> Started | int:
        """Find what an earlier start of this attempt has begun; else take its claim over and give its generation."""
        generation, record = self._read(folder)
        if record.execution:
            return Started(f"{record.execution}@{folder}")
        now = self._clock.now()
        if record.job == self._job and now - record.claimed_at < _CLAIM:
            raise Unavailable(f"start the Cloud Run job {self._job} for {folder}: another start of it is under way")
        # Whoever claimed it died, before the job was run or after.
        execution = self._api.find(record.job, f"{folder}/plan.json")
        claim = self._write(folder, _Record(self._job, now, execution), generation)
        return Started(f"{execution}@{folder}") if execution else claim

    def _refuse_starved(self, plan: StitchPlan) -> None:
        """Leave this attempt to another engine where the one before waited in vain for a machine of ours."""
        if plan.attempt == 1:
            return
        try:
            _, before = self._read(_folder(plan, plan.attempt - 1))
        except NotFound:
            return
        if before.starved and before.job == self._job:
            raise LimitExceeded(f"run the Cloud Run job {self._job}: {before.starved}", code="no_machine")

    def _starved(self, folder: str, why: str) -> Stopped:
        generation, record = self._read(folder)
        self._write(folder, _Record(record.job, record.claimed_at, record.execution, why), generation)
        return Stopped("no_machine", f"run the Cloud Run job {record.job}: {why}", retryable=True)

    def _why_stopped(self, seen: Execution, folder: str) -> Stopped:
        said = self._paper(folder, "error.json")
        short = seen.name.rpartition("/")[2]
        if said.get("execution") == short:
            index = said.get("segmentIndex")
            return Stopped(str(said.get("code")), str(said.get("message")), bool(said.get("retryable")), index)
        if "quota" in seen.message.lower():
            return self._starved(folder, seen.message)
        text = f"the Cloud Run execution {short} ended without a word of the program: {seen.message or seen.reason}"
        if seen.log_url:
            text += f"; its log: {seen.log_url}"
        code = "execution_cancelled" if seen.reason in {"CANCELLED", "CANCELLING"} else "execution_failed"
        return Stopped(code, text, retryable=seen.reason not in _MISCONFIGURED)

    def _percent(self, folder: str) -> int | None:
        percent = self._paper(folder, "progress.json").get("percent")
        return percent if isinstance(percent, int) and 0 <= percent <= 100 else None

    def _paper(self, folder: str, name: str) -> dict[str, Any]:
        """Read what the program left; nothing where it left nothing that can be read."""
        try:
            said = json.loads(self._objects.read(f"{folder}/{name}"))
        except (NotFound, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _read(self, folder: str) -> tuple[int, _Record]:
        uri = f"{folder}/execution.json"
        info = self._objects.stat(uri)
        if info is None:
            raise NotFound(f"read {uri}: there is no such object")
        return info.generation, _Record.from_json(self._objects.read(uri, generation=info.generation))

    def _write(self, folder: str, record: _Record, if_generation: int) -> int:
        return self._objects.write(f"{folder}/execution.json", record.to_json(), if_generation).generation


@dataclass(frozen=True, slots=True)
class _Record:
    """What `execution.json` says: who claimed an attempt, and what runs for it."""

    job: str
    #: Aware, UTC.
    claimed_at: datetime
    #: None as long as no answer of Cloud Run was written down.
    execution: str | None = None
    #: Why no machine was found for it; None where one was.
    starved: str | None = None

    def to_json(self) -> bytes:
        said = {
            "job": self.job,
            "claimedAt": self.claimed_at.isoformat(),
            "execution": self.execution,
            "starved": self.starved,
        }
        return json.dumps(said).encode()

    @classmethod
    def from_json(cls, content: bytes) -> _Record:
        """Read a record.

        Raises:
            PipelineError: it is none of ours.
        """
        try:
            said = json.loads(content)
            return cls(said["job"], datetime.fromisoformat(said["claimedAt"]), said["execution"], said["starved"])
        except (ValueError, KeyError, TypeError) as exc:
            raise PipelineError(f"read execution.json: {exc!r}; delete it if nothing runs for this attempt") from exc


def _folder(plan: StitchPlan, attempt: int) -> str:
    bucket = parse_uri(plan.output_uri).bucket
    return f"gs://{bucket}/{stitch_name(plan.job_id, attempt, '').rstrip('/')}"


def _in_words(needed: Estimate, machine: Machine, clip_count: int) -> str:
    about = f"about {needed.seconds:.0f} s"
    if not needed.encoded_count:
        return f"no picture is encoded; {machine.vcpus} processors join the clips in {about}"
    clips = f"{needed.encoded_count} of {clip_count} clips"
    if needed.encoder != "libx264":
        return f"an L4 encodes {clips} in {about}"
    why = ", because the card cannot fit clips to others that are kept" if machine.gpu else ""
    return f"{machine.vcpus} processors encode {clips} in {about}{why}"


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f}"
