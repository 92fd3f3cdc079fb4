"""What a film is to be is decided from headers: here they are made by hand, in tests/gpu_job by FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.clip import ClipFacts
from events.plan import Compression, Orientation, PlannedClip, StitchPlan, Transition
from media.colour import Colour
from media.parameter_sets import AvcConfig
from media.shape import STANDARD_FRAME_RATES, film_frame_rate, film_size, orientation_of, standard_frame_rate
from media.size import encoded_bytes_max
from media.target import choose_target, everything_conforms
from media.treatment import SoundFormat, Treatment


def parameter_sets(sps_id: int = 0, variant: int = 0, tail: bytes = b"\xfd\xf8\xf8\x00") -> str:
    """Give an avcC whose sets have an id from 0 to 2 and contents of this variant."""
    golomb = bytes([{0: 0x80, 1: 0x40, 2: 0x60}[sps_id] | 1, variant])
    config = AvcConfig(100, 0, 31, 4, (b"\x67\x64\x00\x1f" + golomb,), (b"\x68" + golomb,), tail)
    return config.to_bytes().hex()


def facts(**changes: Any) -> ClipFacts:
    """Give the facts of a six second clip of 1280x720 at 24/s with stereo sound, or what differs from it."""
    width, height = changes.pop("width_px", 1280), changes.pop("height_px", 720)
    rate = changes.pop("frame_rate", "24/1")
    duration_ms = changes.pop("duration_ms", 6000)
    rate_hz, channels = changes.pop("sample_rate_hz", 48000), changes.pop("channel_count", 2)
    silent = changes.pop("silent", False)
    conform = {
        "video": "avc1",
        "size": f"{width}x{height}",
        "pixelAspect": "1:1",
        "color": "1/1/1 tv",
        "display": f"{width}x{height}",
        "rotation": "0",
        "frameRate": rate or "variable",
        "reorder": "2 frames",
        "profile": "High",
        "level": "3.1",
        "parameterSets": parameter_sets(),
    }
    conform |= (
        {"sound": "none"} if silent else {"sound": f"AAC-LC {rate_hz} Hz {channels} ch", "soundPacket": "1024 samples"}
    )
    conform |= changes.pop("conform", {})
    values: dict[str, Any] = {
        "container": "mp4",
        "size_bytes": 10**6,
        "duration_ms": duration_ms,
        "frame_count": round(duration_ms * Fraction(rate) / 1000) if rate else 140,
        "width_px": width,
        "height_px": height,
        "frame_rate": rate,
        "video_codec": "h264",
        "audio_codec": None if silent else "aac",
        "sample_rate_hz": None if silent else rate_hz,
        "channel_count": None if silent else channels,
        "conform": conform,
    }
    return ClipFacts(**(values | changes))


def a_plan(*clips: ClipFacts, **wishes: Any) -> StitchPlan:
    planned = [
        PlannedClip(uri=f"gs://bucket-a/{i}.mp4", generation=1, facts=clip, segment_index=i)
        for i, clip in enumerate(clips)
    ]
    uris = {"output_uri": "gs://bucket-a/film.mp4", "report_uri": "gs://bucket-a/report.json"}
    return StitchPlan(job_id="job_abc123", attempt=1, clips=planned, **uris, **wishes)


def treatments(plan: StitchPlan) -> list[Treatment]:
    return [clip.treatment for clip in choose_target(plan).clips]


COPY, SOUND, ENCODE = Treatment.COPY, Treatment.SOUND, Treatment.ENCODE


def test_clips_that_conform_are_all_copied() -> None:
    plan = a_plan(facts(), facts(duration_ms=8000), facts())

    assert everything_conforms(plan) == []
    assert treatments(plan) == [COPY, COPY, COPY]


def test_only_the_odd_clip_is_encoded_and_the_reasons_are_words() -> None:
    plan = a_plan(facts(), facts(frame_rate="30/1", silent=True), facts())

    target = choose_target(plan)

    assert treatments(plan) == [COPY, ENCODE, COPY]
    assert target.clips[1].reasons == ("frame rate 30/1 instead of 24/1", "no sound")
    assert target.clips[1].frame_count == 144
    assert target.reference_index == 0


def test_an_encoded_clip_gets_all_that_the_reference_has_but_its_own_parameter_set_id() -> None:
    picture = choose_target(a_plan(facts(), facts(width_px=640, height_px=360), facts())).picture

    assert (picture.width_px, picture.height_px, picture.frame_rate) == (1280, 720, 24)
    assert (picture.profile, picture.reorder_depth, picture.sps_id) == ("high", 2, 1)
    assert picture.colour == Colour(1, 1, 1)


def test_an_id_that_any_copied_clip_has_is_not_given_again() -> None:
    merged = facts(conform={"parameterSets": parameter_sets(sps_id=1)})

    target = choose_target(a_plan(facts(), merged, facts(frame_rate="25/1")))

    assert [clip.treatment for clip in target.clips] == [COPY, COPY, ENCODE]
    assert target.picture.sps_id == 2


def test_clips_that_each_conform_to_a_third_but_clash_with_each_other_are_not_all_copied() -> None:
    plan = a_plan(
        facts(),
        facts(conform={"parameterSets": parameter_sets(1, variant=1)}),
        facts(conform={"parameterSets": parameter_sets(1, variant=2)}),
    )

    assert treatments(plan) == [COPY, COPY, ENCODE]
    assert everything_conforms(plan)
    assert choose_target(plan).clips[2].reasons


def test_a_silent_clip_among_sounding_ones_keeps_its_picture() -> None:
    target = choose_target(a_plan(facts(), facts(silent=True)))

    assert [clip.treatment for clip in target.clips] == [COPY, SOUND]
    assert target.clips[1].reasons == ("no sound",)
    assert target.sound == SoundFormat(48000, 2)


def test_sound_at_another_rate_is_encoded_and_the_picture_kept() -> None:
    target = choose_target(a_plan(facts(), facts(sample_rate_hz=44100, channel_count=1, duration_ms=5000)))

    assert [clip.treatment for clip in target.clips] == [COPY, SOUND]
    assert "44100" in target.clips[1].reasons[0]


def test_sound_that_is_shorter_than_its_picture_is_made_anew() -> None:
    plan = a_plan(facts(), facts(obstacles=["its sound is 300 ms shorter than its picture"]))

    assert treatments(plan) == [COPY, SOUND]


def test_a_film_of_silent_clips_has_no_sound() -> None:
    target = choose_target(a_plan(facts(silent=True), facts(silent=True, frame_rate="30/1")))

    assert target.sound is None
    assert [clip.treatment for clip in target.clips] == [COPY, ENCODE]


def test_silent_copies_get_sound_where_an_odd_clip_has_some() -> None:
    target = choose_target(a_plan(facts(silent=True), facts(frame_rate="30/1", duration_ms=3000)))

    assert [clip.treatment for clip in target.clips] == [SOUND, ENCODE]
    assert target.sound == SoundFormat(48000, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"conform": {"video": "hvc1"}},
        {"conform": {"profile": "High 10"}},
        {"conform": {"rotation": "90"}},
        {"conform": {"reorder": "3 frames"}},
        {"conform": {"box clap": "00"}},
        {"conform": {"color": "profile abcd"}},
        {"conform": {"parameterSets": parameter_sets(tail=b"")}},
        {"conform": {"parameterSets": "zz"}},
        {"width_px": 1281},
    ],
)
def test_clips_that_nothing_can_be_fitted_to_are_kept_only_among_themselves(change: dict[str, Any]) -> None:
    alike, odd = facts(**change), facts(frame_rate="30/1", duration_ms=2000, **change)

    assert set(treatments(a_plan(alike, alike))) == {COPY}
    assert treatments(a_plan(alike, odd)) == [ENCODE, ENCODE]
    assert choose_target(a_plan(alike, odd)).picture.sps_id == 0


def test_a_small_film_is_encoded_whole() -> None:
    plan = a_plan(facts(), facts(), compression=Compression.SMALL)

    assert treatments(plan) == [ENCODE, ENCODE]
    assert choose_target(plan).quality.crf == 28
    assert "small file" in everything_conforms(plan)[0]


def test_a_failed_mix_can_be_encoded_whole() -> None:
    target = choose_target(a_plan(facts(), facts(frame_rate="30/1")), copy=False)

    assert {clip.treatment for clip in target.clips} == {ENCODE}
    assert target.reference_index is None


def test_clips_that_lie_otherwise_than_asked_for_are_encoded() -> None:
    plan = a_plan(facts(), facts(width_px=720, height_px=1280, duration_ms=2000), orientation=Orientation.PORTRAIT)

    target = choose_target(plan)

    assert [clip.treatment for clip in target.clips] == [ENCODE, COPY]
    assert "the film is to be portrait" in target.clips[0].reasons[0]
    assert "the film is to be portrait" in everything_conforms(plan)[0]


def test_a_film_that_no_clip_lies_as_gets_a_size_that_blows_nothing_up() -> None:
    picture = choose_target(a_plan(facts(), orientation=Orientation.PORTRAIT)).picture
    assert (picture.width_px, picture.height_px) == (720, 1280)

    picture = choose_target(a_plan(facts(), orientation=Orientation.SQUARE)).picture
    assert (picture.width_px, picture.height_px) == (720, 720)


def test_one_short_tiny_clip_does_not_make_a_film_of_large_clips_tiny() -> None:
    large = [facts(conform={"parameterSets": parameter_sets(variant=i)}) for i in range(4)]
    tiny = facts(width_px=320, height_px=180, duration_ms=6500)

    target = choose_target(a_plan(*large, tiny))

    assert (target.picture.width_px, target.picture.height_px) == (1280, 720)
    assert target.reference_index == 0


def test_a_few_milliseconds_more_do_not_make_a_clip_the_measure_of_a_film() -> None:
    # Clips of 6 s: no number of frames is 6.000 s at 29.97/s. The first one's rate and size cost a third of the work.
    first, second = facts(), facts(frame_rate="25/1")
    longer = facts(width_px=1920, height_px=1080, frame_rate="30000/1001", duration_ms=6006)
    much_longer = facts(frame_rate="30/1", duration_ms=6100)

    assert choose_target(a_plan(first, second, longer)).reference_index == 0
    assert choose_target(a_plan(longer, first, second)).reference_index == 0
    assert choose_target(a_plan(first, second, much_longer)).reference_index == 2


def test_a_clip_of_which_nothing_is_known_is_encoded() -> None:
    unknown = facts().model_copy(update={"conform": {}})

    assert everything_conforms(a_plan(unknown)) == ["clip 1: nothing is known of its coding"]
    assert treatments(a_plan(unknown, facts())) == [ENCODE, COPY]
    assert choose_target(a_plan(unknown, facts())).clips[0].reasons


def test_another_kind_of_file_says_so() -> None:
    why = "it is a WebM video, and only MP4 can be joined without encoding"
    webm = facts(container="webm", conform={}, obstacles=[why]).model_copy(update={"conform": {"container": "webm"}})

    assert choose_target(a_plan(facts(), webm)).clips[1].reasons == (why,)


SIDES = st.integers(1, 8192)
CLIPS = st.builds(
    facts,
    width_px=SIDES | st.sampled_from([1280]),
    height_px=SIDES | st.sampled_from([720]),
    duration_ms=st.integers(1, 10**6),
    frame_rate=st.sampled_from(["24/1", "30/1", "30000/1001", None]),
    silent=st.booleans(),
    sample_rate_hz=st.sampled_from([48000, 44100, 22050]),
    channel_count=st.sampled_from([1, 2, 3, 6]),
    obstacles=st.sampled_from([[], [], [], ["its frame rate varies"], ["its sound starts 200 ms late"]]),
    conform=st.builds(
        lambda sps_id, variant: {"parameterSets": parameter_sets(sps_id, variant)}, st.integers(0, 2), st.integers(0, 1)
    ),
)
PLANS = st.builds(
    lambda clips, **wishes: a_plan(*clips, **wishes),
    st.lists(CLIPS, min_size=1, max_size=6),
    orientation=st.sampled_from(Orientation),
    compression=st.sampled_from(Compression),
)


@given(plan=PLANS)
def test_every_film_is_one_that_can_be_encoded(plan: StitchPlan) -> None:
    target = choose_target(plan)
    picture = target.picture

    assert len(target.clips) == len(plan.clips)
    if any(clip.treatment is ENCODE for clip in target.clips):
        assert picture.width_px % 2 == picture.height_px % 2 == 0
        assert picture.frame_rate > 0
        assert picture.reorder_depth in (0, 1, 2)
        assert target.reference_index is not None or picture.sps_id == 0
    if target.reference_index is None:
        assert max(picture.width_px, picture.height_px) <= 3840
        assert picture.frame_rate in STANDARD_FRAME_RATES
    assert all(clip.frame_count >= 1 for clip in target.clips)
    assert all(bool(clip.reasons) == (clip.treatment is not COPY) for clip in target.clips)
    if any(clip.facts.audio_codec for clip in plan.clips) and any(c.treatment is not COPY for c in target.clips):
        assert target.sound is not None
    assert encoded_bytes_max(target, 1) >= 0


@given(plan=PLANS)
def test_the_cheap_question_and_the_full_answer_agree(plan: StitchPlan) -> None:
    assert (everything_conforms(plan) == []) == (set(treatments(plan)) == {COPY})


@given(plan=PLANS)
def test_what_is_kept_lies_as_the_film_does(plan: StitchPlan) -> None:
    target = choose_target(plan)
    for clip, treated in zip(plan.clips, target.clips, strict=True):
        if treated.treatment is not ENCODE:
            assert (clip.facts.width_px, clip.facts.height_px) == (target.picture.width_px, target.picture.height_px)
            if plan.orientation is not Orientation.SOURCE:
                assert orientation_of(clip.facts.width_px, clip.facts.height_px) is plan.orientation


@given(clips=st.lists(CLIPS, min_size=1), orientation=st.sampled_from(list(Orientation)[1:]))
def test_a_size_is_even_and_nothing_is_blown_up_beyond_the_largest_clip(
    clips: list[ClipFacts], orientation: Orientation
) -> None:
    width, height = film_size(clips, orientation)

    assert width % 2 == height % 2 == 0
    assert 2 <= min(width, height) <= max(2, *(min(clip.width_px, clip.height_px) for clip in clips))
    assert max(width, height) <= 3840


@given(rate=st.fractions(min_value=Fraction(1, 10), max_value=1000))
def test_every_rate_has_a_standard_one(rate: Fraction) -> None:
    assert standard_frame_rate(rate) in STANDARD_FRAME_RATES


@given(rate=st.sampled_from(STANDARD_FRAME_RATES))
def test_a_standard_rate_stays_itself(rate: Fraction) -> None:
    assert standard_frame_rate(rate) == rate


@pytest.mark.parametrize(
    ("rate", "standard"),
    [
        ("15", "30"),
        ("12", "24"),
        ("25/2", "25"),
        ("120", "60"),
        ("100", "50"),
        ("90", "30"),
        ("2997/100", "30000/1001"),
    ],
)
def test_an_odd_rate_becomes_one_at_which_motion_stays_even(rate: str, standard: str) -> None:
    assert standard_frame_rate(Fraction(rate)) == Fraction(standard)


def test_the_rate_of_a_film_is_the_one_seen_for_longest_and_counted_where_all_vary() -> None:
    assert film_frame_rate([facts(frame_rate="30/1"), facts(duration_ms=7000)]) == 24
    assert film_frame_rate([facts(frame_rate=None, frame_count=150, duration_ms=6000)]) == 25
    assert film_frame_rate([facts(frame_rate=None, frame_count=None)]) == 30


FADES = [Transition.CROSSFADE, Transition.FADE_BLACK]


@pytest.mark.parametrize("transition", FADES)
def test_clips_that_conform_are_kept_but_cannot_be_spliced_alone_where_fades_are_rendered(
    transition: Transition,
) -> None:
    plan = a_plan(facts(), facts(), transition=transition)

    assert everything_conforms(plan) == ["fades are rendered, so the frames around each join are encoded"]
    assert treatments(plan) == [COPY, COPY]
    target = choose_target(plan)
    assert target.picture.sps_id == 1
    assert target.sound == SoundFormat(48000, 2)


def test_a_film_of_one_clip_has_no_fade() -> None:
    assert everything_conforms(a_plan(facts(), transition=Transition.CROSSFADE)) == []


def test_clips_that_nothing_can_be_encoded_like_are_spliced_but_encoded_whole_for_fades() -> None:
    odd = facts(conform={"pixelAspect": "4:3"})

    assert treatments(a_plan(odd, odd)) == [COPY, COPY]
    assert treatments(a_plan(odd, odd, transition=Transition.CROSSFADE)) == [ENCODE, ENCODE]


def test_sound_that_our_encoder_cannot_make_is_spliced_but_encoded_for_fades() -> None:
    odd = facts(conform={"sound": "HE-AAC 48000 Hz 2 ch", "soundPacket": "2048 samples"})
    plan = a_plan(odd, odd, transition=Transition.CROSSFADE)

    assert treatments(a_plan(odd, odd)) == [COPY, COPY]
    assert treatments(plan) == [SOUND, SOUND]
    assert choose_target(plan).sound == SoundFormat(48000, 2)
