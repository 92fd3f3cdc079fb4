"""The loopback Cloud Run, asked by Google's own client: what the real service answers, this one answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsRestTransport
from google.cloud.run_v2.services.jobs.transports import JobsRestTransport

from tests.cloud.servers.run import How, RunJob, RunServer

NAME = "projects/demo-p/locations/us-east4/jobs/job"
SUCCEEDED, FAILED = run_v2.Condition.State.CONDITION_SUCCEEDED, run_v2.Condition.State.CONDITION_FAILED

SAYS_HELLO = "import os, sys; print(sys.argv[1:], *sorted(n for n in os.environ if n.startswith('CLOUD_RUN_')))"
SLEEPS = "import signal; print('ready', flush=True); signal.pause()"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"


@pytest.fixture
def server() -> Iterator[RunServer]:
    with RunServer() as server:
        yield server


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


@pytest.fixture
def jobs(server: RunServer) -> run_v2.JobsClient:
    host = server.url.removeprefix("http://")
    return run_v2.JobsClient(
        transport=JobsRestTransport(host=host, url_scheme="http", credentials=AnonymousCredentials())
    )


@pytest.fixture
def executions(server: RunServer) -> run_v2.ExecutionsClient:
    host = server.url.removeprefix("http://")
    return run_v2.ExecutionsClient(
        transport=ExecutionsRestTransport(host=host, url_scheme="http", credentials=AnonymousCredentials())
    )


def run(jobs: run_v2.JobsClient, *args: str, timeout_seconds: int = 60) -> str:
    override = run_v2.RunJobRequest.Overrides.ContainerOverride(args=args)
    overrides = run_v2.RunJobRequest.Overrides(container_overrides=[override], timeout={"seconds": timeout_seconds})
    operation = jobs.run_job(run_v2.RunJobRequest(name=NAME, overrides=overrides))
    return str(operation.metadata.name)


def test_a_job_runs_with_the_arguments_and_environment_of_a_task(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    server.deploy(RunJob("job", entrypoint=python(SAYS_HELLO)))

    name = run(jobs, "--plan", "x")
    server.wait()

    found = executions.get_execution(name=name)
    (condition,) = found.conditions
    assert (condition.type_, condition.state) == ("Completed", SUCCEEDED)
    assert (found.succeeded_count, found.failed_count, found.running_count) == (1, 0, 0)
    assert found.completion_time >= found.start_time >= found.create_time
    assert list(found.template.containers[0].args) == ["--plan", "x"]
    said = server.executions[0].output.decode()
    assert "'--plan', 'x']" in said
    assert "CLOUD_RUN_EXECUTION CLOUD_RUN_JOB CLOUD_RUN_TASK_ATTEMPT CLOUD_RUN_TASK_COUNT CLOUD_RUN_TASK_INDEX" in said


def test_an_exit_code_fails_the_execution_after_its_retries(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    server.deploy(RunJob("job", entrypoint=python("raise SystemExit(3)"), max_retries=2))

    name = run(jobs)
    server.wait()

    found = executions.get_execution(name=name)
    assert found.conditions[0].state == FAILED
    assert found.conditions[0].execution_reason.name == "NON_ZERO_EXIT_CODE"
    assert (found.failed_count, found.retried_count) == (1, 1)
    assert server.executions[0].exit_codes == [3, 3, 3]


def test_executions_are_listed_the_newest_first_over_pages(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    server.deploy(RunJob("job", entrypoint=python("")))
    names = [run(jobs) for _ in range(3)]

    listed = executions.list_executions(run_v2.ListExecutionsRequest(parent=NAME, page_size=2))

    assert [each.name for each in listed] == names[::-1]
    assert server.log.count("list") == 2


def test_a_long_running_operation_is_done_when_the_execution_is(server: RunServer, jobs: run_v2.JobsClient) -> None:
    server.deploy(RunJob("job", entrypoint=python("")))
    server.hold()
    run(jobs)
    place = NAME.partition("/jobs/")[0]
    name = f"{place}/operations/{server.executions[0].short}"

    assert not jobs.get_operation({"name": name}).done
    server.release()
    server.wait()
    assert jobs.get_operation({"name": name}).done


def wait_until_ready(server: RunServer) -> None:
    while b"ready" not in server.executions[0].output:
        assert not server.executions[0].over.wait(0.02)


@pytest.mark.parametrize(("code", "exit_code"), [(SLEEPS, 143), (IGNORES, 137)])
def test_cancelling_asks_first_and_kills_then(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient, code: str, exit_code: int
) -> None:
    server.deploy(RunJob("job", entrypoint=python(code), stop_patience_seconds=0.3))
    name = run(jobs)
    wait_until_ready(server)

    executions.cancel_execution(name=name)
    server.wait()

    assert server.executions[0].exit_codes == [exit_code]
    found = executions.get_execution(name=name)
    assert (found.conditions[0].execution_reason.name, found.cancelled_count) == ("CANCELLED", 1)
    with pytest.raises(api.BadRequest, match="already complete"):
        executions.cancel_execution(name=name)


def test_a_task_that_takes_too_long_is_stopped(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    server.deploy(RunJob("job", entrypoint=python(SLEEPS)))

    name = run(jobs, timeout_seconds=1)
    server.wait()

    assert server.executions[0].exit_codes == [143]
    assert executions.get_execution(name=name).conditions[0].state == FAILED


def test_what_is_not_there_is_not_found(
    server: RunServer, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    with pytest.raises(api.NotFound, match="kind 'JOB'"):
        run(jobs)
    with pytest.raises(api.NotFound, match="kind 'EXECUTION'"):
        executions.get_execution(name=f"{NAME}/executions/none")


def test_it_refuses_and_breaks_when_it_is_told_to(server: RunServer, jobs: run_v2.JobsClient) -> None:
    server.deploy(RunJob("job", entrypoint=python("")))
    server.refuse(429, "Quota exceeded", "RESOURCE_EXHAUSTED")
    with pytest.raises(api.TooManyRequests, match="Quota exceeded"):
        run(jobs)
    server.misbehave(kind="run", status=503)
    with pytest.raises(api.ServiceUnavailable):
        run(jobs)
    server.next_goes(How(command=python("raise SystemExit(9)")))

    run(jobs)
    server.wait()

    assert server.executions[0].exit_codes == [9]


def test_no_process_outlives_the_server() -> None:
    with RunServer() as server:
        server.deploy(RunJob("job", entrypoint=python(IGNORES)))
        host = server.url.removeprefix("http://")
        transport = JobsRestTransport(host=host, url_scheme="http", credentials=AnonymousCredentials())
        run(run_v2.JobsClient(transport=transport))
        wait_until_ready(server)
        (pid,) = server.executions[0].child_pids()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
