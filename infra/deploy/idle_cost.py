"""Reckon what a deployment costs in a month in which nobody uses it, from the plan itself and a table of prices.

    terraform show -json PLAN > plan.json; python infra/deploy/idle_cost.py plan.json

Every kind of resource is either in the table or is said to be missing from it. Prices are list prices in us-central1;
other regions differ by a fifth or so. Runs with Python's own library alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: When these prices were looked at. Source: Google's price lists as collected on that day; those that are marked were
#: found in no list of Google's own and are from general knowledge or from others' notes.
PRICED_ON = "2026-11-22"

#: A month as Google bills it, in seconds.
MONTH_SECONDS = 730 * 3600
_MINUTES_OF_A_MONTH = 730 * 60

# In nano US dollars.
_SCHEDULER_JOB = 100_000_000  # three are free in a billing account
_REQUEST = 400  # $0.40 a million; two million are free in a month
_VCPU_SECOND = 24_000  # 180,000 are free in a month
_GIB_SECOND = 2_500  # 360,000 are free in a month
_IDLE_VCPU_SECOND = 2_500  # of an instance that waits; from general knowledge
_IDLE_GIB_SECOND = 2_500  # the same
_FIRESTORE_READ = 300  # 50,000 are free in a day
_PUBSUB_BYTE = 40_000_000_000 / 2**40  # 10 GiB are free in a month
_LOG_BYTE = 500_000_000 / 2**30  # 50 GiB are free in a month and a project
#: Alerts cost nothing before this day, and afterwards so much a month for each metric that a condition names, and a
#: million points that its looks give. Source: Google's page "Observability pricing" ("Starting no sooner than September
#: 1, 2027 …"), as five independent notes of September and October 2026 quote it; the page itself could not be read.
ALERTS_FREE_UNTIL = "2027-09-01"
_METRIC_REFERENCE = 350_000_000
_MILLION_POINTS = 500_000_000
#: A condition on a metric is looked at every half minute.
_LOOKS = MONTH_SECONDS // 30

#: Shortest that a call of a function is billed, and about what a sweep takes that finds nothing. In milliseconds.
_SWEEP_MS = 100
#: Memory of the function that sweeps, in GiB; it has one processor. Both are what infra/names.tf and functions.tf say.
SWEEP_GIB = 1
#: What a sweep leaves in the log: two lines of the Scheduler and one of Cloud Run, a kB or so each. An assumption.
_SWEEP_LOG_BYTES = 3000
#: Documents that a sweep over nothing reads: each of its queries costs one; tests/infra/test_idle_cost.py measures it.
SWEEP_READS = 2
#: A message is billed as this much when it is published, and again when it is delivered. In bytes.
_MESSAGE_BYTES = 2 * 1000

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """What one part costs in an idle month, in nano US dollars."""

    name: str
    #: Without any free tier.
    list_nano_usd: int
    #: What is left of it where the project has its free tiers to itself.
    left_nano_usd: int
    note: str = ""


#: What grows with what lies there, and nothing else: resource type → what a GiB costs in a month.
STORED = {
    "google_storage_bucket": "$0.020 a GiB: films, clips, sources",
    "google_firestore_database": "$0.15 a GiB after the first, and as much for the seven days to go back to",
    "google_artifact_registry_repository": "$0.10 a GB after the first half: images of jobs and functions, 1 to 3 GB",
    "google_bigquery_dataset": "nothing: its views hold nothing; what they read of the log, a TiB a month, is free",
    "google_logging_project_bucket_config": "$0.01 a GiB after a line's first 30 days",
}

#: What costs nothing by being there.
FREE = frozenset(
    f"google_{name}"
    for name in (
        "bigquery_dataset_iam_member",
        "bigquery_routine",
        "bigquery_table",
        "bigquery_table_iam_member",
        "billing_budget",
        "cloud_run_v2_job",
        "cloud_run_v2_job_iam_member",
        "cloud_run_v2_service_iam_member",
        "firebaserules_release",
        "firebaserules_ruleset",
        "firestore_field",
        "firestore_index",
        "logging_linked_dataset",
        "logging_metric",
        "logging_project_sink",
        "monitoring_dashboard",
        "monitoring_notification_channel",
        "project_iam_custom_role",
        "project_iam_member",
        "project_service",
        "pubsub_schema",
        "pubsub_subscription",
        "pubsub_subscription_iam_member",
        "pubsub_topic",
        "pubsub_topic_iam_member",
        "service_account",
        "service_account_iam_member",
        "storage_bucket_iam_member",
        "storage_notification",
    )
)


def scheduler(jobs: Sequence[Values]) -> Iterator[Line]:
    """Reckon the clocks, and what they wake."""
    price = len(jobs) * _SCHEDULER_JOB
    yield Line("Cloud Scheduler", price, max(0, len(jobs) - 3) * _SCHEDULER_JOB, f"{len(jobs)} jobs, three are free")
    runs = sum(runs_of_a_month(job["schedule"]) for job in jobs)
    woken = runs * (_REQUEST + _SWEEP_MS * (_VCPU_SECOND + SWEEP_GIB * _GIB_SECOND) // 1000)
    seconds = runs * _SWEEP_MS // 1000
    free = runs <= 2_000_000 and seconds <= 180_000
    yield Line("Functions that they wake", woken, 0 if free else woken, f"{runs} calls, {_SWEEP_MS} ms taken for each")
    reads = runs * SWEEP_READS
    yield _used("Firestore's reads of these", reads, _FIRESTORE_READ, 50_000 * 30)
    yield _used("Pub/Sub's messages to these", runs * _MESSAGE_BYTES, _PUBSUB_BYTE, 10 * 2**30)
    yield _used("Lines in the log of these", runs * _SWEEP_LOG_BYTES, _LOG_BYTE, 50 * 2**30)


def _used(name: str, number: int, price: float, free: int) -> Line:
    return Line(name, int(number * price), 0 if number <= free else int(number * price))


def runs_of_a_month(schedule: str) -> int:
    """Give how often a schedule of five fields comes, of which only minute and hour are read.

    >>> runs_of_a_month("* * * * *"), runs_of_a_month("*/5 * * * *"), runs_of_a_month("0 3 * * *")
    (43800, 8760, 30)
    """
    minutes, hours, *_ = schedule.split()
    return _MINUTES_OF_A_MONTH * _times(minutes, 60) * _times(hours, 24) // (60 * 24)


def _times(field: str, of: int) -> int:
    if field == "*":
        return of
    every = re.fullmatch(r"\*/(\d+)", field)
    return -(-of // int(every[1])) if every else len(field.split(","))


def functions(deployed: Sequence[Values]) -> Iterator[Line]:
    """Reckon the instances that wait for work."""
    nano = 0
    for each in deployed:
        service = each["service_config"][0]
        waiting = service.get("min_instance_count") or 0
        second = float(service.get("available_cpu") or 1) * _IDLE_VCPU_SECOND
        second += _gib(service.get("available_memory") or "256M") * _IDLE_GIB_SECOND
        nano += int(waiting * MONTH_SECONDS * second)
    yield Line("Functions", nano, nano, f"{len(deployed)} deployed" + ("" if nano else ", none waits for work"))


def _gib(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]  # Google's own format
    return float(number) * {"G": 1e9, "Gi": 2**30, "M": 1e6, "Mi": 2**20}[unit] / 2**30


def alerts(policies: Sequence[Values]) -> Iterator[Line]:
    """Reckon the alerts: nothing yet; the note says what they come to once they are billed."""
    conditions = [each for policy in policies for each in policy.get("conditions") or []]
    later = sum(_of_a_condition(each) for each in conditions)
    yield Line(
        "Alerts",
        0,
        0,
        f"{len(conditions)} conditions: free; from {ALERTS_FREE_UNTIL} at the earliest {_usd(later)} at most",
    )


def _of_a_condition(condition: Values) -> int:
    """Give what a condition costs in a month once alerts are billed, at most, in nano US dollars."""
    queries = [each["query"] for each in condition.get("condition_prometheus_query_language") or []]
    if queries:
        # Our own metrics have no points while nobody makes a film.
        return _METRIC_REFERENCE * sum(len(re.findall(r"\w+(?=\{)", each)) or 1 for each in queries)
    # Google's metrics have, one a look for each thing that the filter names.
    named = [re.findall(r'"([^"]*\|[^"]*)"', each.get("filter") or "") for each in condition["condition_threshold"]]
    things = max((len(names.split("|")) for found in named for names in found), default=1)
    return _METRIC_REFERENCE + things * _LOOKS * _MILLION_POINTS // 1_000_000


def secrets(versions: Sequence[Values]) -> Iterator[Line]:
    """Reckon secrets; six versions are free."""
    yield Line("Secrets", len(versions) * 60_000_000, max(0, len(versions) - 6) * 60_000_000)


#: Resource type → what reckons all of that type.
PRICED: Mapping[str, Callable[[Sequence[Values]], Iterator[Line]]] = {
    "google_cloud_scheduler_job": scheduler,
    "google_cloudfunctions2_function": functions,
    "google_monitoring_alert_policy": alerts,
    "google_secret_manager_secret_version": secrets,
}


def resources(plan: Mapping[str, Any]) -> dict[str, list[Values]]:
    """Give the resources of a plan, as `terraform show -json` has it, by type."""
    found: dict[str, list[Values]] = {}
    for each in plan["planned_values"]["root_module"].get("resources", []):
        if each["mode"] == "managed":
            found.setdefault(each["type"], []).append(each["values"])
    return found


def unknown(found: Mapping[str, object]) -> list[str]:
    """Give the types that the table does not know."""
    return sorted(set(found) - set(PRICED) - set(STORED) - FREE)


def words_of(plan: Mapping[str, Any]) -> str:
    """Give the bill for people."""
    found = resources(plan)
    lines = [line for kind, reckon in PRICED.items() if kind in found for line in reckon(found[kind])]
    told = [f"  A month in which nobody uses it, at the prices of {PRICED_ON}:", ""]
    told.append(f"  {'':<30}{'list price':>12}{'left to pay':>14}")
    for line in (*lines, Line("together", sum(x.list_nano_usd for x in lines), sum(x.left_nano_usd for x in lines))):
        told.append(
            f"  {line.name:<30}{_usd(line.list_nano_usd):>12}{_usd(line.left_nano_usd):>14}  {line.note}".rstrip()
        )
    told += [
        "  (left to pay: where the project has Google's free tiers to itself)",
        "",
        "  and what is stored, by the month:",
    ]
    told += [f"  {kind.removeprefix('google_'):<30}{STORED[kind]}" for kind in STORED if kind in found]
    if missing := unknown(found):
        told += ["", f"  Not in the table, so not reckoned: {', '.join(missing)}"]
    return "\n".join(told)


def _usd(nano: int) -> str:
    return f"${nano / 1e9:.2f}"


def main(arguments: list[str]) -> int:
    """Read the plan and print the bill; give the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python infra/deploy/idle_cost.py PLAN.json\n")
        return 64
    sys.stdout.write(f"{words_of(json.loads(Path(arguments[0]).read_text(encoding='utf-8')))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
