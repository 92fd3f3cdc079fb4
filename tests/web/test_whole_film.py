"""The whole product from a real browser: sign in, call `createJob`, listen, and see the film come by real functions."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.stack import LocalCloud
from tests.web.browser import CallRefused, Chromium, ListenerPage
from tests.web.firestore_rest import RULES, FirestoreRest

PROMPTS = [{"prompt": f"A lighthouse, part {number}", "durationMs": 4000} for number in range(1, 4)]


@contextmanager
def opened(firestore_host: str, **options: Any) -> Iterator[LocalCloud]:
    with LocalCloud(**options) as cloud:
        released = FirestoreRest(firestore_host, cloud.project).release_rules(RULES.read_text(encoding="utf-8"))
        assert released == []
        yield cloud


@pytest.fixture(scope="module")
def cloud(firestore_host: str) -> Iterator[LocalCloud]:
    with opened(firestore_host, latency_seconds=0.2) as cloud:
        yield cloud


@pytest.fixture
def held_cloud(firestore_host: str) -> Iterator[LocalCloud]:
    """Give a cloud in which nothing goes on before the test has seen what comes before it."""
    with opened(firestore_host, latency_seconds=None, carrying=False) as cloud:
        yield cloud


def open_page(cloud: LocalCloud, chromium: Chromium, firestore_host: str, uid: str | None) -> ListenerPage:
    return chromium.open_page(cloud.project, firestore_host, f"127.0.0.1:{cloud.port}", uid)


def test_a_page_calls_create_job_and_sees_every_state_to_the_finished_film(
    held_cloud: LocalCloud, chromium: Chromium, firestore_host: str, tmp_path: Path
) -> None:
    cloud = held_cloud
    page = open_page(cloud, chromium, firestore_host, "alice")
    made = page.create_job({"prompts": PROMPTS, "generator": "veo", "title": "The keeper"})
    page.listen(made["jobId"])
    # No message has flowed yet, so the first state lasts long enough to be seen.
    page.wait_for_state("queued")
    cloud.bridge.start()
    page.wait_for_state("generating")
    for index in range(3):
        page.wait_for_segment(index, "generating")
    page.screenshot(tmp_path / "generating.png")
    cloud.vertex.work()
    page.wait_for_state("completed")
    page.screenshot(tmp_path / "completed.png")

    assert page.states() == ["queued", "generating", "stitching", "completed"]
    assert [page.segment_states(index)[-1] for index in range(3)] == ["done"] * 3
    assert page.complaints == []
    assert page.strays == []
    job = cloud.job(made["jobId"])
    assert job.film is not None
    assert "100" in page.text()
    page.close()


def test_a_strangers_and_nobodys_listener_is_refused_and_hears_nothing(
    cloud: LocalCloud, chromium: Chromium, firestore_host: str
) -> None:
    hers = open_page(cloud, chromium, firestore_host, "alice")
    # No clip comes, so the job is still there to be cancelled, however slow the browser is.
    cloud.vertex.latency_seconds = None
    made = hers.create_job({"prompts": PROMPTS, "generator": "veo"})
    for uid in ("mallory", None):
        stranger = open_page(cloud, chromium, firestore_host, uid)
        stranger.listen(made["jobId"])
        stranger.wait_for_errors(1)

        assert stranger.states() == []
        with pytest.raises(CallRefused) as refused:
            stranger.call("cancelJob", {"jobId": made["jobId"]})
        assert refused.value.code == ("functions/permission-denied" if uid else "functions/unauthenticated")
        stranger.close()

    assert hers.call("cancelJob", {"jobId": made["jobId"]})["state"] == "cancelled"
    cloud.vertex.latency_seconds = 0.2
    hers.close()


def test_half_of_a_films_states_are_on_the_page_a_quarter_of_a_second_after_their_commit(
    cloud: LocalCloud, chromium: Chromium, firestore_host: str
) -> None:
    page = open_page(cloud, chromium, firestore_host, "alice")
    made = page.create_job({"prompts": PROMPTS * 8, "generator": "veo", "maxParallelSegments": 2})
    page.listen(made["jobId"])
    page.wait_for_state("completed")

    # The first snapshot shows what was there before the page listened.
    waits = page.commit_to_page_ms()[2:]
    page.close()
    assert len(waits) >= 20
    assert statistics.median(waits) < 250
