"""What an idle month costs, and what a project may use: reckoned from the real plan and from what gcloud prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.deploy import idle_cost
from infra.deploy.idle_cost import FREE, PRICED, SWEEP_READS, resources, runs_of_a_month, unknown, words_of
from infra.deploy.quotas import GPU_QUOTA, PROCESSORS_QUOTA, gpu_cards, transcoder_jobs, veo_requests
from infra.deploy.quotas import words_of as quota_words
from tests.cloud import emulators
from tests.cloud.conftest import needs_emulators as needs_emulators
from tests.cloud.firestore_meter import Meter, metered_client
from tests.infra.terraform import deployment, missing
from tests.infra.world import PRODUCTION

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Iterator[dict[str, Any]]:
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="idle") as folder, deployment(Path(folder)) as copy:
        copy.plan(PRODUCTION)
        yield json.loads(copy.run("show", "-json", str(copy.folder / "plan")))


def test_every_kind_of_resource_of_infra_has_its_price_or_is_known_to_have_none() -> None:
    kinds = {
        kind
        for path in (ROOT / "infra").glob("*.tf")
        for kind in re.findall(r'^resource "(\w+)"', path.read_text(), re.M)
    }

    assert unknown(dict.fromkeys(kinds)) == []
    assert not FREE & set(PRICED)


def test_while_nobody_uses_it_nothing_is_paid_for_but_storage(plan: dict[str, Any]) -> None:
    found = resources(plan)

    lines = [line for kind, reckon in PRICED.items() for line in reckon(found.get(kind, []))]

    assert [line.name for line in lines if line.left_nano_usd] == []
    assert "Not in the table" not in words_of(plan)
    # What the page on deploying says of it.
    without_free_tiers = round(sum(line.list_nano_usd for line in lines) / 1e9, 2)
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert f"Without the free tiers it is ${without_free_tiers:.2f}" in page


def test_alerts_are_free_until_google_bills_them_and_what_they_cost_then_is_said(plan: dict[str, Any]) -> None:
    [line] = idle_cost.alerts(resources(plan)["google_monitoring_alert_policy"])
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")

    assert (line.list_nano_usd, line.left_nano_usd) == (0, 0)
    # Without a daily limit: five references to metrics in PromQL, five by filters; and what those filters name, each a
    # point every half minute: 11 functions, 4 jobs, 7 topics, the dead letters, the executions of 4 jobs.
    dollars = 10 * 0.35 + (11 + 4 + 7 + 1 + 4) * 2 * 60 * 730 * 0.5 / 1e6
    assert line.note == f"9 conditions: free; from 2027-09-01 at the earliest ${dollars:.2f} at most"
    assert f"from {idle_cost.ALERTS_FREE_UNTIL} at the earliest" in page
    assert f"${dollars:.2f}" in page


def test_a_sweep_is_reckoned_on_the_machine_that_it_runs_on(plan: dict[str, Any]) -> None:
    functions = resources(plan)["google_cloudfunctions2_function"]
    [sweep] = [each["service_config"][0] for each in functions if each["name"].endswith("-on-sweep")]

    assert (sweep["available_cpu"], sweep["available_memory"]) == ("1", f"{idle_cost.SWEEP_GIB}Gi")


def test_the_month_of_a_sweep_is_reckoned_as_by_hand() -> None:
    by_name = {line.name: line.list_nano_usd / 1e9 for line in idle_cost.scheduler([{"schedule": "* * * * *"}])}

    # 43,800 minutes; $0.40 a million calls, 0.1 s of a vCPU at $0.000024 and of a GiB at $0.0000025; two reads at
    # $0.03 a hundred thousand; 1,000 bytes out and in at $40 a TiB; 3,000 bytes of log at $0.50 a GiB.
    assert by_name == pytest.approx(
        {
            "Cloud Scheduler": 0.10,
            "Functions that they wake": 43_800 * (0.4e-6 + 0.1 * (24e-6 + 2.5e-6)),
            "Firestore's reads of these": 43_800 * 2 * 0.03 / 100_000,
            "Pub/Sub's messages to these": 43_800 * 2000 * 40 / 2**40,
            "Lines in the log of these": 43_800 * 3000 * 0.5 / 2**30,
        }
    )


def test_an_instance_that_waits_is_seen_in_the_bill(plan: dict[str, Any]) -> None:
    found = resources(plan)["google_cloudfunctions2_function"]
    found[0]["service_config"][0]["min_instance_count"] = 1

    [line] = idle_cost.functions(found)

    # 1 vCPU and 0.5 GiB, all month.
    assert line.list_nano_usd == line.left_nano_usd == pytest.approx(2_628_000 * 3_750, rel=0.01)


def test_what_the_table_does_not_know_is_said() -> None:
    surprise = {"mode": "managed", "type": "google_redis_instance", "values": {}}

    assert "not reckoned: google_redis_instance" in words_of(
        {"planned_values": {"root_module": {"resources": [surprise]}}}
    )


def test_an_idle_sweep_reads_what_the_bill_says(needs_emulators: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    from adapters.firestore import FirestoreJobStore

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulators.firestore_host())
    meter = Meter()
    client = metered_client(emulators.fresh_project(), meter)
    store = FirestoreJobStore(lambda: client)

    assert store.overdue(datetime.now(UTC), 200) == []

    assert (meter.reads, meter.writes) == (SWEEP_READS, 0)
    client.close()


@given(st.integers(1, 59), st.integers(1, 23))
def test_a_schedule_comes_as_often_as_it_says(minutes: int, hours: int) -> None:
    assert runs_of_a_month(f"*/{minutes} * * * *") == 730 * -(-60 // minutes)
    assert runs_of_a_month(f"0 */{hours} * * *") == 730 * -(-24 // hours) // 24


def info(name: str, **dimensions: str) -> dict[str, Any]:
    return {"quotaId": name, "dimensionsInfos": [{"dimensions": dimensions, "details": {"value": "7"}}]}


def test_quotas_of_the_region_are_told_and_those_of_others_are_not() -> None:
    here, there = info(GPU_QUOTA, region="us-east4"), info(GPU_QUOTA, region="europe-west4")

    assert gpu_cards([there, here], "us-east4") == 7
    assert gpu_cards([there], "us-east4") is None
    assert quota_words("gpu", [there], "us-east4").startswith("unknown L4 cards")
    assert quota_words("processors", [info(PROCESSORS_QUOTA, region="us-east4")], "us-east4").startswith("0 processors")
    assert quota_words("processors", [], "us-east4").startswith("unknown processors")
    assert transcoder_jobs([info("ConcurrentJobsPerRegion", location="us-east4")], "us-east4") == 7
    asked = info("AnyId", region="us-east4", base_model="veo-3.1-fast-generate-001")
    asked["metric"] = "aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model"
    assert veo_requests([asked], "us-east4") == {"veo-3.1-fast-generate-001": 7}
    asked["dimensionsInfos"][0]["dimensions"]["base_model"] = "gemini-3"
    assert veo_requests([asked], "us-east4") == {}
    other = {**info("AnyId", region="us-east4", base_model="veo-3.1-fast-generate-001"), "metric": "tuning_jobs"}
    assert veo_requests([other], "us-east4") == {}


@given(st.lists(st.fixed_dictionaries({}, optional={"quotaId": st.just(GPU_QUOTA), "dimensionsInfos": st.just([])})))
def test_a_list_without_values_is_no_error(infos: list[dict[str, Any]]) -> None:
    assert gpu_cards(infos, "us-east4") is None


@pytest.mark.parametrize("name", ["app.py", "idle_cost.py", "plan_guard.py", "quotas.py", "source.py"])
def test_a_program_that_is_called_wrongly_says_how_to_call_it(name: str) -> None:
    program = ROOT / "infra" / "deploy" / name

    done = subprocess.run(
        [sys.executable, "-S", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert done.returncode == 64
    assert done.stderr.startswith("usage: ")
