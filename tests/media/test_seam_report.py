"""Joins with each fault on purpose: what is measured, what people are told, and what is left in peace."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.clip import Join, StitchReport
from events.errors import StitchFailed
from events.plan import Transition
from media import seam_choice
from media.mp4_index import read_movie
from media.reader import FileReader
from media.seam_choice import FRAMES, look_cost_us
from media.seam_look import decode_frames, look_at_seams
from media.seam_report import SeamLook, seam_warnings, with_seams
from media.write import splice_files
from tests.media.clips import ClipSpec, make_clip, run_ffmpeg
from tests.media.test_chapters import a_plan

WIDTH, HEIGHT, FPS = 160, 96, 24
#: One picture of a moving scene, by its number: planar 4:2:0.
Picture = bytes


def scene(i: int, *, luma: int = 0, chroma: int = 128) -> Picture:
    """Draw a bar that moves 4 pixels a frame over a ramp."""
    ramp = [40 + x // 2 + luma for x in range(WIDTH)]
    left = 4 * i % (WIDTH - 24)
    row = bytes(200 + luma // 4 if left <= x < left + 24 else ramp[x] for x in range(WIDTH))
    return row * HEIGHT + bytes([chroma]) * (WIDTH * HEIGHT // 2)


def noise(first: int, count: int = 12) -> list[Picture]:
    """Draw pictures that take many bits."""
    chroma = b"\x80" * (WIDTH * HEIGHT // 2)
    return [Random(i).randbytes(WIDTH * HEIGHT) + chroma for i in range(first, first + count)]


BLACK = b"\x10" * (WIDTH * HEIGHT) + b"\x80" * (WIDTH * HEIGHT // 2)


def frames(first: int, count: int = 18, **look: int) -> list[Picture]:
    return [scene(i, **look) for i in range(first, first + count)]


Filmed = Callable[..., tuple[Path, StitchReport]]


@pytest.fixture
def filmed(tmp_path: Path) -> Filmed:
    """Give a function that joins clips of these pictures, with a tone of these amplitudes."""

    def film(*clips: Sequence[Picture], loud: Sequence[float] = ()) -> tuple[Path, StitchReport]:
        paths = [_clip(tmp_path / f"{i}.mp4", each, (*loud, *[0.1] * 9)[i]) for i, each in enumerate(clips)]
        output = tmp_path / "film.mp4"
        return output, splice_files(paths, output)

    return film


def _clip(output: Path, pictures: Sequence[Picture], amplitude: float) -> Path:
    raw, pcm = output.with_suffix(".yuv"), output.with_suffix(".f32")
    raw.write_bytes(b"".join(pictures))
    count = 48000 * len(pictures) // FPS
    pcm.write_bytes(array("f", (amplitude * math.sin(i * 0.0576) for i in range(count))).tobytes())
    picture = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", str(raw)]
    sound = ["-f", "f32le", "-ar", "48000", "-ac", "1", "-i", str(pcm)]
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-threads", "1", "-c:a", "aac", "-b:a", "128k"]
    run_ffmpeg([*picture, *sound, *coded, str(output)])
    return output


def seen(film: tuple[Path, StitchReport], clip_index: int = 1) -> SeamLook:
    look = look_at_seams(film[0], film[1].joins)[clip_index]
    assert isinstance(look, SeamLook)
    return look


def told(film: tuple[Path, StitchReport], *, given: bool = False) -> list[str]:
    """Give the warnings; of clips that were given, some joins may go unseen."""
    plan = a_plan("a", "b")
    return with_seams(
        film[1], plan.model_copy(update={"digital_source_type": None}) if given else plan, film[0]
    ).warnings


def test_a_scene_that_goes_on_is_not_worth_a_word(filmed: Filmed) -> None:
    film = filmed(frames(0), frames(18))

    assert told(film) == []
    look = seen(film)
    assert (look.frames_before, look.frames_after) == (FRAMES, FRAMES)
    assert look.is_one_scene
    assert look.repeated == look.still_before == look.still_after == look.black_before == look.black_after == 0


def test_a_cut_to_another_scene_is_not_worth_a_word_whatever_its_colours(filmed: Filmed) -> None:
    other = [picture[: WIDTH * HEIGHT][::-1] + b"\x60" * (WIDTH * HEIGHT // 2) for picture in frames(0)]
    film = filmed(frames(0), other)

    assert told(film) == []
    assert seen(film).colour_jump >= 30


def test_a_first_frame_that_was_shown_already_is_told(filmed: Filmed) -> None:
    film = filmed(frames(0), frames(17))

    assert seen(film).repeated == 1
    assert told(film) == ["Join 1 (at 0.8 s): the clip begins with 1 frame that the one before has shown already."]


def test_a_repeated_frame_that_was_drawn_again_a_little_otherwise_is_told_too(filmed: Filmed) -> None:
    film = filmed(frames(0), [scene(17, luma=1), *frames(18)])

    assert seen(film).repeated == 1


def test_a_repeated_frame_that_is_a_little_lighter_all_over_is_told_too(filmed: Filmed) -> None:
    film = filmed(frames(0), [scene(17, luma=4), *frames(18, luma=4)])

    assert seen(film).repeated == 1


def test_a_scene_that_goes_on_while_it_becomes_lighter_repeats_nothing(filmed: Filmed) -> None:
    film = filmed([scene(i, luma=2 * i) for i in range(18)], [scene(i, luma=2 * i) for i in range(18, 36)])

    assert seen(film).repeated == 0


def test_black_frames_next_to_a_join_are_told(filmed: Filmed) -> None:
    film = filmed([*frames(0), BLACK], [BLACK, BLACK, *frames(18)])

    look = seen(film)
    assert (look.black_before, look.black_after) == (1, 2)
    assert told(film) == ["Join 1 (at 0.8 s): 3 black frames next to it."]


def test_a_scene_that_is_dark_on_both_sides_is_no_flash(filmed: Filmed) -> None:
    film = filmed([BLACK] * 12, [BLACK] * 12)

    assert told(film) == []
    assert seen(film).black_after == FRAMES


def test_a_picture_that_stands_still_before_a_join_is_told(filmed: Filmed) -> None:
    film = filmed([*frames(0), *[scene(17)] * 8], frames(18))

    assert seen(film).still_before == FRAMES
    assert told(film) == ["Join 1 (at 1.1 s): the picture stands still before it."]


def test_two_stills_in_a_row_are_meant(filmed: Filmed) -> None:
    film = filmed([scene(0)] * 12, [scene(9)] * 12)

    assert told(film) == []
    assert seen(film).still_before == seen(film).still_after == FRAMES


def test_a_quiet_picture_next_to_one_that_hardly_moves_is_left_in_peace(filmed: Filmed) -> None:
    film = filmed([scene(0)] * 12, [*[scene(9)] * 4, *frames(10)])

    assert told(film) == []
    assert seen(film).still_after == 4


def test_colours_that_jump_within_a_scene_are_told(filmed: Filmed) -> None:
    film = filmed(frames(0), frames(18, chroma=142))

    assert seen(film).colour_jump == pytest.approx(14, abs=1)
    (warning,) = told(film)
    assert warning.startswith("Join 1 (at 0.8 s): the colours jump by 1")


def test_sound_that_becomes_more_than_twice_as_loud_is_told(filmed: Filmed) -> None:
    film = filmed(frames(0), frames(18), frames(36), loud=[0.02, 0.2, 0.16])

    assert seen(film).loudness_step_centi_db == pytest.approx(2000, abs=30)
    assert seen(film, 2).loudness_step_centi_db == pytest.approx(-194, abs=30)
    assert told(film) == ["Join 1 (at 0.8 s): the sound becomes 20 dB louder."]


def test_a_pause_before_sound_is_no_jump(filmed: Filmed) -> None:
    film = filmed(frames(0), frames(18), loud=[0.0, 0.2])

    assert told(film) == []


def test_what_was_seen_is_in_the_report(filmed: Filmed) -> None:
    film, report = filmed(frames(0), frames(17))

    (join,) = with_seams(report, a_plan("a", "b"), film).joins

    assert (join.black_frames, join.frozen_frames, join.repeated_frames) == (0, 0, 1)
    assert join.colour_jump == 0
    assert join.loudness_step_centi_db == pytest.approx(0, abs=50)
    assert join.skew_us == report.joins[0].skew_us


def test_a_bad_join_is_an_error_where_the_request_says_so(filmed: Filmed) -> None:
    film, report = filmed(frames(0), frames(17))
    plan = a_plan("a", "b").model_copy(update={"fail_on_seams": True})

    with pytest.raises(StitchFailed, match=r"Join 1 .* shown already") as failed:
        with_seams(report, plan, film)

    assert failed.value.code == "bad_seam"
    assert not failed.value.retryable


def test_fades_are_not_looked_at(filmed: Filmed) -> None:
    film, report = filmed(frames(0), frames(17))

    assert with_seams(report, a_plan("a", "b").model_copy(update={"transition": Transition.CROSSFADE}), film) == report


def seen_indexes(film: tuple[Path, StitchReport]) -> list[int]:
    looks = look_at_seams(film[0], film[1].joins)
    return [index for index, look in looks.items() if isinstance(look, SeamLook) and look.has_pictures]


def allow(monkeypatch: pytest.MonkeyPatch, film: tuple[Path, StitchReport], *clip_indexes: int) -> None:
    """Let looking cost just as much as at these joins."""
    with FileReader(film[0]) as reader:
        movie = read_movie(reader, "film")
    costs_us = [look_cost_us(movie, join) for join in film[1].joins if join.clip_index in clip_indexes]
    monkeypatch.setattr(seam_choice, "LOOK_US_MAX", sum(costs_us))


def test_a_film_whose_joins_cost_too_much_is_looked_at_where_it_is_cheap(
    filmed: Filmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The join behind the long clip needs more than twice as many frames as that behind the short one.
    film = filmed(frames(0, 48), frames(48, 8), frames(56))
    allow(monkeypatch, film, 2)

    assert seen_indexes(film) == [2]
    assert list(look_at_seams(film[0], film[1].joins, spare=False)) == [1, 2]
    given = a_plan("a", "b", "c").model_copy(update={"digital_source_type": None})
    first, second = with_seams(film[1], given, film[0]).joins
    assert (first.black_frames, first.frozen_frames, first.repeated_frames, first.colour_jump) == (None,) * 4
    assert second.repeated_frames == 0


def test_in_a_film_of_clips_that_were_made_for_it_every_join_is_looked_at(
    filmed: Filmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, report = filmed(frames(0, 48), frames(48, 8), frames(56))
    monkeypatch.setattr(seam_choice, "LOOK_US_MAX", 0)

    made = with_seams(report, a_plan("a", "b", "c"), film)

    assert [join.repeated_frames for join in made.joins] == [0, 0]


def test_of_joins_that_cost_the_same_some_from_all_over_the_film_are_looked_at(
    filmed: Filmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = filmed(*[frames(0)] * 9)
    allow(monkeypatch, film, 1, 5)

    assert seen_indexes(film) == [1, 5]


def test_a_join_that_may_be_black_or_stand_still_is_looked_at_before_others(
    filmed: Filmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = filmed(noise(0), noise(12), [*noise(24), *[BLACK] * 6], noise(36), noise(48))
    allow(monkeypatch, film, 3)

    assert seen_indexes(film) == [3]
    assert "Join 3 (at 1.8 s): 6 black frames next to it." in told(film, given=True)


def test_a_join_that_is_not_looked_at_is_listened_to(filmed: Filmed, monkeypatch: pytest.MonkeyPatch) -> None:
    film = filmed(frames(0), frames(17), loud=[0.02, 0.2])
    monkeypatch.setattr(seam_choice, "LOOK_US_MAX", 0)

    assert told(film, given=True) == ["Join 1 (at 0.8 s): the sound becomes 20 dB louder."]


def test_of_a_film_of_very_many_clips_some_joins_are_not_listened_to(
    filmed: Filmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, report = filmed(*[frames(0)] * 5)
    monkeypatch.setattr(seam_choice, "LOOK_US_MAX", 0)
    monkeypatch.setattr(seam_choice, "LISTENED_MAX", 2)

    assert list(look_at_seams(film, report.joins)) == [1, 3]
    assert list(look_at_seams(film, report.joins, spare=False)) == [1, 2, 3, 4]


X264, X265 = (
    ("-c:v", "libx264", "-crf", "30", "-bf"),
    ("-c:v", "libx265", "-tag:v", "hvc1", "-crf", "30", "-x265-params"),
)
CODED = {
    "B-frames of which some are referred to": (*X264, "5", "-b_strategy", "0", "-g", "30"),
    "no B-frames": (*X264, "0", "-g", "30"),
    "open groups": (*X264, "4", "-g", "10", "-x264-params", "open-gop=1"),
    "B-frames that none refers to": (*X264, "3", "-g", "30", "-x264-params", "b-pyramid=none"),
    "fields": (*X264, "3", "-g", "30", "-flags", "+ildct+ilme"),
    "HEVC, open groups": (*X265, "log-level=none:bframes=4:keyint=12"),
    "HEVC, one group": (*X265, "log-level=none:bframes=4:keyint=100:open-gop=0"),
}


@pytest.mark.parametrize("video", CODED.values(), ids=CODED)
def test_frames_that_are_looked_at_are_those_that_decoding_everything_gives(
    video: tuple[str, ...], tmp_path: Path
) -> None:
    path = make_clip(
        ClipSpec(number=5, frames=41, tone=None, video=(*video, "-pix_fmt", "yuv420p")), tmp_path / "a.mp4"
    )
    with av.open(str(path)) as opened:
        everything = [decoded.to_ndarray().tobytes() for decoded in opened.decode(video=0)]

    for first in (0, 3, 11, 17, 22, 35):
        wanted = range(first, first + FRAMES)
        with av.open(str(path)) as opened:
            found = {number: frame.to_ndarray().tobytes() for number, frame in _decoded(opened, wanted)}
        assert found == {number: everything[number] for number in wanted}


def test_nothing_is_looked_at_before_a_film_begins(tmp_path: Path) -> None:
    path = make_clip(ClipSpec(number=5, tone=None, muxer=("-output_ts_offset", "1")), tmp_path / "late.mp4")

    with av.open(str(path)) as opened:
        assert _decoded(opened, range(FRAMES)) == []
    with av.open(str(path)) as opened:
        assert [number for number, _ in _decoded(opened, range(24, 30))] == list(range(24, 30))


def _decoded(opened: av.container.InputContainer, wanted: range) -> list[tuple[int, av.VideoFrame]]:
    return list(decode_frames(opened, wanted, Fraction(1, 24)))


def test_a_film_that_cannot_be_decoded_at_a_join_says_so(filmed: Filmed) -> None:
    film, report = filmed(frames(0), frames(18))
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat") + 12
    data[start:] = bytes(len(data) - start)
    film.write_bytes(data)

    (warning,) = with_seams(report, a_plan("a", "b"), film).warnings

    assert warning.startswith("Join 1 (at 0.8 s): the film cannot be decoded there (")


@pytest.mark.parametrize(
    ("skew_us", "fault"),
    [(125_000, None), (126_000, "the sound is 126 ms late"), (-45_000, None), (-46_000, "the sound is 46 ms early")],
)
def test_sound_that_people_notice_to_be_early_or_late_is_told(skew_us: int, fault: str | None) -> None:
    found = list(seam_warnings([Join(clip_index=3, at_ms=61_000, skew_us=skew_us)], {}))

    assert found == ([f"Join 3 (at 61.0 s): {fault}."] if fault else [])


_SIDES = st.integers(0, FRAMES)
_LEVELS = st.none() | st.integers(-9000, 0)
_LOOKS = st.builds(
    SeamLook,
    frames_before=st.just(FRAMES),
    frames_after=st.just(FRAMES),
    black_before=_SIDES,
    black_after=_SIDES,
    still_before=_SIDES,
    still_after=_SIDES,
    repeated=_SIDES,
    colour_jump=st.integers(0, 255),
    is_one_scene=st.booleans(),
    level_before_centi_db=_LEVELS,
    level_after_centi_db=_LEVELS,
)


@given(_LOOKS)
def test_every_look_gives_whole_sentences_and_a_report_that_can_be_sent(look: SeamLook) -> None:
    join = Join(clip_index=1, at_ms=8000, skew_us=0)

    for said in seam_warnings([join], {1: look}):
        assert said.startswith("Join 1 (at 8.0 s): ")
        assert said.endswith(".")
