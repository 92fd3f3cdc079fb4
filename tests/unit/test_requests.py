"""What a caller may ask for, and how a wrong request is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from events.errors import BadMessage, InvalidRequest
from events.plan import Fit, Orientation
from events.requests import (
    ClipSpec,
    Kind,
    LongFormRequest,
    OnSegmentFailure,
    PromptSpec,
    SegmentSpec,
    Settings,
    StitchRequest,
    read_request,
    segment_specs,
)
from events.wire import WireModel
from tests.unit.samples import value_of

TWO_CLIPS = ["gs://bucket/a.mp4", "gs://bucket/b.mp4"]


def test_two_prompts_are_enough() -> None:
    request = read_request({"prompts": ["a lighthouse", {"prompt": "a lamp", "durationMs": 8000}]})

    assert isinstance(request, LongFormRequest)
    assert request.prompts == [PromptSpec(prompt="a lighthouse"), PromptSpec(prompt="a lamp", duration_ms=8000)]
    assert (request.project_id, request.generator, request.daisy_chain) == ("default", "storyboard", False)
    assert request.on_segment_failure is OnSegmentFailure.FAIL


def test_two_clips_are_enough_and_mean_a_reel() -> None:
    request = read_request({"clips": TWO_CLIPS})

    assert isinstance(request, StitchRequest)
    assert (request.kind, request.orientation, request.fit) == (Kind.STITCH, Orientation.SOURCE, Fit.PAD)


def test_texts_are_trimmed_so_that_a_stray_line_break_costs_nothing() -> None:
    request = read_request({"prompts": ["  a lighthouse\n"], "title": " The keeper "})

    assert isinstance(request, LongFormRequest)
    assert (request.prompts[0].prompt, request.title) == ("a lighthouse", "The keeper")


REFUSALS: list[tuple[object, str]] = [
    ([], "a request should be an object with fields, not a list"),
    ("make a film", "a request should be an object with fields, not 'make a film'"),
    (None, "a request should be an object with fields, not null"),
    ({}, "prompts: is missing"),
    ({"kind": "reel"}, "kind: should be 'long_form' or 'stitch', not 'reel'"),
    ({"kind": None, "clips": TWO_CLIPS}, "kind: should be 'long_form' or 'stitch', not null"),
    ({"kind": ["stitch"]}, "kind: should be 'long_form' or 'stitch', not a list"),
    ({"promts": ["a"]}, "promts: unknown field; did you mean `prompts`?"),
    ({"prompts": ["a"], "daisychain": True}, "daisychain: unknown field; did you mean `daisyChain`?"),
    ({"prompts": ["a"], "aspect_ration": "1:1"}, "aspect_ration: unknown field; did you mean `aspectRatio`?"),
    (
        {"prompts": [{"prompt": "a"}, {"prompt": "b", "durationMS": 8000}]},
        "prompts[1].durationMS: unknown field; did you mean `durationMs`?",
    ),
    (
        {"prompts": [{"prompt": "a", "mood": 1}]},
        "prompts[0].mood: unknown field; known here are prompt, negativePrompt, durationMs, seed, startImage",
    ),
    ({"prompts": ["a"], "\x1b[2J": 1}, "['\\x1b[2J']: unknown field; known here are "),
    ({"prompts": []}, "prompts: should hold 1 to 200 prompts, not 0"),
    ({"prompts": ["a"] * 201}, "prompts: should hold 1 to 200 prompts, not 201"),
    ({"prompts": "a"}, "prompts: should be a list of prompts, not a single text: put it in [ ]"),
    ({"prompts": {"prompt": "a"}}, "prompts: should be a list, not an object"),
    ({"prompts": [3]}, "prompts[0]: should be an object with fields, not 3"),
    ({"prompts": ["a", " "]}, "prompts[1].prompt: should not be empty"),
    ({"prompts": ["a" * 4001]}, "prompts[0].prompt: should have at most 4000 characters, not 4001"),
    ({"prompts": ["\ud800"]}, "prompts[0].prompt: should be a text of valid Unicode, not '\\ud800'"),
    ({"prompts": [{"prompt": 3}]}, "prompts[0].prompt: should be a text, not 3"),
    (
        {"prompts": [{"prompt": "a", "durationMs": 5}]},
        "prompts[0].durationMs: should be at least 100 (milliseconds), not 5",
    ),
    (
        {"prompts": [{"prompt": "a", "durationMs": 60_001}]},
        "prompts[0].durationMs: should be at most 60000 (milliseconds), not 60001",
    ),
    ({"prompts": [{"prompt": "a", "seed": -1}]}, "prompts[0].seed: should be at least 0, not -1"),
    (
        {"prompts": [{"prompt": "a", "startImage": "cat.png"}]},
        "prompts[0].startImage: should be of the form gs://bucket/object, not 'cat.png'",
    ),
    ({"prompts": ["a"], "aspectRatio": "4:3"}, "aspectRatio: should be one of 16:9, 9:16, 1:1, not '4:3'"),
    ({"prompts": ["a"], "resolution": "8k"}, "resolution: should be one of 720p, 1080p, 4k, not '8k'"),
    ({"prompts": ["a"], "daisyChain": "perhaps"}, "daisyChain: should be true or false, not 'perhaps'"),
    ({"prompts": ["a"], "maxParallelSegments": 0}, "maxParallelSegments: should be at least 1, not 0"),
    ({"prompts": ["a"], "maxParallelSegments": 2.5}, "maxParallelSegments: should be a whole number, not 2.5"),
    ({"prompts": ["a"], "maxParallelSegments": "x" * 99}, f"not '{'x' * 60}…'"),
    (
        {"prompts": ["a"], "maxParallelSegments": 10**5000},
        "maxParallelSegments: should be at most 50, not a number with very many digits",
    ),
    ({"prompts": ["a"], "schemaVersion": 2}, "schemaVersion: is 2, but this Longreel reads versions up to 1"),
    (
        {"prompts": ["a"], "projectId": "a/b"},
        "projectId: should be 1 to 128 letters, digits, dots, dashes or underscor",
    ),
    ({"prompts": ["a"], "projectId": "a\n"}, "beginning with a letter or digit, not 'a\\n'"),
    ({"prompts": ["a"], "requestId": ""}, "requestId: should be 1 to 128 letters"),
    ({"prompts": ["a"], "title": " "}, "title: should not be empty"),
    ({"prompts": ["a"], "generator": "../veo"}, "generator: should be the name of a generator, such as storyboard"),
    ({"clips": TWO_CLIPS[:1]}, "clips: should hold 2 to 500 clips, not 1"),
    ({"clips": [*TWO_CLIPS, "c.mp4"]}, "clips[2]: should be of the form gs://bucket/object, not 'c.mp4'"),
    ({"clips": [*TWO_CLIPS, "gs://bucket/../c"]}, "clips[2]: should name an object without an empty part, '.', '..'"),
    ({"clips": TWO_CLIPS, "outputPath": "gs://bucket/x.mov"}, "outputPath: should end in .mp4, because the reel is an"),
    (
        {"clips": TWO_CLIPS, "outputPath": "gs://bucket/jobs/x.mp4"},
        "outputPath: should not lie under jobs/ or uploads/, which are Longreel's own",
    ),
    ({"clips": TWO_CLIPS, "transition": "wipe"}, "transition: should be one of cut, crossfade, fadeBlack, not 'wipe'"),
    (
        {"clips": TWO_CLIPS, "transition": "crossfade", "transitionMs": 99},
        "transitionMs: should be at least 100 (milliseconds), not 99",
    ),
    (
        {"clips": TWO_CLIPS, "transition": "fadeBlack", "transitionMs": 2001},
        "transitionMs: should be at most 2000 (milliseconds), not 2001",
    ),
    (
        {"prompts": ["a", {"prompt": "b", "durationMs": 900}], "transition": "crossfade"},
        "prompts: scene 1 lasts 900 ms, and a fade of 500 ms (transitionMs) is longer than half of it",
    ),
    (
        {"clips": TWO_CLIPS, "transition": "crossfade", "engine": "splice"},
        "engine: splice makes no fades; ask for cpu or gpu, for none at all, or for transition cut",
    ),
    (
        {"prompts": ["a"], "music": "gs://films/m.mp3", "engine": "splice"},
        "engine: splice plays no music under a film; ask for cpu or gpu, for none at all, or for no music",
    ),
    (
        {"prompts": ["a"], "loudness": "r128", "engine": "transcoder"},
        "engine: transcoder leaves the sound as it is; ask for cpu or gpu, for none at all, or for loudness keep",
    ),
    (
        {"clips": TWO_CLIPS, "seams": "fail", "engine": "transcoder"},
        "engine: transcoder looks at no joins; ask for cpu or gpu, for none at all, or for seams warn",
    ),
    (
        {"clips": TWO_CLIPS, "compression": "small", "engine": "splice"},
        "compression: small is beyond engine splice, which encodes nothing; ask for another",
    ),
    (
        {"clips": TWO_CLIPS, "compression": "lossless", "engine": "transcoder"},
        "compression: lossless is beyond engine transcoder, which encodes everything anew; ask for another",
    ),
    ({"kind": "stitch", "prompts": ["a"]}, "prompts: unknown field; known here are schemaVersion, projectId,"),
]


@pytest.mark.parametrize(("request_value", "text"), REFUSALS, ids=[text for _, text in REFUSALS])
def test_a_wrong_request_is_refused_with_the_field_and_what_would_be_right(request_value: object, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(request_value)

    assert text in str(refused.value)
    assert str(refused.value).startswith(refused.value.field)


FADING: list[dict[str, Any]] = [
    {"prompts": ["a", {"prompt": "b", "durationMs": 1000}], "transition": "crossfade"},
    {"prompts": ["a", {"prompt": "b", "durationMs": 200}], "transition": "fadeBlack", "transitionMs": 100},
    {"prompts": ["a", {"prompt": "b", "durationMs": 100}], "transitionMs": 2000},
    {"prompts": [{"prompt": "alone", "durationMs": 100}], "transition": "crossfade", "transitionMs": 2000},
    {"clips": TWO_CLIPS, "transition": "crossfade", "engine": "gpu"},
]


@pytest.mark.parametrize("value", FADING, ids=str)
def test_a_fade_of_at_most_half_of_each_scene_is_taken_and_one_that_no_join_has_is_no_matter(
    value: dict[str, Any],
) -> None:
    settings = Settings.of(read_request(value))

    assert settings.to_wire()["transition"] == value.get("transition", "cut")
    assert settings.transition_ms == value.get("transitionMs", 500)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from([*LongFormRequest.model_fields, "clips", "aspectRatio", "durationMs"])
        | st.text(st.characters()),
        json_values,
    )
)
@example({"prompts": [{"prompt": {"prompt": "a"}}]})
def test_any_json_value_is_read_or_refused_in_words_that_can_be_printed(value: dict[str, Any]) -> None:
    complaint = ""
    try:
        read_request(value)
    except InvalidRequest as exc:
        complaint = str(exc)

    assert complaint.encode("utf-8").decode() == complaint
    assert not any(ord(char) < 32 for char in complaint)


@pytest.mark.parametrize("name", ["request_long_form", "request_stitch"])
def test_the_settings_of_a_job_hold_what_its_steps_need_and_no_prompt(name: str) -> None:
    request = read_request(value_of(name))

    settings = Settings.of(request)

    shared = set(Settings.model_fields) & set(type(request).model_fields)
    assert shared >= {"title"}
    assert all(getattr(settings, field) == getattr(request, field) for field in shared)
    assert Settings.from_json(settings.to_json()) == settings
    assert "prompts" not in settings.to_wire()


def test_a_request_becomes_one_segment_each_in_the_order_of_the_film() -> None:
    scenes = [PromptSpec(prompt="a"), PromptSpec(prompt="b")]

    assert segment_specs(LongFormRequest(prompts=scenes)) == [SegmentSpec(scene=scene) for scene in scenes]
    assert segment_specs(StitchRequest(clips=TWO_CLIPS)) == [SegmentSpec(clip=ClipSpec(clip=uri)) for uri in TWO_CLIPS]


@pytest.mark.parametrize("value", [{}, {"scene": {"prompt": "a"}, "clip": {"clip": "gs://bucket/a.mp4"}}])
def test_a_segment_is_made_from_a_prompt_or_from_a_clip_and_never_from_both(value: dict[str, Any]) -> None:
    with pytest.raises(BadMessage, match="should hold either scene or clip"):
        SegmentSpec.from_json(json.dumps(value))


class _Later(WireModel):
    """Rules that no request has yet."""

    ratio: float = 1.0
    few: list[int] = Field(default=[], max_length=2)


def test_a_rule_that_no_sentence_was_written_for_is_told_in_pydantics_words() -> None:
    with pytest.raises(BadMessage, match="field ratio should be a valid number"):
        _Later.from_json('{"ratio": "much"}')


def test_a_bound_without_its_counterpart_is_told_alone() -> None:
    with pytest.raises(BadMessage, match="field few should hold at most 2 few, not 3"):
        _Later.from_json('{"few": [1, 2, 3]}')
