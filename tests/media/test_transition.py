"""A film with fades is taken apart so that every frame is there once, and nothing is rendered that need not be."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from events.plan import Transition
from media.clean_cuts import CleanCuts
from media.transition import Fade, Part, Span, Stretch, Window, fade_frames, fade_of, film_starts, lay_parts
from tests.media.synthetic import fake_clips

FADES = [Transition.CROSSFADE, Transition.FADE_BLACK]


@dataclass
class Shown:
    """A clip, where it can be taken apart, and how much of it is shown."""

    cuts: CleanCuts
    #: Frames with which a closed group of pictures begins, and the end of the clip.
    borders: list[int]
    count: int

    def group_of(self, frame: int) -> int:
        return max(border for border in self.borders if border <= frame)


@st.composite
def shown_clips(draw: st.DrawFn, count_min: int) -> Shown:
    """Draw a clip of any structure; some of its sync samples are no clean starts."""
    clip = draw(fake_clips(has_sound=False))
    assume(len(clip.frame_sizes) >= count_min)
    video = clip.movie()[0].video
    idr = draw(st.sets(st.integers(1, video.sample_count)))
    cuts = CleanCuts(video, idr.__contains__)
    borders = [n for n in range(video.sample_count + 1) if cuts.start_behind(n) == n]
    count = draw(st.integers(count_min, video.sample_count))
    return Shown(cuts, borders, count)


@st.composite
def films(draw: st.DrawFn) -> tuple[list[Shown], Fade]:
    fade = fade_of(draw(st.sampled_from(FADES)), draw(st.integers(2, 6)))
    clips = draw(st.lists(shown_clips(fade.out_frames + fade.in_frames), min_size=2, max_size=5))
    # The last one ends where it can be cut.
    end = clips[-1].cuts.cut_before(clips[-1].count)
    assume(end >= fade.out_frames + fade.in_frames)
    clips[-1].count = end
    return clips, fade


def laid(film: tuple[list[Shown], Fade], room: int = 1) -> list[Part]:
    clips, fade = film
    return lay_parts([clip.cuts for clip in clips], [clip.count for clip in clips], fade, room)


def spans_of(part: Part) -> list[Span]:
    if isinstance(part, Window):
        return [part.out, part.into]
    return [Span(part.clip, part.first_frame, part.first_frame + part.frame_count)]


@given(films(), st.integers(1, 12))
def test_every_frame_that_is_shown_is_in_the_film_once_and_in_order(film: tuple[list[Shown], Fade], room: int) -> None:
    parts = laid(film, room)

    found = [
        (span.clip, n) for part in parts for span in spans_of(part) for n in range(span.first_frame, span.end_frame)
    ]
    assert found == [(number, n) for number, clip in enumerate(film[0]) for n in range(clip.count)]


@given(films(), st.integers(1, 12))
def test_the_parts_fill_the_film_without_a_hole(film: tuple[list[Shown], Fade], room: int) -> None:
    clips, fade = film
    starts = film_starts([clip.count for clip in clips], fade)

    at = 0
    for part in laid(film, room):
        assert part.film_frame == at
        first = spans_of(part)[0]
        assert part.film_frame == starts[first.clip] + first.first_frame
        at += part.frame_count

    assert at == starts[-1] == sum(clip.count for clip in clips) - (len(clips) - 1) * fade.overlap_frames


@given(films())
def test_only_groups_of_pictures_that_a_fade_touches_are_rendered(film: tuple[list[Shown], Fade]) -> None:
    clips, fade = film
    touched = set()
    for number, clip in enumerate(clips):
        fading = set(range(fade.in_frames)) if number else set()
        fading |= set(range(clip.count - fade.out_frames, clip.count)) if number < len(clips) - 1 else set()
        touched |= {(number, clip.group_of(frame)) for frame in fading}

    for window in (part for part in laid(film) if isinstance(part, Window)):
        for span in (window.out, window.into):
            groups = {clips[span.clip].group_of(frame) for frame in range(span.first_frame, span.end_frame)}
            assert {(span.clip, group) for group in groups} <= touched


@given(films(), st.integers(1, 12))
def test_no_frame_of_a_fade_is_copied_and_copying_starts_and_stops_only_where_it_can(
    film: tuple[list[Shown], Fade], room: int
) -> None:
    clips, fade = film
    last = len(clips) - 1

    for part in (part for part in laid(film, room) if isinstance(part, Stretch)):
        clip, end = clips[part.clip], part.first_frame + part.frame_count
        assert part.frame_count >= room
        assert part.first_frame in clip.borders
        assert clip.cuts.cut_before(end) == end
        assert part.first_frame >= (fade.in_frames if part.clip else 0)
        assert end <= clip.count - (fade.out_frames if part.clip < last else 0)


@given(films(), st.integers(1, 12))
def test_a_window_holds_the_whole_fade_of_two_clips_and_of_no_more(film: tuple[list[Shown], Fade], room: int) -> None:
    clips, fade = film
    windows = [part for part in laid(film, room) if isinstance(part, Window)]

    assert [window.into.clip for window in windows] == list(range(1, len(clips)))
    for window in windows:
        assert window.out.clip == window.into.clip - 1
        assert window.out.end_frame == clips[window.out.clip].count
        assert window.into.first_frame == 0
        assert window.out.frame_count >= fade.out_frames
        assert window.into.frame_count >= fade.in_frames


@pytest.mark.parametrize(
    ("transition", "frames", "overlap"), [(Transition.CROSSFADE, (12, 12), 12), (Transition.FADE_BLACK, (6, 6), 0)]
)
def test_a_crossfade_shortens_the_film_and_a_fade_through_black_does_not(
    transition: Transition, frames: tuple[int, int], overlap: int
) -> None:
    fade = fade_of(transition, fade_frames(500, Fraction(24)))

    assert (fade.out_frames, fade.in_frames) == frames
    assert fade.overlap_frames == overlap


def test_a_fade_has_two_frames_at_least_however_slow_the_film_is() -> None:
    assert fade_frames(100, Fraction(10)) == 2
