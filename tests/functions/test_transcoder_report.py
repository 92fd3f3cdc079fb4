"""Films that the Transcoder API makes: its reports bring failures and hints, and the film alone ends the job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.disk import DiskObjectStore
from events.clip import ClipFacts
from events.errors import BadMessage, StitchFailed, Unavailable
from events.messages import Topic, TranscoderError
from events.names import stitch_name
from events.plan import Engine, PlannedClip, StitchPlan
from functions import on_transcoder_report
from functions.film_report import report_from_plan
from media.write import splice_files
from pipeline.ports import Delivery
from pipeline.records import Job, Route
from pipeline.transcoder_failure import input_key, stopped_by
from pipeline.work_ports import Gone, Running, Started, Stopped
from tests.functions.conftest import shows
from tests.functions.world import World

TRANSCODER_JOBS = "projects/482913375001/locations/us-central1/jobs"


@dataclass
class FarStitcher:
    """A stitcher whose films are made elsewhere, without a report of ours, when the test says so."""

    objects: DiskObjectStore
    plans: list[StitchPlan] = field(default_factory=list)
    #: What asking whose a piece of work is raises.
    owner_error: Exception | None = None

    def route(self, plan: StitchPlan) -> Route:
        return Route(Engine.TRANSCODER, "the test says so")

    def start(self, plan: StitchPlan, route: Route) -> Started:
        ours = plan.model_copy(update={"engine": Engine.TRANSCODER})
        self.plans.append(ours)
        uri = f"gs://longreel/{stitch_name(plan.job_id, plan.attempt, 'plan.json')}"
        self.objects.write(uri, ours.to_json().encode())
        return Started(f"transcoder:{TRANSCODER_JOBS}/{len(self.plans)}")

    def poll(self, operation: str) -> Running | Stopped | Gone:
        return Running()

    def cancel(self, operation: str) -> None:
        """Nothing is under way."""

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        if self.owner_error is not None:
            raise self.owner_error
        number = operation.removeprefix(f"{TRANSCODER_JOBS}/")
        if not number.isdecimal() or int(number) > len(self.plans):
            return None
        plan = self.plans[int(number) - 1]
        return plan.job_id, plan.attempt

    def land(self, attempt: int = 1, clips: Sequence[int] | None = None) -> None:
        """Let the film of an attempt land, made of all clips or of some."""
        plan = self.plans[attempt - 1]
        chosen = plan.clips if clips is None else [plan.clips[index] for index in clips]
        with self.objects.part(plan.output_uri) as part:
            splice_files([self.objects.path(clip.uri) for clip in chosen], part)
            self.objects.finish(part, plan.output_uri)


def stitching_far(world: World, count: int = 3, **request: Any) -> tuple[str, FarStitcher]:
    """Make a job whose film was ordered elsewhere."""
    far = FarStitcher(world.objects)
    world.stitcher.stitcher = far
    world.paid.lands_at_once = True
    job_id = world.create_paid(count, **request)
    world.run()
    job = world.job(job_id)
    assert (job.state, job.stitch.operation) == ("stitching", f"transcoder:{TRANSCODER_JOBS}/1")
    return job_id, far


def report(world: World, far: FarStitcher, number: int | str = 1, state: str = "SUCCEEDED", **error: Any) -> None:
    """Deliver the Transcoder API's report."""
    job: dict[str, Any] = {"name": f"{TRANSCODER_JOBS}/{number}", "state": state}
    if error:
        job["error"] = error
    services = replace(world.services, stitcher=far)
    on_transcoder_report.handle(services, Delivery(Topic.TRANSCODER_REPORTS, json.dumps({"job": job})))


def lose_finalize_events(world: World) -> None:
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)


def failure_of(job: Job) -> str:
    assert job.stitch_error is not None
    return f"{job.stitch_error.code}: {job.stitch_error.message}"


# The film.


def test_a_film_that_landed_completes_its_job_with_a_report_made_from_its_plan(world: World) -> None:
    job_id, far = stitching_far(world)
    far.land()

    world.run()

    job = world.job(job_id)
    assert job.state == "completed"
    assert job.film is not None
    made = job.film.report
    assert [(join.clip_index, join.at_ms, join.skew_us) for join in made.joins] == [(1, 250, None), (2, 500, None)]
    assert (made.encoder, made.encoded_clips, made.sound, made.frame_count) == ("transcoder", [0, 1, 2], "none", 18)
    assert shows(world, job_id) == [0, 1, 2]


def test_a_film_that_is_shorter_than_its_plan_is_refused_and_made_again(world: World) -> None:
    job_id, far = stitching_far(world, count=6)
    far.land(clips=[0])

    world.run()

    assert failure_of(world.job(job_id)).startswith("film_is_wrong")
    assert "250 ms long, its clips are 1500 ms" in failure_of(world.job(job_id))
    world.sweep(replace_wait(world, job_id))
    world.run()
    far.land(attempt=2)
    world.run()
    assert (world.job(job_id).state, world.job(job_id).stitch.attempt) == ("completed", 2)


def replace_wait(world: World, job_id: str) -> Any:
    wake_at = world.job(job_id).wake_at
    assert wake_at is not None
    return wake_at - world.clock.now()


def test_a_report_json_is_believed_rather_than_the_plan(world: World) -> None:
    job_id, far = stitching_far(world)
    world.objects.write(world.uri(stitch_name(job_id, 1, "report.json")), b"{}")
    far.land()

    world.run()

    assert "StitchReport" in failure_of(world.job(job_id))


# Reports.


def test_a_success_before_the_film_is_there_changes_nothing(world: World) -> None:
    job_id, far = stitching_far(world)
    before = world.job(job_id)

    report(world, far)

    assert world.job(job_id) == before


def test_a_success_finds_the_film_whose_finalize_event_is_late_or_lost(world: World) -> None:
    job_id, far = stitching_far(world)
    far.land()
    lose_finalize_events(world)

    report(world, far)

    assert world.job(job_id).state == "completed"


def test_a_success_whose_film_is_wrong_says_what_is_wrong(world: World) -> None:
    job_id, far = stitching_far(world)
    world.objects.write(far.plans[0].output_uri, b"not a film")
    lose_finalize_events(world)

    report(world, far)

    assert "film.mp4" in failure_of(world.job(job_id))


def test_a_success_after_the_film_was_taken_changes_nothing(world: World) -> None:
    job_id, far = stitching_far(world)
    far.land()
    world.run()
    before = world.job(job_id)

    report(world, far)
    report(world, far, state="FAILED", code=13, message="Internal error")

    assert world.job(job_id) == before
    assert before.state == "completed"


def test_a_failure_that_may_pass_is_tried_again(world: World) -> None:
    job_id, far = stitching_far(world)

    report(world, far, state="FAILED", code=13, message="Internal error")

    job = world.job(job_id)
    assert (job.state, job.stitch.claimed) == ("stitching", False)
    assert failure_of(job) == "transcoder_failed: the Transcoder job failed: Internal error"


def test_a_failure_that_will_not_pass_fails_the_job_in_the_api_s_own_words(world: World) -> None:
    job_id, far = stitching_far(world)
    details = "agent@example.com does not have storage.objects.get access to gs://longreel/x.mp4"
    info = {"reason": "GCSPermissionDenied", "metadata": {"details": details}}

    report(world, far, state="FAILED", code=7, message="Permission denied for Google Cloud Storage.", details=[info])

    job = world.job(job_id)
    assert job.state == "failed"
    said = failure_of(job)
    assert said.startswith("permission_denied: the Transcoder job failed: Permission denied for Google Cloud Storage")
    assert "GCSPermissionDenied" in said
    assert details in said
    assert "gcp-sa-transcoder.iam.gserviceaccount.com must be allowed" in said


def test_a_clip_that_a_failure_names_is_left_out_where_the_job_allows_it(world: World) -> None:
    job_id, far = stitching_far(world, onSegmentFailure="skip")
    bad = far.plans[0].clips[1].uri

    report(world, far, state="FAILED", code=3, message=f"Input file {bad} cannot be read.")
    world.run()

    assert world.states(job_id) == ["done", "skipped", "done"]
    assert [clip.segment_index for clip in far.plans[1].clips] == [0, 2]
    far.land(attempt=2)
    world.run()
    assert shows(world, job_id) == [0, 2]


def test_a_failure_that_is_told_twice_is_one_failure(world: World) -> None:
    job_id, far = stitching_far(world)
    report(world, far, state="FAILED", code=14, message="Try again")
    before = world.job(job_id)

    report(world, far, state="FAILED", code=14, message="Try again")

    assert world.job(job_id) == before


def test_a_failure_of_an_earlier_attempt_does_not_touch_the_present_one(world: World) -> None:
    job_id, far = stitching_far(world)
    report(world, far, state="FAILED", code=14, message="Try again")
    world.sweep(replace_wait(world, job_id))
    world.run()
    before = world.job(job_id)
    assert (before.stitch.attempt, before.stitch.claimed) == (2, True)

    report(world, far, state="FAILED", code=3, message="It came late")

    assert world.job(job_id) == before


def test_a_report_of_a_job_that_nobody_knows_is_nobody_s(world: World) -> None:
    job_id, far = stitching_far(world)
    before = world.job(job_id)

    report(world, far, "somebody-else", state="FAILED", code=3)

    assert world.job(job_id) == before


def test_a_report_is_delivered_again_where_nobody_can_say_whose_it_is(world: World) -> None:
    _, far = stitching_far(world)
    far.owner_error = Unavailable("ask about the Transcoder job: 503")

    with pytest.raises(Unavailable):
        report(world, far, state="FAILED", code=3)


def test_a_report_that_is_none_is_refused_by_name(world: World) -> None:
    with pytest.raises(BadMessage, match=r"job\.name"):
        on_transcoder_report.handle(world.services, Delivery(Topic.TRANSCODER_REPORTS, '{"job": {"state": "FAILED"}}'))


# What a failure means.


def info(text: str) -> dict[str, object]:
    return {"reason": "InvalidInput", "metadata": {"details": text}}


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("Input file gs://films/a.mp4 must be at least 5 seconds in duration.", 4),
        ("Input file gs://films/a.mp4", 4),
        ("gs://films/a.mp4: cannot be read", 4),
        ("Input file gs://films/a.mp4.mp4 cannot be read", None),
        ("Input file gs://films/a.mp4/part cannot be read", None),
        ("Atom atom-0 references input clip-7, which has no audio track.", 7),
        ("input clip-77 is unknown", None),
        ("gs://films/a.mp4 and gs://films/b.mp4 differ", None),
        ("it is late", None),
    ],
)
def test_the_one_clip_that_an_error_names_is_to_blame(text: str, blamed: int | None) -> None:
    segments = {"gs://films/a.mp4": 4, "gs://films/b.mp4": 7}

    assert stopped_by(TranscoderError(code=3, message=text), segments).bad_segment_index == blamed
    in_details = TranscoderError(code=3, message="Invalid input", details=[info(text)])
    assert stopped_by(in_details, segments).bad_segment_index == blamed
    assert stopped_by(TranscoderError(code=13, message=text), segments).bad_segment_index is None


@given(st.integers(0, 20), st.text(max_size=60), st.lists(st.dictionaries(st.text(), st.text())), st.integers(0, 99))
def test_whatever_an_error_says_it_is_told_and_only_codes_that_may_pass_are_tried_again(
    code: int, message: str, details: list[dict[str, object]], index: int
) -> None:
    stopped = stopped_by(TranscoderError(code=code, message=message, details=details), {f"gs://films/{index}": index})

    assert message.rstrip(".") in stopped.message
    assert stopped.retryable == (code in {1, 2, 4, 8, 10, 13, 14})
    assert stopped.bad_segment_index in {None, index}


@given(st.integers(0, 10_000))
def test_the_key_of_an_input_leads_back_to_its_segment(index: int) -> None:
    error = TranscoderError(code=3, message=f"input {input_key(index)} is broken")

    assert stopped_by(error, {"gs://films/a": index}).bad_segment_index == index


def test_a_failure_without_a_word_may_pass() -> None:
    assert stopped_by(None, {}).retryable


# The report that is made.


def facts_of(duration_ms: int, *, sound: bool = True, frames: int = 1) -> ClipFacts:
    return ClipFacts(
        container="mp4",
        size_bytes=1,
        duration_ms=duration_ms,
        frame_count=frames,
        width_px=1280,
        height_px=720,
        video_codec="h264",
        audio_codec="aac" if sound else None,
    )


def plan_of(lengths: Sequence[tuple[int, int | None]], *, sound: bool = True) -> StitchPlan:
    clips = [
        PlannedClip(
            uri=f"gs://films/{index}.mp4",
            generation=1,
            facts=facts_of(length, sound=sound),
            segment_index=index,
            keep_ms=keep,
        )
        for index, (length, keep) in enumerate(lengths)
    ]
    film, paper = "gs://films/jobs/job_abc123/output/1/film.mp4", "gs://films/jobs/job_abc123/stitch/1/report.json"
    return StitchPlan(
        job_id="job_abc123", attempt=1, clips=clips, engine=Engine.TRANSCODER, output_uri=film, report_uri=paper
    )


LENGTHS = st.lists(st.tuples(st.integers(5_000, 60_000), st.none() | st.integers(1, 70_000)), min_size=1, max_size=20)


@given(LENGTHS, st.booleans(), st.integers(-142, 142))
def test_every_clip_begins_where_those_before_it_end(
    lengths: list[tuple[int, int | None]], sound: bool, off_ms: int
) -> None:
    plan = plan_of(lengths, sound=sound)
    shown = [min(length, length if keep is None else keep) for length, keep in lengths]
    film = facts_of(max(0, sum(shown) + off_ms), sound=sound, frames=77)

    made = report_from_plan(plan, film)

    assert [join.at_ms for join in made.joins] == [sum(shown[:index]) for index in range(1, len(shown))]
    assert (made.duration_ms, made.frame_count, made.size_bytes) == (film.duration_ms, 77, 1)
    assert made.sound == ("encoded" if sound else "none")
    assert len(made.encoded_clips) == len(lengths)


@given(LENGTHS, st.booleans())
def test_a_film_without_one_of_its_clips_is_wrong(lengths: list[tuple[int, int | None]], sound: bool) -> None:
    plan = plan_of([*lengths, (5_000, None)], sound=sound)
    shown = [min(length, length if keep is None else keep) for length, keep in lengths]

    with pytest.raises(StitchFailed, match="ms long") as failed:
        report_from_plan(plan, facts_of(sum(shown), sound=sound))

    assert (failed.value.code, failed.value.retryable) == ("film_is_wrong", True)


@pytest.mark.parametrize("sound", [True, False])
def test_a_film_has_sound_where_its_clips_have_and_nowhere_else(sound: bool) -> None:
    with pytest.raises(StitchFailed, match="sound"):
        report_from_plan(plan_of([(5_000, None)], sound=sound), facts_of(5_000, sound=not sound))
