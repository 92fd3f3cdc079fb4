"""Films that a test orders in a `LocalCloud`, each by a name of its own; and what was paid for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from events.names import job_id_of_request
from pipeline.records import Job
from tests.cloud.stack import PATIENCE_SECONDS, LocalCloud

#: Between two looks of one that waits.
LOOK_SECONDS = 0.05
#: A cloud in which nothing was delivered for so long waits for time to pass: a refused message comes after a second.
QUIET_SECONDS = 1.6
#: What a clip of 4 s costs. Source: pipeline/models.py, veo-3.1-fast at 720p.
CLIP_MICRO_USD = 400_000
#: Time that makes everything due that waits for a message, a lease or a generation without a word.
EVERYTHING_IS_DUE_SECONDS = 5 * 60

#: How the functions' time runs for a film that is to end whatever happens to it: so much, after so long of the test's.
STEP_SECONDS, LIVE_SECONDS, STEPS_MAX = 61, 0.4, 60


def id_of(name: str, kind: str = "long_form") -> str:
    """Give the id that the job of this name has, or will have."""
    return job_id_of_request(name, name, kind, name)


def order(cloud: LocalCloud, name: str, count: int, **request: object) -> str:
    """Order a film of `count` clips of 4 s as a user and for a project of this name; give the job's id."""
    prompts = [{"prompt": f"{name}, scene {number}", "durationMs": 4000} for number in range(count)]
    wanted = {"prompts": prompts, "generator": "veo", "requestId": name, "projectId": name} | request
    job_id: str = cloud.call("createJob", wanted, uid=name)["jobId"]
    return job_id


def bought(cloud: LocalCloud, job_id: str) -> dict[int, int]:
    """Give how often each segment of a job was bought, whatever the attempt."""
    found = (each.prefix.partition(f"/jobs/{job_id}/segments/")[2].partition("/")[0] for each in cloud.vertex.bought)
    return dict(sorted(Counter(int(index) for index in found if index).items()))


def once(count: int) -> dict[int, int]:
    """Give what `bought` gives when nothing was bought twice or forgotten."""
    return dict.fromkeys(range(count), 1)


def check_made_for_its_price(cloud: LocalCloud, job: Job, count: int) -> None:
    """Hold a finished film against its promise: complete, each clip bought once, and nothing lost."""
    assert job.state == "completed", (job.error, [(each.index, str(each.state)) for each in cloud.segments(job.job_id)])
    assert job.done_count == count
    assert job.film is not None
    assert job.film.report.frame_count == count * 4 * 24
    assert cloud.storage.find(job.film.uri) is not None
    assert bought(cloud, job.job_id) == once(count)
    check_cost(job, used=count)


def check_cost(job: Job, *, used: int, wasted: int = 0) -> None:
    """Hold a job's cost against the clips that it uses, those that came to nothing, and its stitch."""
    stitch = job.route.price_micro_usd if job.route is not None else 0
    assert job.cost.spent_micro_usd == used * CLIP_MICRO_USD + stitch
    assert job.cost.wasted_micro_usd == wasted * CLIP_MICRO_USD


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(LOOK_SECONDS)


def wait_until_quiet(cloud: LocalCloud) -> None:
    """Wait until nothing is delivered any more: whatever is to happen now needs time to pass."""
    seen, since = (-1, -1), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        told = cloud.controlled()
        now = (len(told["delivered"]), told["pid"])
        if now != seen or told["running"] or _has_work(cloud):
            seen, since = now, time.monotonic()
        time.sleep(LOOK_SECONDS)


def let_heal(cloud: LocalCloud) -> None:
    """Let everything become due that waits, and Cloud Scheduler come once."""
    cloud.advance(EVERYTHING_IS_DUE_SECONDS)
    cloud.sweep()


def live(cloud: LocalCloud, job_id: str, step_seconds: float = STEP_SECONDS) -> Job:
    """Let time pass, and Cloud Scheduler come after each step, until a job is over."""
    for _ in range(STEPS_MAX):
        until = time.monotonic() + LIVE_SECONDS
        while time.monotonic() < until or _has_work(cloud):
            if not (job := cloud.job(job_id)).active:
                return job
            time.sleep(LOOK_SECONDS)
        cloud.advance(step_seconds)
        cloud.sweep()
    raise AssertionError(f"{job_id} does not end: {cloud.job(job_id)}, {cloud.segments(job_id)}")


def _has_work(cloud: LocalCloud) -> bool:
    return cloud.vertex.latency_seconds is not None and cloud.vertex.pending() > 0
