"""The Transcoder API's rules, told before it is asked, and the job that a plan within them becomes."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from google.cloud.video.transcoder_v1.types import Job
from hypothesis import given, settings

from adapters.transcoder_job import edges, job_of, shown_ms
from adapters.transcoder_rules import objection
from events.plan import Compression, Fit, Orientation, StitchPlan
from tests.cloud.servers.transcoder_checks import first_fault
from tests.cloud.transcoder_plans import clip_of, facts_of, picture_of, plan_of, plans

TOPIC = "projects/demo-longreel/topics/transcoder_reports"


def job(plan: StitchPlan, *, batch: bool = False) -> dict[str, Any]:
    return job_of(plan, TOPIC, batch=batch)


# Rules.


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"duration_ms": 4_999}, "clip 2 is 4999 ms long, and the Transcoder API takes none under 5000 ms"),
        ({"container": "webm"}, "clip 2 is a webm file"),
        ({"container": "flv"}, "clip 2 is a flv file"),
        ({"video_codec": "av1"}, "clip 2 has a picture in av1"),
        ({"audio_codec": "alac"}, "clip 2 has sound in alac"),
        ({"audio_codec": "unknown"}, "clip 2 has sound in unknown"),
        ({"audio_codec": None}, "clip 2 has no sound and others have"),
        ({"conform": {"rotation": "90"}}, "clip 2 is stored turned (90 degrees)"),
        ({"conform": {"pixelAspect": "4:3"}}, "clip 2 has pixels of 4:3"),
        ({"conform": {"color": "9/16/9 tv"}}, "clip 2 has a high dynamic range"),
        ({"obstacles": ["it has 2 sound tracks"]}, "clip 2 cannot be relied on: it has 2 sound tracks"),
        ({"obstacles": ["its sound starts 300 ms late"]}, "clip 2 cannot be relied on: its sound starts 300 ms late"),
        ({"obstacles": ["its edit list hides the first 83 ms of its picture"]}, "clip 2 cannot be relied on"),
        ({"obstacles": ["its frame rate varies"], "frame_rate": None}, None),
        ({"audio_codec": "pcm_s16le", "container": "mov"}, None),
    ],
)
def test_what_the_api_cannot_take_is_told_before_and_names_the_clip(odd: dict[str, Any], said: str | None) -> None:
    reason = objection(plan_of([clip_of(0), clip_of(1, **odd), clip_of(2)]))

    assert reason is None if said is None else reason is not None and reason.startswith(said)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"compression": Compression.LOSSLESS}, "encodes everything anew"),
        ({"output_uri": "gs://films/film.mp4"}, "writes into a folder only"),
    ],
)
def test_what_the_api_cannot_do_is_told_before(wish: dict[str, Any], said: str) -> None:
    assert said in (objection(plan_of([clip_of()], **wish)) or "")


def test_fades_are_refused_where_there_is_a_join() -> None:
    assert "fades were asked for" in (objection(plan_of([clip_of(), clip_of(1)], transition="crossfade")) or "")
    assert objection(plan_of([clip_of()], transition="crossfade")) is None


def test_a_blurred_backdrop_is_refused_only_where_one_would_be_seen() -> None:
    wide, tall = clip_of(0), clip_of(1, width_px=720, height_px=1280)

    assert objection(plan_of([wide, clip_of(2, width_px=1920, height_px=1080)], fit=Fit.BLUR)) is None
    assert "clip 2 is 720x1280" in (objection(plan_of([wide, tall], fit=Fit.BLUR)) or "")


# Jobs.


@given(plans())
@settings(max_examples=150)
def test_a_plan_within_the_rules_becomes_a_job_that_the_api_takes(plan: StitchPlan) -> None:
    assert objection(plan) is None

    made = Job.from_json(json.dumps(job(plan)), ignore_unknown_fields=False)

    assert first_fault(made) is None
    config = made.config
    assert config.output.uri + config.mux_streams[0].file_name == plan.output_uri
    uri_of = {source.key: source.uri for source in config.inputs}
    assert [uri_of[atom.inputs[0]] for atom in config.edit_list] == [clip.uri for clip in plan.clips]
    assert len(set(uri_of.values())) == len(uri_of)


@given(plans())
def test_every_clip_is_shown_as_long_as_the_plan_says(plan: StitchPlan) -> None:
    for atom, clip in zip(job(plan)["config"]["editList"], plan.clips, strict=True):
        whole = clip.keep_ms is None or clip.keep_ms >= clip.facts.duration_ms
        assert ("endTimeOffset" in atom) == (not whole)
        if not whole:
            assert round(float(atom["endTimeOffset"].removesuffix("s")) * 1000) == clip.keep_ms == shown_ms(clip)


@given(plans())
def test_a_clip_gets_the_film_s_shape_to_a_pixel_or_so(plan: StitchPlan) -> None:
    picture = picture_of(plan)
    wanted = Fraction(picture.width_px, picture.height_px)
    for clip in plan.clips:
        left, right, top, bottom = edges(clip.facts, picture, plan.fit)
        sign = 1 if plan.fit is Fit.PAD else -1
        width = clip.facts.width_px + sign * (left + right)
        height = clip.facts.height_px + sign * (top + bottom)
        assert not ((left or right) and (top or bottom))
        assert all(side >= 0 and side % 2 == 0 for side in (left, right, top, bottom))
        # Off by no more than the pixel that is rounded away.
        assert abs(width - height * wanted) <= max(1, wanted) + Fraction(1, 1000)


def test_a_portrait_clip_gets_bars_in_a_landscape_film() -> None:
    tall = facts_of(width_px=720, height_px=1280)
    picture = picture_of(plan_of([clip_of()]))

    assert edges(tall, picture, Fit.PAD) == (778, 778, 0, 0)
    assert edges(tall, picture, Fit.CROP) == (0, 0, 438, 438)


def test_a_blurred_fit_has_no_pixels_of_its_own() -> None:
    with pytest.raises(ValueError, match="blur"):
        edges(facts_of(), picture_of(plan_of([clip_of()])), Fit.BLUR)


def test_the_film_has_the_size_and_the_rate_that_are_seen_longest() -> None:
    plan = plan_of([clip_of(0), clip_of(1, width_px=1920, height_px=1080, frame_rate="30000/1001", duration_ms=9_000)])

    h264 = job(plan)["config"]["elementaryStreams"][0]["videoStream"]["h264"]

    assert (h264["widthPixels"], h264["heightPixels"]) == (1920, 1080)
    assert Fraction(h264["frameRate"]).limit_denominator(1001) == Fraction(30000, 1001)
    assert h264["frameRateConversionStrategy"] == "DROP_DUPLICATE"


def test_a_film_may_lie_otherwise_than_its_clips() -> None:
    plan = plan_of([clip_of()], orientation=Orientation.PORTRAIT)

    config = job(plan)["config"]

    h264 = config["elementaryStreams"][0]["videoStream"]["h264"]
    assert (h264["widthPixels"], h264["heightPixels"]) == (720, 1280)
    assert "pad" in config["inputs"][0]["preprocessingConfig"]


def test_a_small_file_gets_fewer_bits() -> None:
    rates = [
        job(plan_of([clip_of()], compression=wish))["config"]["elementaryStreams"][0]["videoStream"]["h264"][
            "bitrateBps"
        ]
        for wish in (Compression.SMALL, Compression.OPTIMIZED)
    ]

    assert rates == [1_327_104, 3_317_760]


def test_a_silent_film_asks_for_no_sound() -> None:
    config = job(plan_of([clip_of(audio_codec=None)]))["config"]

    assert [stream["key"] for stream in config["elementaryStreams"]] == ["picture"]
    assert config["muxStreams"][0]["elementaryStreams"] == ["picture"]


def test_a_clip_that_is_shown_twice_is_one_input() -> None:
    plan = plan_of([clip_of(0), clip_of(1), clip_of(2, uri="gs://films/given/0.mp4")])

    config = job(plan)["config"]

    assert [source["key"] for source in config["inputs"]] == ["clip-0", "clip-1"]
    assert [atom["inputs"] for atom in config["editList"]] == [["clip-0"], ["clip-1"], ["clip-0"]]


def test_a_job_says_whose_it_is_and_where_it_reports() -> None:
    made = job(plan_of([clip_of()], attempt=3), batch=True)

    assert made["labels"] == {"longreel_job": "job_abc123", "longreel_attempt": "3"}
    assert made["config"]["pubsubDestination"] == {"topic": TOPIC}
    assert made["mode"] == "PROCESSING_MODE_BATCH"
