"""What infra/analytics.tf deploys: the decisions of this environment's functions, and the views that are tested."""

from __future__ import annotations

import re

from tests.infra.extract import INFRA
from tests.infra.test_views import DATASET, LINES, ORDER, query_of
from tests.infra.world import PRODUCTION, World, functions_of


def test_the_views_that_are_deployed_are_those_that_are_tested(world: World) -> None:
    made = world.production
    deployed = {each.values["table_id"]: each.values for each in made.all("google_bigquery_table")}

    assert set(deployed) == set(ORDER)
    for name, values in deployed.items():
        tested = query_of(name).replace(LINES, lines_of("longreel_production")).replace(DATASET, dataset())
        assert values["view"][0]["query"] == tested, name
        assert values["view"][0]["use_legacy_sql"] is False
        assert values["dataset_id"] == "longreel_production"


def lines_of(dataset: str) -> str:
    return f"{PRODUCTION['project_id']}.{dataset}_lines._AllLogs"


def dataset() -> str:
    return f"{PRODUCTION['project_id']}.longreel_production"


def test_the_sink_takes_the_decisions_of_its_own_environments_functions_and_no_others(world: World) -> None:
    taken = []
    for made in world.both:
        line_filter = made.one("google_logging_project_sink", "lines")["filter"]
        names = set(re.findall(r'"(longreel-[^"]+)"', line_filter))
        assert names == {values["name"] for values in functions_of(made).values()}
        assert 'jsonPayload.action=("created" OR "decision")' in line_filter
        taken.append(names)

    assert not set.intersection(*taken)


def test_lines_and_views_are_in_one_place_and_the_lines_can_be_asked_by_sql(world: World) -> None:
    for made in world.both:
        bucket = made.one("google_logging_project_bucket_config", "lines")
        assert bucket["enable_analytics"] is True
        assert bucket["retention_days"] == 90
        assert bucket["location"] == made.one("google_bigquery_dataset", "analytics")["location"]


def test_every_resource_can_be_left_out() -> None:
    # To plan a deployment without them takes seconds, and each says it in its first line.
    text = (INFRA / "analytics.tf").read_text(encoding="utf-8")
    resources = re.findall(r'^resource "\w+" "\w+" \{\n +for_each = (.*)$', text, re.MULTILINE)

    assert "analytics = var.analytics ? { main = local.prefix } : {}" in text
    assert len(resources) == text.count("\nresource ")
    assert all(each == "local.analytics" or " if var.analytics && " in each for each in resources)
