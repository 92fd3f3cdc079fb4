"""What the metrics count is what is written: each filter and each field, over the lines of real runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import yaml

from events.clip import StitchReport
from events.errors import LimitExceeded, RenderFailed, Unavailable
from events.log_lines import FIELDS
from gpu_job.cloud_task import CloudReporter, CloudTask
from tests.functions.logged import deliver_unreadable, logged
from tests.functions.world import ManualClock
from tests.functions.world import World as Films
from tests.infra.extract import INFRA
from tests.infra.log_filter import extracted, matches
from tests.infra.world import World
from tests.media.clips import ClipSpec, make_clip

METRICS: dict[str, Any] = yaml.safe_load((INFRA / "metrics.yaml").read_text(encoding="utf-8"))
OPERATING = (INFRA.parent / "docs" / "operating.md").read_text(encoding="utf-8")
Entry = Mapping[str, Any]
#: Labels of the resources `cloud_run_revision` and `cloud_run_job`, and those that PromQL itself gives.
RESERVED = {"project_id", "location", "service_name", "revision_name", "configuration_name", "job_name"} | {
    "monitored_resource", "le", "quantile", "job", "instance",
}  # fmt: skip


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """Give the lines of a few films with every mishap that a metric counts, as Cloud Logging has them."""
    folder = tmp_path_factory.mktemp("films")

    def clip_of(index: int) -> bytes:
        return make_clip(ClipSpec(number=index + 1, frames=6, tone=None), folder / f"{index}.mp4").read_bytes()

    films = Films(folder / "home", clip_of, clock=TickingClock())
    try:
        with logged() as written:
            _films_with_mishaps(films)
            deliver_unreadable(films, "{}")
    finally:
        films.close()
    of_functions = _resource("cloud_run_revision", "service_name", "longreel-production-on-segment-requested")
    of_jobs = _resource("cloud_run_job", "job_name", "longreel-production-stitch-cpu")
    task = [{"resource": of_jobs, "jsonPayload": line} for line in _lines_of_a_task()]
    return [*({"resource": of_functions, "jsonPayload": line} for line in written.lines), *task]


class TickingClock(ManualClock):
    """Nothing takes no time at all."""

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


def _films_with_mishaps(films: Films) -> None:
    films.paid.refusals.append((LimitExceeded("not now"), False))
    films.paid.lands_after = timedelta(seconds=20)
    films.settle(films.create_paid(2))
    billed = films.create_paid(1, projectId="billed")
    films.run()
    films.paid.land(billed, 0, 1, b"no clip at all")
    films.settle(billed)
    films.paid.refusals.append((RenderFailed("it is gone", code="model_retired"), False))
    films.settle(films.create_paid(1, projectId="retired"))


def _resource(kind: str, label: str, name: str) -> dict[str, Any]:
    return {"type": kind, "labels": {label: name, "project_id": "my-films-4711"}}


class _Nowhere:
    """Takes papers and keeps none."""

    def read(self, _uri: str) -> None:
        return None

    def write(self, _uri: str, _content: bytes) -> None:
        return None


def _lines_of_a_task() -> list[dict[str, Any]]:
    out: Any = StringIO()
    objects: Any = _Nowhere()
    task = CloudTask("my-films-4711", execution="stitch-x1")
    reporter = CloudReporter(out, objects, "gs://films/jobs/job_abc123/stitch/2/plan.json", task)
    reporter.progress(10, "Encoding…")
    reporter.error(Unavailable("PUT https://storage.googleapis.com/o?upload_id=zqxzqxzqx: 503"))
    reporter.result(
        StitchReport(frame_count=12, duration_ms=500, width_px=64, height_px=48, size_bytes=9, sound="none")
    )
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_finds_lines_of_a_real_run_and_in_them_every_field_that_it_reads(
    world: World, entries: list[Entry], name: str
) -> None:
    metric = world.production.by_key("google_logging_metric", "metric")[name]

    found = [entry for entry in entries if matches(metric["filter"], entry)]

    assert found, "no line of a real run is counted"
    assert len(found) < len(entries) / 2, "nearly everything is counted"
    for label, extractor in metric["label_extractors"].items():
        if label not in ("error_code", "attempt"):  # what went well, or was never begun, has none
            assert all(extracted(extractor, entry) is not None for entry in found), label
    if metric["value_extractor"]:
        values = [extracted(metric["value_extractor"], entry) for entry in found]
        assert all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        [buckets] = metric["bucket_options"][0]["explicit_buckets"]
        assert buckets["bounds"] == sorted(buckets["bounds"])


def test_each_mishap_is_counted_as_often_as_it_happened(world: World, entries: list[Entry]) -> None:
    metrics = world.production.by_key("google_logging_metric", "metric")
    counted = {name: sum(matches(each["filter"], entry) for entry in entries) for name, each in metrics.items()}

    once = {"quota_hits", "paid_retries", "models_retired", "dead_letters", "wasted_micro_usd", "peak_memory_bytes"}
    assert {name: counted[name] for name in once} == dict.fromkeys(once, 1)
    assert counted["jobs_ended"] == counted["job_ms"] == 3
    assert counted["stitch_ms"] == counted["megapixels_per_s"] == counted["first_segment_ms"] == 2
    assert counted["generation_ms"] == 3


def test_what_a_metric_sums_up_is_what_the_jobs_were_told_to_cost(world: World, entries: list[Entry]) -> None:
    metric = world.production.by_key("google_logging_metric", "metric")["spent_micro_usd"]

    spent = [extracted(metric["value_extractor"], entry) for entry in entries if matches(metric["filter"], entry)]

    assert sum(spent) == 3 * 400_000


def test_no_metric_counts_the_lines_of_another_deployment(world: World, entries: list[Entry]) -> None:
    """`staging` and `staging-eu` may live side by side: names are compared whole."""
    for metric in world.staging.by_key("google_logging_metric", "metric").values():
        assert not any(matches(metric["filter"], entry) for entry in entries)
    name = world.production.by_key("google_logging_metric", "metric")["jobs_ended"]
    longer = [json.loads(json.dumps(entry).replace("production-on-", "production-on-on-")) for entry in entries]
    assert not any(matches(name["filter"], entry) for entry in longer)


@pytest.mark.parametrize(
    "query", ["jsonPayload.jobMillis>=0", 'jsonPayload.action="decisions"', "jsonPayload.jobMs=true"]
)
def test_a_field_that_nobody_writes_finds_nothing(entries: list[Entry], query: str) -> None:
    assert not any(matches(query, entry) for entry in entries)


@pytest.mark.parametrize("query", ["NOT jsonPayload.jobMs>=0", 'a="1" OR b="2"', "jsonPayload.jobMs:*", "error"])
def test_a_filter_that_nobody_can_evaluate_here_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="only comparisons"):
        matches(query, {})


def test_no_label_has_the_name_of_one_that_the_line_s_resource_has() -> None:
    """PromQL calls such a label by another name, and means Google's project where `project_id` is written."""
    for name, metric in METRICS.items():
        assert not RESERVED & set(metric["labels"]), name


def test_only_one_metric_is_told_apart_by_user() -> None:
    assert [name for name, each in METRICS.items() if "userId" in each["labels"].values()] == ["spent_micro_usd"]


def test_the_page_names_every_field_and_what_it_means() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`(?:, label)? \| (.+) \|$", OPERATING, re.MULTILINE))

    assert {name: rows.get(name) for name in (each.name for each in FIELDS.values())} == {
        each.name: each.meaning for each in FIELDS.values()
    }


def test_a_task_s_lines_have_severity_labels_and_no_upload_url(entries: list[Entry]) -> None:
    lines = [each["jsonPayload"] for each in entries if each["resource"]["type"] == "cloud_run_job"]

    assert [(line["action"], line["severity"]) for line in lines if line["action"] != "stitching"] == [
        ("stitch_failed", "ERROR"),
        ("stitched", "INFO"),
    ]
    for line in lines:
        assert line["logging.googleapis.com/labels"] == {"jobId": "job_abc123", "attempt": "2"}
        assert "zqx" not in line["message"]
    assert lines[-1]["frameCount"] == 12
    assert lines[-1]["peakMemoryBytes"] > 1_000_000
