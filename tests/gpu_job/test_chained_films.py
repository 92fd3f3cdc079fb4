"""Chained films: a clip begins with the picture that the one before ends with, and the film shows it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.clip import StitchReport
from events.errors import StitchFailed
from events.plan import Compression, StitchPlan, Transition
from gpu_job.chain import Chain
from gpu_job.chunks import Share
from gpu_job.manifest import checkpoint_folder
from gpu_job.objects import DiskObjects
from gpu_job.tasks import EncodeTask
from media.clip_file import ClipFile, DiskClip, TailedClip
from media.last_frame import last_frame_png
from media.reader import FileReader
from media.target import choose_target
from media.write import FilmPart, write_film
from tests.gpu_job.bench import BARS, CHROMA, Bench, run
from tests.gpu_job.film_reading import Barcode, barcodes, sound, video_packets

MakeClip = Callable[..., Path]
MakeNext = Callable[..., Path]

#: One group of pictures, and B-frames that others refer to: what a model gives, and what can hardly be cut.
ONE_GROUP = "-preset veryfast -bf 3 -g 250 -b_strategy 0 -sc_threshold 0"
#: Every frame is a clean cut.
NO_B_FRAMES = "-bf 0"
#: Not what the other clips are in.
BASELINE = "-profile:v baseline -bf 0"
#: What our encoders do not make.
TEN_BIT = "-pix_fmt yuv420p10le -profile:v high10"


@pytest.fixture
def make_next(ffmpeg_program: str, tmp_path: Path) -> MakeNext:
    """Give a function that makes a clip whose frame 0 is the last of another clip, as a model would."""

    def make(
        before: Path,
        number: int,
        *,
        frames: int = 24,
        video: str = "",
        keep_ms: int | None = None,
        level: int = 0,
        sound: bool = True,
    ) -> Path:
        with FileReader(before) as reader:
            png = last_frame_png(reader, before.name, keep_ms)
        still, output = tmp_path / f"still-{number}.png", tmp_path / f"next-{number}.mp4"
        still.write_bytes(png)
        cb, cr = CHROMA[number]
        bars = f"color=gray:size=160x96:rate=24,{BARS.format(cb=cb, cr=cr)}"
        graph = (
            f"[0:v]scale=160:96:out_color_matrix=bt601:out_range=limited,format=yuv420p,"
            f"lutyuv=y=val+{level},setsar=1[still];"
            "[1:v]format=yuv420p,setsar=1[bars];[bars][still]overlay=format=yuv420:shortest=0:enable='eq(n,0)',"
            # As untagged as the other clips are.
            "setparams=range=unknown:color_primaries=unknown:color_trc=unknown:colorspace=unknown[picture]"
        )
        args = ["-loop", "1", "-framerate", "24", "-i", str(still), "-f", "lavfi", "-i", bars]
        tone = f"sine=frequency={400 + 100 * number}:sample_rate=48000:samples_per_frame=512"
        args += ["-f", "lavfi", "-i", tone] if sound else []
        args += ["-filter_complex", graph, "-map", "[picture]", "-frames:v", str(frames)]
        args += ["-map", "2:a", "-ac", "2", "-c:a", "aac", "-af", f"atrim=end={frames / 24}"] if sound else []
        args += ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12", "-crf", "12", *video.split()]
        run(ffmpeg_program, *args, str(output))
        return output

    return make


def chained(plan: StitchPlan, **changes: Any) -> StitchPlan:
    clips = [clip.model_copy(update={"continues": n > 0, **changes}) for n, clip in enumerate(plan.clips)]
    return plan.model_copy(update={"clips": clips})


def part(clip: int, first: int, end: int) -> list[Barcode]:
    return [Barcode(clip, frame) for frame in range(first, end)]


def made(bench: Bench, plan: StitchPlan, **changes: Any) -> StitchReport:
    report = bench.stitch(plan, **changes)
    assert report is not None
    assert report.frame_count == len(barcodes(bench.film))
    return report


@pytest.mark.parametrize(
    ("video", "encoded"), [(NO_B_FRAMES, 0), (ONE_GROUP, 1), ("-bf 2 -g 12", 1)], ids=["clean", "one group", "groups"]
)
def test_the_frame_that_a_chained_clip_repeats_is_shown_once(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext, video: str, encoded: int
) -> None:
    first = make_clip(0, video=video)
    second = make_next(first, 1, video=video)
    third = make_next(second, 2, video=video)

    report = made(bench, chained(bench.plan(first, second, third)))

    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 1, 24) + part(2, 1, 24)
    assert [join.dropped_frames for join in report.joins] == [1, 1]
    assert [join.repeated_frames for join in report.joins] == [0, 0]
    assert report.warnings == []
    assert report.encoded_clips == []
    assert [join.at_ms for join in report.joins] == [round(23 * 1000 / 24), round(46 * 1000 / 24)]
    assert all(abs(join.skew_us or 0) <= 21_300 for join in report.joins)
    if encoded:
        assert report.encoded_frame_count in range(1, 9)
        assert report.encoder == "libx264"
    else:
        assert (report.encoded_frame_count, report.encoder, bench.program_calls) == (None, None, 0)


def test_the_frames_of_a_chain_that_were_kept_are_those_of_the_clips_bit_for_bit(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP)
    second = make_next(first, 1, video=ONE_GROUP)

    report = made(bench, chained(bench.plan(first, second)))

    packets, encoded = video_packets(bench.film), report.encoded_frame_count or 0
    assert packets[: 23 - encoded] == video_packets(first)[: 23 - encoded]
    assert packets[23:] == video_packets(second)


def test_a_frame_that_was_drawn_again_a_little_otherwise_is_shown_once(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0)
    second = make_next(first, 1, level=2)

    report = made(bench, chained(bench.plan(first, second)))

    assert report.joins[0].dropped_frames == 1
    assert report.frame_count == 47


def test_a_clip_that_does_not_repeat_is_left_whole(bench: Bench, make_clip: MakeClip) -> None:
    plan = chained(bench.plan(make_clip(0), make_clip(1)))

    report = made(bench, plan)

    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 0, 24)
    assert [join.dropped_frames for join in report.joins] == [0]
    assert bench.program_calls == 0


def test_a_clip_that_repeats_by_chance_and_continues_none_is_left_whole(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0)

    report = made(bench, bench.plan(first, make_next(first, 1)))

    assert report.frame_count == 48
    assert (report.joins[0].dropped_frames, report.joins[0].repeated_frames) == (None, 1)


def test_a_fade_hides_the_repeated_frame_so_that_nothing_is_dropped(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, frames=48)
    plan = bench.plan(first, make_next(first, 1, frames=48), transition=Transition.FADE_BLACK, transition_ms=250)

    report = made(bench, chained(plan))

    assert report.frame_count == 96
    assert report.joins[0].dropped_frames is None


@pytest.mark.parametrize("odd", ["first", "second", "all"])
def test_odd_clips_of_a_chain_show_the_repeated_frame_once_too(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext, odd: str
) -> None:
    first = make_clip(0, video=BASELINE if odd == "first" else "")
    second = make_next(first, 1, frames=36, video=BASELINE if odd == "second" else "")
    third = make_next(second, 2, frames=36)
    wishes = {"compression": Compression.SMALL} if odd == "all" else {}

    report = made(bench, chained(bench.plan(first, second, third, **wishes)))

    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 1, 36) + part(2, 1, 36)
    assert [join.dropped_frames for join in report.joins] == [1, 1]
    assert report.encoded_clips == {"first": [0], "second": [1], "all": [0, 1, 2]}[odd]


def test_a_clip_of_which_less_is_kept_goes_on_from_what_is_shown(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP, frames=30)
    second = make_next(first, 1, video=ONE_GROUP, keep_ms=800)
    plan = chained(bench.plan(first, second))
    clips = [plan.clips[0].model_copy(update={"keep_ms": 800}), plan.clips[1]]

    report = made(bench, plan.model_copy(update={"clips": clips}))

    shown = barcodes(bench.film)
    kept = len([code for code in shown if code.clip == 0])
    assert shown == part(0, 0, kept) + part(1, 1, 24)
    assert abs(kept - 19) <= 2
    assert report.joins[0].dropped_frames == 1


def test_the_shortest_clips_of_a_chain_keep_a_frame_each(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP)
    second = make_next(first, 1, video=ONE_GROUP, frames=3)
    third = make_next(second, 2, video=ONE_GROUP)

    report = made(bench, chained(bench.plan(first, second, third)))

    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 1, 3) + part(2, 1, 24)
    assert [join.dropped_frames for join in report.joins] == [1, 1]


def test_sound_and_picture_of_a_chained_film_stay_together(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    clips = [make_clip(0, video=ONE_GROUP)]
    for number in (1, 2, 3):
        clips.append(make_next(clips[-1], number, video=ONE_GROUP))

    report = made(bench, chained(bench.plan(*clips)))

    rate_hz, samples = sound(bench.film)
    assert report.sound == "smart"
    assert abs(samples.shape[1] / rate_hz - (24 + 3 * 23) / 24) < 0.025
    assert all(abs(join.skew_us or 0) <= 10_700 for join in report.joins)
    # Each clip's tone is heard up to the frame where the next begins, with no hole between them.
    for number in range(4):
        begin = number * 23 / 24
        for at in (begin + 0.1, begin + 0.5, begin + 0.85):
            assert tone_hz(samples[0], rate_hz, at) == pytest.approx(400 + 100 * number, abs=15)
    loud = np.abs(samples[0][rate_hz // 10 : -rate_hz // 10]).reshape(-1)
    windows = loud[: loud.size // 480 * 480].reshape(-1, 480).max(axis=1)
    assert windows.min() > 0.5 * np.median(windows)


def tone_hz(samples: np.ndarray, rate_hz: int, at: float) -> float:
    stretch = samples[int(at * rate_hz) : int(at * rate_hz) + 4800]
    spectrum = np.abs(np.fft.rfft(stretch * np.hanning(stretch.size)))
    return float(spectrum.argmax() * rate_hz / stretch.size)


def test_the_sound_of_a_silent_clip_is_as_long_as_what_is_shown_of_it(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP)
    second = make_next(first, 1, video=ONE_GROUP, sound=False)
    third = make_next(second, 2, video=ONE_GROUP)

    report = made(bench, chained(bench.plan(first, second, third)))

    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 1, 24) + part(2, 1, 24)
    rate_hz, samples = sound(bench.film)
    assert abs(samples.shape[1] / rate_hz - 70 / 24) < 0.025
    assert report.encoded_clips == []


def test_a_chain_of_a_coding_that_we_do_not_make_is_cut_where_it_can_be(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=f"{NO_B_FRAMES} {TEN_BIT}")

    report = made(bench, chained(bench.plan(first, make_next(first, 1, video=f"{NO_B_FRAMES} {TEN_BIT}"))))

    assert (report.frame_count, report.joins[0].dropped_frames, report.warnings) == (47, 1, [])
    assert bench.program_calls == 0


def test_a_chain_of_a_coding_that_we_do_not_make_is_left_as_it_is_where_it_cannot_be_cut(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=f"{ONE_GROUP} {TEN_BIT}")

    report = made(bench, chained(bench.plan(first, make_next(first, 1, video=f"{ONE_GROUP} {TEN_BIT}"))))

    assert (report.frame_count, report.joins[0].dropped_frames, report.joins[0].repeated_frames) == (48, 0, 1)
    (warning,) = report.warnings
    assert "begins with 1 frame that the one before has shown already" in warning


def test_what_was_encoded_of_a_chain_is_found_again_after_a_stop(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP)
    plan = chained(bench.plan(first, make_next(first, 1, video=ONE_GROUP)))
    with pytest.raises(Stopped):
        bench.stitch(plan, ffmpeg=lambda: bench.ffmpeg, objects=StopsAtTheFilm(bench.store.root))
    kept = bench.store.list(checkpoint_folder(plan))
    assert len([info for info in kept if "clip-0-tail" in info.uri and info.uri.endswith(".mp4")]) == 1

    made(bench, plan)

    assert not [line for line in bench.lines if "making clip-0-tail" in str(line)]
    assert barcodes(bench.film) == part(0, 0, 24) + part(1, 1, 24)
    assert bench.store.list(checkpoint_folder(plan)) == []


def test_only_the_first_of_several_workers_makes_a_chain_of_kept_clips(
    bench: Bench, make_clip: MakeClip, make_next: MakeNext
) -> None:
    first = make_clip(0, video=ONE_GROUP)
    plan = chained(bench.plan(first, make_next(first, 1, video=ONE_GROUP)))

    assert bench.stitch(plan, share=Share(1, 2)) is None
    assert made(bench, plan, share=Share(0, 2)).frame_count == 47


class Stopped(Exception):
    """Stands for the end of a machine."""


class StopsAtTheFilm(DiskObjects):
    """A store whose machine ends when the film is about to be there."""

    def publish(self, path: Path, uri: str) -> None:
        raise Stopped


@dataclass
class Hand:
    """A chain of two clips, made step by step."""

    bench: Bench
    plan: StitchPlan
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chain = Chain(self.plan, choose_target(self.plan), self.bench.work.absolute())
        self.parts = [FilmPart(ClipFile(self.bench.store.path(clip.uri))) for clip in self.plan.clips]

    def splice(self, parts: list[FilmPart]) -> StitchReport:
        return write_film(parts, self.bench.work / "film.mp4").to_report()

    def refuse_tails(self, parts: list[FilmPart]) -> StitchReport:
        if any(isinstance(each.clip, TailedClip) for each in parts):
            raise StitchFailed("join the pictures: they do not go together")
        return self.splice(parts)

    def make(self, tasks: Sequence[EncodeTask]) -> dict[str, DiskClip]:
        made: dict[str, DiskClip] = {}
        for task in tasks:
            path = (self.bench.work / f"{task.name}.mp4").absolute()
            args = task.args(path, "libx264")
            self.bench.ffmpeg.encode(args, task.label, on_frames=lambda _: None, stall_seconds=60)
            made[task.name] = ClipFile(path)
        return made

    def make_another(self, tasks: Sequence[EncodeTask]) -> dict[str, DiskClip]:
        return {task.name: self.parts[1].clip for task in tasks}


@pytest.fixture
def hand(bench: Bench, make_clip: MakeClip, make_next: MakeNext) -> Iterator[Hand]:
    first = make_clip(0, video=ONE_GROUP)
    yield Hand(bench, chained(bench.plan(first, make_next(first, 1, video=ONE_GROUP))))
    left = [path.name for path in bench.work.iterdir() if "look" in path.name or "excerpt" in path.name]
    assert left == []
    for path in bench.work.iterdir():
        path.unlink()


def test_the_steps_of_a_chain_are_taken_one_by_one(hand: Hand) -> None:
    assert hand.chain.is_encoding(hand.parts)
    (twin,) = hand.chain.twins(hand.parts)

    report = hand.chain.joined(hand.parts, hand.splice, hand.make)

    assert (twin.clip, twin.frame_count, twin.encoded_count) == (0, 23, report.encoded_frame_count)
    assert (report.frame_count, report.joins[0].dropped_frames, report.warnings) == (47, 1, [])


def test_where_the_end_of_a_clip_does_not_go_together_with_the_rest_the_film_is_made_with_what_is_repeated(
    hand: Hand,
) -> None:
    report = hand.chain.joined(hand.parts, hand.refuse_tails, hand.make)

    assert (report.frame_count, report.joins[0].dropped_frames, report.encoded_frame_count) == (48, 0, None)
    (warning,) = report.warnings
    assert "shown twice, since they could not be left out: join the pictures" in warning


def test_an_end_of_another_length_than_was_asked_for_is_not_used(hand: Hand) -> None:
    report = hand.chain.joined(hand.parts, hand.splice, hand.make_another)

    assert report.frame_count == 48
    assert "it has 24 frames instead of " in report.warnings[0]


def test_clips_too_long_to_look_at_are_left_whole_and_that_is_told(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_job.chain._LOOK_PIXELS_MAX", 1000)

    report = hand.chain.joined(hand.parts, hand.splice)

    assert report.frame_count == 48
    (warning,) = report.warnings
    assert warning.startswith("Join 1: it is too long to see")
