"""The table of video models: what is asked is enough, what it costs is known, and what cannot be made is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InvalidRequest
from events.requests import AspectRatio, PromptSpec, Resolution, Settings
from pipeline.models import (
    EXAMPLES,
    MODELS,
    RETIRED,
    SETTING,
    clip_micro_usd,
    model_of,
    prompt_tokens,
    quote,
)

VEO, OMNI = "veo-3.1-fast-generate-001", "gemini-omni-1.2-flash"
#: A whole name of each line of the table.
names = st.sampled_from(sorted(MODELS)).map(lambda beginning: beginning + "test")


def scene(**fields: object) -> PromptSpec:
    return PromptSpec.model_validate({"prompt": "A red kite", "durationMs": 8000} | fields)


def settings(**fields: object) -> Settings:
    return Settings.model_validate(fields)


@given(names, st.integers(1, 60_000))
def test_the_length_that_is_asked_is_the_shortest_that_is_enough(name: str, wanted_ms: int) -> None:
    model = model_of(name)
    assert model is not None

    asked_ms = model.asked_duration_ms(wanted_ms)

    if asked_ms is None:
        assert wanted_ms > model.durations_ms[-1]
    else:
        assert asked_ms in model.durations_ms
        assert asked_ms >= wanted_ms
        assert not [each for each in model.durations_ms if wanted_ms <= each < asked_ms]


@given(names, st.data())
def test_a_clip_costs_something_and_a_longer_one_more(name: str, data: st.DataObject) -> None:
    model = model_of(name)
    assert model is not None
    resolution = data.draw(st.sampled_from(sorted(model.second_micro_usd)))

    prices = [clip_micro_usd(model, resolution, each) for each in model.durations_ms]

    assert prices[0] > 0
    assert prices == sorted(set(prices))


@given(names, st.sampled_from(Resolution), st.sampled_from(AspectRatio), st.integers(100, 60_000))
def test_every_order_is_quoted_or_refused_by_its_field(
    name: str, resolution: Resolution, ratio: AspectRatio, duration_ms: int
) -> None:
    model = model_of(name)
    assert model is not None
    wanted = settings(model=name, resolution=resolution, aspectRatio=ratio)

    fits = (
        resolution in model.second_micro_usd
        and ratio in model.aspect_ratios
        and model.asked_duration_ms(duration_ms) is not None
    )
    if not fits:
        with pytest.raises(InvalidRequest, match=name) as refused:
            quote(model.generator, name, scene(durationMs=duration_ms), wanted, "prompts[3]")
        assert refused.value.field in {"resolution", "aspectRatio", "prompts[3].durationMs"}
        return
    answer = quote(model.generator, name, scene(durationMs=duration_ms), wanted, "prompts[3]")
    assert answer.duration_ms is not None
    assert answer.duration_ms >= duration_ms
    assert answer.price_micro_usd == clip_micro_usd(model, resolution, answer.duration_ms)
    assert (answer.note is None) == (answer.duration_ms == duration_ms)


@given(st.text())
def test_a_name_of_no_family_is_no_model(name: str) -> None:
    known = name.startswith(tuple(MODELS))

    assert (model_of(name) is not None) == known


@given(st.text(), st.text())
def test_tokens_are_counted_rather_too_many_than_too_few(one: str, other: str) -> None:
    assert prompt_tokens(one) * 4 >= len(one)
    assert prompt_tokens(one + other) <= prompt_tokens(one) + prompt_tokens(other) <= len(one) + len(other)


def test_every_line_of_the_table_makes_sense() -> None:
    for beginning, model in MODELS.items():
        assert model.generator in EXAMPLES
        assert model.durations_ms == tuple(sorted(set(model.durations_ms)))
        assert all(each % 1000 == 0 for each in model.durations_ms), f"{beginning}: asked for in whole seconds"
        assert AspectRatio.SQUARE not in model.aspect_ratios


def test_what_is_recommended_is_known_and_not_retired() -> None:
    assert set(EXAMPLES) == set(SETTING)
    for generator, examples in EXAMPLES.items():
        for name in examples:
            model = model_of(name)
            assert model is not None
            assert model.generator == generator
            assert name not in RETIRED


def test_the_longest_beginning_that_fits_is_meant() -> None:
    lite, unknown = model_of("veo-3.1-lite-generate-001"), model_of("veo-9-generate-001")

    assert lite is not None
    assert lite.second_micro_usd[Resolution.HD] == 50_000
    assert unknown is not None
    assert unknown.second_micro_usd[Resolution.HD] == 400_000, "a Veo that nobody knows is taken for the dearest"


def test_five_seconds_of_a_model_that_makes_four_six_or_eight_are_six_and_it_says_so() -> None:
    answer = quote("veo", VEO, scene(durationMs=5000), settings(), "prompts[0]")

    assert answer.duration_ms == 6000
    assert answer.price_micro_usd == 600_000
    assert answer.note == f"asks {VEO} for 6 s and keeps the first 5 s"


def test_a_length_that_the_model_makes_has_no_note() -> None:
    assert quote("omni", OMNI, scene(durationMs=5000), settings(), "prompts[0]").note is None


@pytest.mark.parametrize(
    ("generator", "default", "of_scene", "of_film", "field", "says"),
    [
        ("veo", VEO, {"durationMs": 8100}, {}, "prompts[7].durationMs", "4, 6, 8 s; 8.1 s is too long"),
        ("omni", OMNI, {"durationMs": 16_000}, {}, "prompts[7].durationMs", "14, 15 s"),
        ("veo", VEO, {}, {"aspectRatio": "1:1"}, "aspectRatio", "makes 16:9 or 9:16, not 1:1"),
        ("omni", OMNI, {}, {"aspectRatio": "1:1"}, "aspectRatio", "makes 16:9 or 9:16, not 1:1"),
        ("veo", VEO, {}, {"model": "veo-3.1-lite-generate-001", "resolution": "4k"}, "resolution", "720p or 1080p"),
        ("veo", VEO, {}, {"model": OMNI}, "model", "is made by generator omni"),
        ("omni", OMNI, {}, {"model": VEO}, "model", "generator omni has gemini-omni-1.2-flash"),
        ("veo", VEO, {}, {"model": "sora-2"}, "model", "no video model known here; generator veo has veo-3.1-fast"),
        ("veo", VEO, {}, {"model": "veo-2.0-generate-001"}, "model", "retired veo-2.0-generate-001 on 2026-06-30"),
        ("veo", "veo-3.0-generate-001", {}, {}, "LONGREEL_VEO_MODEL", "use one of veo-3.1-fast-generate-001"),
        ("omni", VEO, {}, {}, "LONGREEL_OMNI_MODEL", "generator omni has"),
        ("veo", VEO, {"prompt": "a" * 3076}, {}, "prompts[7].prompt", "reads 1,024 tokens, and this is about 1,026"),
        ("veo", VEO, {"prompt": "画" * 1025}, {}, "prompts[7].prompt", "about 1,025"),
        ("omni", OMNI, {"negativePrompt": "rain"}, {}, "prompts[7].negativePrompt", "takes none"),
        ("omni", OMNI, {"seed": 0}, {}, "prompts[7].seed", "takes none"),
        ("veo", VEO, {"startImage": "gs://films/a.webp"}, {}, "prompts[7].startImage", ".png, .jpg, .jpeg"),
    ],
)
def test_what_a_model_cannot_make_is_refused_by_its_field_saying_what_it_can(
    generator: str, default: str, of_scene: dict[str, object], of_film: dict[str, object], field: str, says: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        quote(generator, default, scene(**of_scene), settings(**of_film), "prompts[7]")

    assert refused.value.field == field
    assert says in refused.value.message


def test_the_type_of_a_start_image_is_told_by_its_name() -> None:
    veo, omni = model_of(VEO), model_of(OMNI)
    assert veo is not None
    assert omni is not None

    assert veo.start_image_type("gs://films/a/last_frame.png") == "image/png"
    assert veo.start_image_type("gs://films/A.JPG") == "image/jpeg"
    assert omni.start_image_type("gs://films/a.webp") == "image/webp"
    assert veo.start_image_type("gs://films/png") is None
