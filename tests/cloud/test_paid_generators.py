"""What both paid generators promise: nothing is bought twice, and every answer has an outcome of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.errors import InvalidRequest, LimitExceeded, NotAllowed, PipelineError, RenderFailed, Unavailable
from events.requests import PromptSpec, Settings
from pipeline.work_ports import Gone, Running, Stopped
from tests.cloud.paid_orders import OMNI, PREFIX, VEO, Paid, eventually, order, paid
from tests.cloud.servers.vertex import Ending

FAMILIES = ("veo", "omni")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=FAMILIES)
def it(request: pytest.FixtureRequest) -> Iterator[Paid]:
    with paid(request.param) as made:
        yield made


def test_an_order_is_running_until_its_one_clip_lies_under_its_prefix(it: Paid) -> None:
    operation = it.submitted()
    assert it.generator.poll(operation) == Running()

    it.server.work()

    assert it.generator.poll(operation) == Gone()
    (uri,) = it.objects
    assert uri.startswith(PREFIX)
    assert uri.endswith("/sample_0.mp4")
    assert it.server.times_bought(PREFIX) == it.requests() == 1


def test_an_operation_can_be_asked_about_by_another_process(it: Paid) -> None:
    operation = it.submitted()
    it.server.work()

    another = type(it.generator)(
        **{
            name: getattr(it.generator, name)
            for name in ("project", "location", "default_model", "endpoint")
            if hasattr(it.generator, name)
        }
    )

    assert another.poll(operation) == Gone()
    another.close()


def test_a_paid_order_is_never_given_again_by_itself(it: Paid) -> None:
    assert not it.generator.resubmittable


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_order_that_is_refused_is_sent_once(it: Paid, status: int) -> None:
    it.server.rule(refuse=status, times=None)

    with pytest.raises(PipelineError):
        it.generator.submit(order())

    assert it.requests() == 1
    assert it.server.bought == []


@pytest.mark.parametrize("rule", [{"answer": 503}, {"answer": 500}, {"cut": True}, {"nameless": True}])
def test_an_order_that_was_taken_without_a_clear_answer_is_sent_once_and_may_have_been_bought(
    it: Paid, rule: dict[str, object]
) -> None:
    it.server.rule(**rule, times=None)  # type: ignore[arg-type]

    with pytest.raises(Unavailable, match=r"order segment 4 of job_abc123 from (veo|gemini)"):
        it.generator.submit(order())

    assert it.requests() == it.server.times_bought(PREFIX) == 1


def test_an_answer_that_breaks_off_leaves_open_whether_it_was_bought(it: Paid) -> None:
    it.server.misbehave(kind=it.kind("submit"), cut_after_bytes=5, times=9)

    with pytest.raises(Unavailable):
        it.generator.submit(order())

    assert it.requests() == it.server.times_bought(PREFIX) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_that_comes_too_late_is_not_waited_for_and_the_order_is_sent_once(family: str) -> None:
    with paid(family, timeout_ms=200) as it:
        it.server.misbehave(kind=it.kind("submit"), delay_seconds=0.6, times=9)

        with pytest.raises(Unavailable, match="no answer"):
            it.generator.submit(order())

        eventually(lambda: it.server.times_bought(PREFIX) == 1)
        assert it.requests() == 1


def test_a_server_that_nobody_reaches_leaves_it_open(it: Paid) -> None:
    it.server.stop()

    with pytest.raises(Unavailable, match="no answer"):
        it.generator.submit(order())
    with pytest.raises(Unavailable, match="no answer"):
        it.generator.poll("projects/p/locations/l/publishers/google/models/m/operations/1")


@pytest.mark.parametrize(
    ("rule", "error", "code", "says"),
    [
        ({"refuse": 429}, LimitExceeded, "quota", "the quota is used up"),
        ({"refuse": 400}, RenderFailed, "prompt_refused", "because of the prompt"),
        ({"refuse": 400, "said": "fps should be 24."}, RenderFailed, "bad_order", "fps should be 24."),
        ({"refuse": 401}, RenderFailed, "permission_denied", "roles/aiplatform.user"),
        ({"refuse": 403}, RenderFailed, "permission_denied", "roles/storage.objectUser"),
        ({"refuse": 404}, RenderFailed, "model_retired", "_MODEL, or `model` in the request"),
    ],
)
def test_a_refused_order_has_an_outcome_of_its_own_and_nothing_was_bought(
    it: Paid, rule: dict[str, object], error: type[PipelineError], code: str, says: str
) -> None:
    it.server.rule(**rule)  # type: ignore[arg-type]

    with pytest.raises(error) as refused:
        it.generator.submit(order())

    assert refused.value.code == code
    assert not refused.value.retryable
    assert says in refused.value.message
    assert it.server.bought == []


def test_a_retired_model_is_named_with_the_setting_to_change(it: Paid) -> None:
    name, setting = (VEO, "LONGREEL_VEO_MODEL") if it.kind("") == "veo." else (OMNI, "LONGREEL_OMNI_MODEL")
    it.server.retired.add(name)

    with pytest.raises(RenderFailed) as refused:
        it.generator.submit(order())

    assert refused.value.code == "model_retired"
    assert name in refused.value.message
    assert setting in refused.value.message


@pytest.mark.parametrize(
    ("ending", "fields", "code", "retryable", "says"),
    [
        (Ending.ERROR, {"code": 13, "said": "Internal error."}, "generation_failed", True, "Internal error."),
        (Ending.ERROR, {"code": 14, "said": "Try again."}, "generation_failed", True, "Try again."),
        (Ending.ERROR, {"code": 8, "said": "No capacity."}, "quota", True, "No capacity."),
        (Ending.ERROR, {"code": 7, "said": "No access to the bucket."}, "permission_denied", False, "bucket"),
        (Ending.ERROR, {"code": 3, "said": "Unsupported fps."}, "bad_order", False, "Unsupported fps."),
        (
            Ending.ERROR,
            {"code": 3, "said": "The prompt violates our usage guidelines. Support codes: 61493863"},
            "prompt_refused",
            False,
            "because of the prompt: The prompt violates our usage guidelines. Support codes: 61493863 (that is: viol",
        ),
        (
            Ending.ERROR,
            {"code": 3, "said": "Veo could not generate videos because the input image violates usage guidelines."},
            "prompt_refused",
            False,
            "because of the start image",
        ),
    ],
)
def test_work_that_ends_with_an_error_has_an_outcome_by_its_code(
    it: Paid, ending: Ending, fields: dict[str, object], code: str, retryable: bool, says: str
) -> None:
    it.server.rule(ending, **fields)

    answer = it.generator.poll(it.ended())

    assert isinstance(answer, Stopped)
    assert (answer.code, answer.retryable) == (code, retryable)
    assert says in answer.message


def test_work_that_never_ends_stays_running(it: Paid) -> None:
    it.server.rule(Ending.NEVER)

    operation = it.ended()

    assert [it.generator.poll(operation) for _ in range(3)] == [Running()] * 3


def test_an_operation_that_nobody_knows_any_more_is_gone(it: Paid) -> None:
    operation = it.submitted()
    it.server.forget()

    assert it.generator.poll(operation) == Gone()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_question_without_an_answer_is_asked_again_by_the_sweep(it: Paid, status: int) -> None:
    operation = it.submitted()
    it.server.misbehave(kind=it.kind("poll"), status=status)

    with pytest.raises(Unavailable, match="ask about"):
        it.generator.poll(operation)

    assert it.server.log.count(it.kind("poll")) == 1, "the sweep asks again, not the client"
    assert it.generator.poll(operation) == Running()


@pytest.mark.parametrize(
    ("status", "code"), [(401, "permission_denied"), (403, "permission_denied"), (400, "bad_order")]
)
def test_a_question_that_is_refused_for_good_is_permanent_so_that_nothing_new_is_bought(
    it: Paid, status: int, code: str
) -> None:
    operation = it.submitted()
    it.server.misbehave(kind=it.kind("poll"), status=status)

    with pytest.raises(RenderFailed) as refused:
        it.generator.poll(operation)

    assert refused.value.code == code
    assert not refused.value.retryable


def test_cancelling_is_safe_whatever_became_of_the_work(it: Paid) -> None:
    operation = it.submitted()

    it.generator.cancel(operation)
    it.server.work()
    it.generator.cancel(operation)
    it.generator.cancel("interactions/never")


def test_a_start_image_of_the_chain_wins_over_the_scene_s_own(it: Paid) -> None:
    it.submitted(startImage="gs://films/users/u/start.jpg")
    it.submitted(start_image="gs://films/jobs/job_abc123/segments/3/1/last_frame.png", startImage="gs://films/a.jpg")

    images = [each.start_image for each in it.server.bought]
    assert images == ["gs://films/users/u/start.jpg", "gs://films/jobs/job_abc123/segments/3/1/last_frame.png"]


def test_the_next_longer_clip_is_asked_and_labelled_with_its_job(it: Paid) -> None:
    it.submitted(durationMs=4500)

    (bought,) = it.server.bought
    assert bought.seconds == (6 if it.kind("") == "veo." else 5)
    assert bought.labels == {"longreel_job": "job_abc123", "longreel_segment": "4"}
    assert (bought.ratio, bought.resolution) == ("16:9", "720p")


def test_the_model_of_the_request_wins_over_the_default(it: Paid) -> None:
    name = "veo-3.1-lite-generate-001" if it.kind("") == "veo." else "gemini-omni-1.1-flash-preview"

    it.submitted(model=name)

    assert it.server.bought[0].model == name


def test_the_quote_is_what_is_billed(it: Paid) -> None:
    asked = order()
    assert asked.spec.scene is not None

    quoted = it.generator.check(asked.spec.scene, asked.settings, "prompts[4]")
    it.ended()

    assert quoted.price_micro_usd == it.server.billed_micro_usd() > 0


def test_what_no_model_makes_is_refused_before_anything_is_sent(it: Paid) -> None:
    with pytest.raises(InvalidRequest, match="aspectRatio"):
        it.generator.check(PromptSpec(prompt="A kite"), Settings.model_validate({"aspectRatio": "1:1"}), "prompts[0]")

    assert it.server.log.count() == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_without_credentials_it_says_so_and_nothing_was_sent(
    family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # So that google.auth finds no login of this machine and asks no metadata server.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with paid(family) as it:
        it.generator.endpoint = None
        lonely = type(it.generator)(*(["demo-films", "us-central1", VEO] if family == "veo" else ["demo-films", OMNI]))

        with pytest.raises(NotAllowed, match="no usable credentials"):
            lonely.submit(order())


def test_to_quote_loads_nothing_of_google_s() -> None:
    code = """
import sys
from adapters.omni import OmniGenerator
from adapters.veo import VeoGenerator
from events.requests import PromptSpec, Settings
veo, omni = VeoGenerator("p", "us-central1", "veo-3.1-fast-generate-001"), OmniGenerator("p", "gemini-omni-1.2-flash")
for each in (veo, omni):
    each.check(PromptSpec(prompt="A kite"), Settings(), "prompts[0]")
# A site-packages file of Google's own makes the empty packages `google` and `google.cloud` at every start.
print(*[name for name in sys.modules if name.startswith(("google.", "httpx", "requests")) and name != "google.cloud"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
