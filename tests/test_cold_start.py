"""A cold start pays only for what its function uses: held by what is loaded when an event was handled, not by time.

The functions find nothing but what `requirements.txt` brings. `benchmarks/cold_start.py` measures the time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from benchmarks.cold_start_instance import Instance
from tests.cloud import emulators
from tests.cloud.cold_chain import CASES, make_films

#: Libraries that take long to load or hold much memory → the module that tells that they are loaded.
HEAVY = {
    "firestore": "google.cloud.firestore_v1",
    "pubsub": "google.pubsub_v1",
    "storage": "google.cloud.storage",
    "genai": "google.genai.types",
    "transcoder": "google.cloud.video.transcoder_v1",
    "run": "google.cloud.run_v2",
    "firebase": "firebase_functions.https_fn",
    "firebase admin": "firebase_admin",
    "av": "av",
}
#: Nothing in the cloud needs these.
NEVER = (
    "google.genai._gaos",
    "google.cloud.aiplatform",
    "google.cloud.aiplatform_v1",
    "vertexai",
    "google.cloud.pubsub_v1",
    "google.cloud.firestore_admin_v1",
    "numpy",
    "pkg_resources",
    "sqlite3",
    "pytest",
)
_CALLABLE = {"firebase", "firebase admin"}
#: Case → what its function loads, in some order of events at least, and nothing else of the heavy ones.
LOADED = {
    "create_upload_url": _CALLABLE | {"storage"},
    "create_job": _CALLABLE | {"firestore", "pubsub"},
    "resume_job": _CALLABLE | {"firestore", "pubsub"},
    "cancel_job": _CALLABLE | {"firestore"},
    "on_requested": {"firestore", "pubsub"},
    "on_segment_requested: Veo": {"firestore", "genai"},
    "on_segment_requested: Omni": {"firestore", "genai"},
    "on_object_finalized: a clip": {"storage", "pubsub"},
    "on_object_finalized: a film": {"storage", "firestore"},
    "on_segment_done": {"firestore", "pubsub"},
    "on_segment_done: daisy chain": {"firestore", "pubsub", "storage", "av"},
    "on_stitch_requested: splice": {"firestore", "storage", "av"},
    "on_stitch_requested: Transcoder API": {"firestore", "storage", "transcoder"},
    "on_stitch_requested: Cloud Run": {"firestore", "storage", "run"},
    # The film is only looked for where its own event has not ended the job yet.
    "on_transcoder_report": {"firestore", "transcoder", "storage"},
    "on_sweep": {"firestore"},
}

Instances = Mapping[str, list[Instance]]


@pytest.fixture(scope="module")
def instances() -> Instances:
    """Give the instances of each case: every call of a few films met a process of its own."""
    if (reason := emulators.missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return make_films(at_once=2)


@pytest.mark.parametrize("case", CASES.values())
def test_a_function_that_handled_its_event_has_loaded_only_what_it_needed(instances: Instances, case: str) -> None:
    for instance in instances[case]:
        loaded = {name for name, module in HEAVY.items() if module in instance.modules}

        assert instance.status == 200
        assert loaded <= LOADED[case]


def test_nobody_loads_aiplatform_or_what_no_function_needs(instances: Instances) -> None:
    for case, each in instances.items():
        for instance in each:
            assert not set(NEVER) & set(instance.modules), case


def test_the_table_of_what_is_loaded_promises_nothing_that_is_not_so(instances: Instances) -> None:
    for case, promised in LOADED.items():
        seen = {name for name, module in HEAVY.items() for each in instances[case] if module in each.modules}
        assert promised - seen <= ({"storage"} if case == "on_transcoder_report" else set()), case


def test_every_function_of_main_is_among_the_cases() -> None:
    import main

    of_google = {name for name in vars(main) if name.startswith("on_")}
    of_firebase = {"create_job", "cancel_job", "resume_job", "create_upload_url"}

    assert {entry_point for entry_point, _, _ in CASES} == of_google | of_firebase
