"""Each alert says what to do, and leads to a section that is there; what it looks at exists."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.extract import INFRA
from tests.infra.test_metrics import METRICS, OPERATING
from tests.infra.world import World

#: What issue 6 asks to be told, and the end of an execution, which S2-40 asks for.
TOLD = {"failures", "slow", "memory", "queue", "dead_letter", "paid_retry", "model_retired", "spend", "execution"}


def policies(world: World) -> dict[str, dict[str, object]]:
    """Give every alert there is: with a limit of money where one is set, of executions where there are jobs."""
    kind, found = "google_monitoring_alert_policy", {}
    for made in (world.production, world.staging):
        found |= {**made.by_key(kind, "query"), **made.by_key(kind, "threshold")}
    return found  # type: ignore[return-value]


def anchors(page: str) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_whatever_is_to_be_told_is_told(world: World) -> None:
    assert set(policies(world)) == TOLD
    kind = "google_monitoring_alert_policy"
    without_limit = world.production.by_key(kind, "query")
    assert "spend" not in without_limit, "nobody has set a limit"
    assert "execution" not in world.staging.by_key(kind, "threshold"), "there is no job that could fail"


def test_an_execution_that_fails_is_told_within_a_minute(world: World) -> None:
    [condition] = world.production.by_key("google_monitoring_alert_policy", "threshold")["execution"]["conditions"]
    [threshold] = condition["condition_threshold"]
    [aggregation] = threshold["aggregations"]

    assert 'metric.type="run.googleapis.com/job/completed_execution_count"' in threshold["filter"]
    assert 'metric.labels.result="failed"' in threshold["filter"]
    assert "longreel-production-stitch-cpu" in threshold["filter"]
    assert (threshold["threshold_value"], threshold["duration"]) == (0, "0s")
    assert (aggregation["alignment_period"], aggregation["per_series_aligner"]) == ("60s", "ALIGN_DELTA")


def test_each_alert_says_what_to_do_and_links_its_section(world: World) -> None:
    for name, policy in policies(world).items():
        [documentation] = policy["documentation"]  # type: ignore[misc]
        advice, _, link = documentation["content"].partition("\n\n")
        page, _, anchor = link.rpartition(": ")[2].partition("#")
        assert len(advice) > 40, name
        assert page == "docs/operating.md"
        assert anchor in anchors(OPERATING), f"{name}: docs/operating.md has no section {anchor}"
        assert anchor == re.sub(r"[^\w\- ]", "", f"alert: {_title(policy)}".lower()).replace(" ", "-"), name


def _title(policy: dict[str, object]) -> str:
    return str(policy["display_name"]).partition(": ")[2]


def test_every_section_about_an_alert_has_its_alert(world: World) -> None:
    sections = {each for each in anchors(OPERATING) if each.startswith("alert-")}

    assert len(sections) == len(TOLD)


def test_every_metric_that_is_asked_for_is_made(world: World) -> None:
    text = json.dumps([*policies(world).values(), world.staging.one("google_monitoring_dashboard", "films")])
    asked = set(re.findall(r"user_longreel_staging_(\w+?)(?:_bucket|_sum|_count)?\{", text))

    assert asked == set(METRICS), "a metric that nobody looks at, or one that nobody makes"


def test_every_label_that_is_asked_of_a_metric_of_ours_is_one_that_it_has(world: World) -> None:
    text = json.dumps([*policies(world).values(), world.staging.one("google_monitoring_dashboard", "films")])
    text = text.replace("\\", "")
    asked = re.findall(
        r"(?:by \(([^)]*)\) \()?(?:increase\()?\w+:user_longreel_staging_(\w+?)(?:_bucket|_sum)?\{([^}]*)\}", text
    )
    assert len(asked) > 20
    for grouped, name, chosen in asked:
        labels = {*re.findall(r"\w+", grouped), *re.findall(r"(\w+)=", chosen)}
        known = {*METRICS[name]["labels"], "le", "monitored_resource"}
        assert labels <= known | ({"job_name"} if METRICS[name]["source"] == "jobs" else set()), name


def test_what_is_over_is_closed_though_what_was_looked_at_sends_no_more_data(world: World) -> None:
    """A task that has ended or a function without instances has no memory: its incident would stay open for a week."""
    for name, policy in world.staging.by_key("google_monitoring_alert_policy", "threshold").items():
        assert [each["auto_close"] for each in policy["alert_strategy"]] == ["1800s"], name


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_what_is_asked_of_a_distribution_is_a_part_of_it_and_of_a_count_is_itself(
    world: World, environment: str
) -> None:
    made = getattr(world, environment)
    policies = made.by_key("google_monitoring_alert_policy", "query")
    dashboard = json.loads(made.one("google_monitoring_dashboard", "films")["dashboard_json"])
    text = json.dumps([*policies.values(), dashboard])
    for name, part in re.findall(rf"user_longreel_{environment}_(\w+?)(_bucket|_sum|_count)?\\?\{{", text):
        assert bool(part) == ("value" in METRICS[name]), name


def test_the_limits_are_those_of_the_issue(world: World) -> None:
    alerts = policies(world)

    assert "> 0.05" in str(alerts["failures"]["conditions"])
    assert "> 600000" in str(alerts["slow"]["conditions"])
    assert "> 49.9" in str(alerts["spend"]["conditions"])
    for name, above in {"memory": 0.9, "queue": 10, "dead_letter": 0}.items():
        for condition in alerts[name]["conditions"]:  # type: ignore[attr-defined]
            [threshold] = condition["condition_threshold"]
            assert (threshold["comparison"], threshold["threshold_value"]) == ("COMPARISON_GT", above)


def test_the_dashboard_s_charts_fit_side_by_side(world: World) -> None:
    layout = json.loads(world.production.one("google_monitoring_dashboard", "films")["dashboard_json"])["mosaicLayout"]
    cells = [(tile["xPos"], tile["yPos"]) for tile in layout["tiles"]]

    assert len(set(cells)) == len(cells)
    assert all(tile["xPos"] + tile["width"] <= layout["columns"] for tile in layout["tiles"])
    assert (INFRA / "dashboard.tf").exists()
