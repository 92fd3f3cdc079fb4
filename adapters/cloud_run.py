"""The encoding program as a Cloud Run job, with a card or without: an engine of the cloud's router."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from adapters.cloud_run_api import CALL_SECONDS, Execution, RunApi
from adapters.cloud_run_ends import ended_by
from adapters.cloud_run_papers import Papers, Record
from adapters.system_clock import SystemClock
from events.errors import LimitExceeded, NotFound, PipelineError, PreconditionFailed, Unavailable
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
#: How long a task may leave no word. It does so every ten seconds as long as it lives (`gpu_job/reporter.py`), and a
#: container that Cloud Run starts anew needs a minute or two to come.
_SILENCE = timedelta(minutes=5)
#: Memory of the job for films that were too large for the other; its files lie in it as well.
LARGER_MEMORY_GIB: Final = 32
#: Tasks with a card, unless somebody says more: a project's first quota of cards is a handful for all films.
GPU_TASKS_MAX: Final = 1


class CloudRunEngine:
    """Makes films by `gpu_job` on Cloud Run.

    An operation is named `EXECUTION@FOLDER`: the execution's full name, and `gs://bucket/jobs/{job}/stitch/{attempt}`,
    where the plan lies and the papers of `adapters/cloud_run_papers.py`.

    A long film is shared out to several tasks of one execution; each finds its share by itself, and the last one to be
    done joins the film (`gpu_job/stitch.py`).

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
        tasks_max: tasks of one film at most, 1 to 50; None for 50, or for one with a card.
        larger_job_name: of a Cloud Run job like the other, with LARGER_MEMORY_GIB, for films that were too large for
            it; None where there is none, and such films are made with one FFmpeg at a time.
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
        tasks_max: int | None = None,
        larger_job_name: str | None = None,
    ) -> None:
        if name not in {EngineName.GPU, EngineName.CPU}:
            raise ValueError(f"a Cloud Run job is no {name} engine")
        self._name = name
        self._job = job_name
        self._objects = objects
        self._api = RunApi(project, region, endpoint)
        self._clock = clock or SystemClock()
        self._tasks_max = tasks_max
        self._larger_job = larger_job_name

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
            tasks = f"even in {needed.task_count} tasks " if needed.task_count > 1 else ""
            return Refusal(
                f"{tasks}it should take {needed.seconds / 60:.0f} minutes, too close to the "
                f"{machine.task_seconds_max // 60} after which Cloud Run stops a task"
            )
        reason = _in_words(needed, machine, len(plan.clips))
        return Offer(needed.price_micro_usd(machine), int(1000 * needed.seconds), reason)

    def start(self, plan: StitchPlan) -> Started:
        """Run the job, once for an attempt.

        Raises:
            LimitExceeded: no quota, no card, or no such job; nothing was started.
            NotAllowed: our service account may not run it; names the role.
            Unavailable: it may or may not have been started.
        """
        self._refuse_starved(plan)
        papers = Papers.of(self._objects, plan, plan.attempt)
        try:
            claim = papers.write_record(Record(self._job_for(plan), self._clock.now()), 0)
        except PreconditionFailed:
            found = self._again(papers, self._job_for(plan))
            if isinstance(found, Started):
                return found
            claim = found
        return self._run(plan, papers, claim)

    def poll(self, operation: str) -> Running | Stopped | Gone:
        """Ask Cloud Run about an execution, and the program's own papers how far or why."""
        execution, _, folder = operation.partition("@")
        seen, papers = self._api.get(execution), Papers(self._objects, folder)
        if seen is None or seen.succeeded:
            return Gone()
        if seen.succeeded is False:
            return self._why_stopped(seen, papers)
        if not seen.started and seen.created_at is not None and self._clock.now() - seen.created_at > _START_PATIENCE:
            self._api.cancel(execution)
            return self._starved(papers, f"no container of it started in {_START_PATIENCE.seconds // 60} minutes")
        if stopped := self._hopeless(seen, papers):
            # What still runs of it is paid for in vain.
            self._api.cancel(execution)
            return stopped
        return Running(papers.percent())

    def cancel(self, operation: str) -> None:
        """Stop an execution; one that is over or unknown is left alone."""
        self._api.cancel(operation.partition("@")[0])

    def _estimate(self, plan: StitchPlan) -> tuple[Estimate, Machine]:
        # Imported only here: a function that starts no stitch does not pay for it.
        from adapters.cloud_run_estimate import CPU_MACHINE, GPU_MACHINE, TASKS_MAX, estimate

        machine = GPU_MACHINE if self._name is EngineName.GPU else CPU_MACHINE
        if plan.larger and self._larger_job is not None:
            machine = replace(machine, memory_gib=LARGER_MEMORY_GIB)
        return estimate(plan, machine, self._tasks_max or (GPU_TASKS_MAX if machine.gpu else TASKS_MAX)), machine

    def _run(self, plan: StitchPlan, papers: Papers, claim: int) -> Started:
        job, plan_uri = self._job_for(plan), f"{papers.folder}/plan.json"
        self._objects.write(plan_uri, plan.to_json().encode())
        needed, machine = self._estimate(plan)
        timeout_seconds = _timeout_seconds(plan, needed, machine)
        try:
            execution = self._api.run(job, self._args(plan, plan_uri), timeout_seconds, needed.task_count)
        except Unavailable:
            raise
        except PipelineError:
            # Nothing was started, so the claim goes: another engine may take this attempt.
            papers.delete_record()
            raise
        papers.write_record(Record(job, self._clock.now(), execution), claim)
        return Started(f"{execution}@{papers.folder}")

    def _job_for(self, plan: StitchPlan) -> str:
        return self._larger_job if plan.larger and self._larger_job is not None else self._job

    def _args(self, plan: StitchPlan, plan_uri: str) -> list[str]:
        # `--work` is in the image's entry point, where its folder is made.
        card = ["--expect-gpu"] if self._name is EngineName.GPU else []
        # Without a larger machine, less is done at a time.
        less = ["--processes", "1"] if plan.larger and self._larger_job is None else []
        return ["--plan", plan_uri, "--objects", "gs://", *card, *less]

    def _again(self, papers: Papers, job: str) -> Started | int:
        """Find what an earlier start of this attempt has begun; else take its claim over and give its generation."""
        generation, record = papers.record()
        if record.execution:
            return Started(f"{record.execution}@{papers.folder}")
        now = self._clock.now()
        if record.job == job and now - record.claimed_at < _CLAIM:
            raise Unavailable(f"start the Cloud Run job {job} for {papers.folder}: another start of it is under way")
        # Whoever claimed it died, before the job was run or after.
        execution = self._api.find(record.job, f"{papers.folder}/plan.json")
        claim = papers.write_record(Record(job, now, execution), generation)
        return Started(f"{execution}@{papers.folder}") if execution else claim

    def _refuse_starved(self, plan: StitchPlan) -> None:
        """Leave this attempt to another engine where the one before waited in vain for a machine of ours."""
        if plan.attempt == 1:
            return
        try:
            _, before = Papers.of(self._objects, plan, plan.attempt - 1).record()
        except NotFound:
            return
        if before.starved and before.job == (job := self._job_for(plan)):
            raise LimitExceeded(f"run the Cloud Run job {job}: {before.starved}", code="no_machine")

    def _starved(self, papers: Papers, why: str) -> Stopped:
        generation, record = papers.record()
        papers.write_record(replace(record, starved=why), generation)
        return Stopped("no_machine", f"run the Cloud Run job {record.job}: {why}", retryable=True)

    def _hopeless(self, seen: Execution, papers: Papers) -> Stopped | None:
        """Say why an execution that runs will come to nothing; None where nothing speaks against it."""
        said = papers.error(seen.name)
        if said.get("retryable") is False:
            return _as_said(said)
        silent = self._silent(papers) if seen.started else None
        if silent is None:
            return None
        short, minutes = seen.name.rpartition("/")[2], _SILENCE.seconds // 60
        text = f"the Cloud Run execution {short} hangs: {silent} left no word for {minutes} minutes, so it was stopped"
        return Stopped("execution_hangs", text, retryable=True, percent=papers.percent())

    def _silent(self, papers: Papers) -> str | None:
        """Name a task that has left no word for too long; remembers what was seen now."""
        try:
            generation, record = papers.record()
        except NotFound:
            return None
        now = self._clock.now()
        looked = record.looked_at(papers.of_tasks(), now)
        for name, sight in looked.seen.items():
            if now - sight.at >= _SILENCE and not papers.has_ended(name):
                return f"the task of {name}" if name else "its program"
        if looked != record:
            with suppress(PreconditionFailed):  # Somebody else looked, too.
                papers.write_record(looked, generation)
        return None

    def _why_stopped(self, seen: Execution, papers: Papers) -> Stopped:
        if said := papers.error(seen.name):
            return replace(_as_said(said), percent=papers.percent())
        if "quota" in seen.message.lower():
            return self._starved(papers, seen.message)
        short = seen.name.rpartition("/")[2]
        text = f"the Cloud Run execution {short} ended without a word of the program: {seen.message or seen.reason}"
        if seen.log_url:
            text += f"; its log: {seen.log_url}"
        code, retryable = ended_by(seen.message, seen.reason)
        return Stopped(code, text, retryable, percent=papers.percent())


def _timeout_seconds(plan: StitchPlan, needed: Estimate, machine: Machine) -> int:
    if not all(clip.facts.duration_ms for clip in plan.clips):
        return machine.task_seconds_max
    return min(machine.task_seconds_max, max(_TIMEOUT_SECONDS_MIN, int(_TIMEOUT_FACTOR * needed.seconds)))


def _as_said(said: dict[str, object]) -> Stopped:
    """Give what the program left in error.json."""
    index = said.get("segmentIndex")
    bad = index if isinstance(index, int) else None
    return Stopped(str(said.get("code")), str(said.get("message")), bool(said.get("retryable")), bad)


def _in_words(needed: Estimate, machine: Machine, clip_count: int) -> str:
    about = f"about {needed.seconds:.0f} s"
    fades = f"{needed.fade_count} fade{'s' if needed.fade_count > 1 else ''}" if needed.fade_count else ""
    if not needed.encoded_count:
        if not fades:
            return f"no picture is encoded; {machine.vcpus} processors join the clips in {about}"
        what = fades
    else:
        what = f"{needed.encoded_count} of {clip_count} clips" + (f" and {fades}" if fades else "")
    tasks = f" in {needed.task_count} tasks" if needed.task_count > 1 else ""
    if needed.encoder != "libx264":
        return f"an L4 encodes {what}{tasks} in {about}"
    why = ", because the card cannot fit clips to others that are kept" if machine.gpu else ""
    return f"{machine.vcpus} processors encode {what}{tasks} in {about}{why}"


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f}"
