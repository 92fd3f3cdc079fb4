"""What must be there before what: a first deployment into an empty project makes everything in one go."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.infra.world import World

_API: Final = "google_project_service"
#: What fails, or does half of its work, where these are not there yet.
NEEDS: Final = {
    "google_cloudfunctions2_function.function": {
        "google_project_iam_member.build",
        "google_project_iam_member.build_reads",
    },
    "google_firebaserules_ruleset.firestore": {"google_firestore_database.main"},
    "google_pubsub_subscription.push": {
        "google_cloud_run_v2_service_iam_member.push",
        "google_pubsub_topic_iam_member.forwarder",
        "google_service_account_iam_member.push_token",
    },
    "google_storage_notification.object_finalized": {"google_pubsub_topic_iam_member.storage_publishes"},
}


def everything_waits_for_its_api(world: World) -> Iterator[str]:
    graph = _graph(world)
    for name in [each for each in graph if each.startswith("google_") and not each.startswith(f"{_API}.")]:
        if not any(each.startswith(f"{_API}.") for each in _before(graph, name)):
            yield f"{name} may be made before any API is on"


def what_needs_another_comes_after_it(world: World) -> Iterator[str]:
    graph = _graph(world)
    for name, needed in NEEDS.items():
        yield from (f"{name} may be made before {each}" for each in sorted(needed - _before(graph, name)))


def _graph(of: World) -> dict[str, set[str]]:
    """Give each resource of the configuration with what it waits for, by Terraform's own plan of its work."""
    found: dict[str, set[str]] = defaultdict(set)
    edges = re.findall(r'"\[root\] ([^"\s]+)[^"]*" -> "\[root\] ([^"\s]+)[^"]*"', of.copy.run("graph", "-type=plan"))
    for first, second in edges:
        found[first].add(second)
    return found


def _before(graph: dict[str, set[str]], name: str) -> set[str]:
    """Give everything that is made, or worked out, before one resource."""
    seen, waiting = set[str](), [name]
    while waiting:
        new = graph.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen
