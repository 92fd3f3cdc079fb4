"""Films with fades: copied outside the windows around joins, rendered well inside them, heard through all of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from events.clip import StitchReport
from events.plan import PlannedClip, StitchPlan, Transition
from gpu_job.fades import FadeWork, fade_work
from gpu_job.ffmpeg import FFmpeg
from gpu_job.tasks import ClipFailed
from media.clip_file import ClipFile
from media.parameter_sets import parse_avc_config, used_ids
from media.probe import probe
from media.reader import FileReader
from media.sample_entry import VideoEntry
from media.target import choose_target
from media.transition import Stretch, Window
from media.video_encoders import VIDEO_ENCODERS
from media.write import write_film
from tests.gpu_job.bench import run
from tests.gpu_job.film_reading import barcodes, decode, exact_crossfade, sound, video_packets

MakeClip = Callable[..., Path]
FADES = [Transition.CROSSFADE, Transition.FADE_BLACK]
#: How the pictures of clips are coded.
STRUCTURES = {
    "two B-frames, GOPs of a second": "-g 24 -keyint_min 24 -sc_threshold 0 -bf 2",
    "a pyramid of B-frames": "-preset veryfast -g 24 -keyint_min 24 -sc_threshold 0 -bf 3 -x264-params b-adapt=0",
    "every frame alone": "-g 1",
    "one GOP": "-g 999 -bf 3",
    "open GOPs": "-g 12 -bf 3 -x264-params open-gop=1:b-adapt=0",
}


@dataclass
class Made:
    """A film with fades."""

    film: Path
    report: StitchReport
    work: FadeWork
    clips: list[Path]

    @property
    def stretches(self) -> list[Stretch]:
        return [part for part in self.work.film.parts if isinstance(part, Stretch)]

    @property
    def windows(self) -> list[Window]:
        return self.work.film.windows


MakeFilm = Callable[..., Made]


def plan_of(clips: list[Path], **wishes: Any) -> StitchPlan:
    planned = []
    for index, clip in enumerate(clips):
        with FileReader(clip) as reader:
            facts = probe(reader, clip.name)
        planned.append(PlannedClip(uri=f"gs://clips-a/{index}", generation=1, facts=facts, segment_index=10 * index))
    uris = {"output_uri": "gs://films-a/film.mp4", "report_uri": "gs://films-a/report.json"}
    return StitchPlan(job_id="job_abc123", attempt=1, clips=planned, **uris, **wishes)


@pytest.fixture
def make_film(tmp_path: Path, ffmpeg: FFmpeg) -> MakeFilm:
    """Give a function that makes a film of clips that conform, with all that lies between left beside it."""

    def make(*clips: Path, keep_ms: dict[int, int] | None = None, program: FFmpeg = ffmpeg, **wishes: Any) -> Made:
        plan = plan_of(list(clips), **wishes)
        kept = [clip.model_copy(update={"keep_ms": (keep_ms or {}).get(n)}) for n, clip in enumerate(plan.clips)]
        plan = plan.model_copy(update={"clips": kept})
        work = fade_work(plan, choose_target(plan), [ClipFile(clip) for clip in clips], tmp_path)
        made = {}
        for task in work.tasks():
            output = tmp_path / f"{task.name}.mp4"
            args = task.args(output, "libx264")
            done = program.encode(args, task.label, on_frames=lambda _: None, stall_seconds=60)
            assert (done.frame_count, done.complaints) == (task.frame_count, ())
            made[task.name] = ClipFile(output)
        film = tmp_path / "film.mp4"
        report = work.splice(made, lambda parts, starts: write_film(parts, film, starts=starts).to_report())
        return Made(film, report, work, list(clips))

    return make


@pytest.mark.parametrize("transition", FADES)
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_frames_outside_the_windows_are_the_clips_own_and_every_frame_is_there_once(
    make_clip: MakeClip, make_film: MakeFilm, structure: str, transition: Transition
) -> None:
    clips = [make_clip(number, frames=60 - 3 * number, video=structure) for number in range(3)]

    made = make_film(*clips, transition=transition, transition_ms=300)

    packets, shown = video_packets(made.film), barcodes(made.film)
    assert made.stretches
    for part in made.stretches:
        end = part.first_frame + part.frame_count
        assert packets[part.film_frame :][: part.frame_count] == video_packets(clips[part.clip])[part.first_frame : end]
    fade, starts = made.work.film.fade, made.work.film.starts
    for number, count in enumerate(made.work.film.shown):
        first = fade.in_frames if number else 0
        end = count - fade.out_frames if number < 2 else count
        assert shown[starts[number] + first : starts[number] + end] == [(number, n) for n in range(first, end)]
    assert len(shown) == made.report.frame_count == starts[-1]
    assert starts[-1] == 171 - (14 if transition is Transition.CROSSFADE else 0)


@pytest.mark.parametrize("transition", FADES)
def test_the_joins_stand_in_the_middle_of_the_fades(
    make_clip: MakeClip, make_film: MakeFilm, transition: Transition
) -> None:
    made = make_film(*(make_clip(n, frames=48) for n in range(3)), transition=transition, transition_ms=500)

    at = [join.at_ms for join in made.report.joins]
    assert at == ([1750, 3250] if transition is Transition.CROSSFADE else [2000, 4000])
    assert [join.clip_index for join in made.report.joins] == [1, 2]
    assert all(abs(join.skew_us or 0) <= 10_700 for join in made.report.joins)


def test_a_fade_through_black_is_black_in_its_middle_and_a_crossfade_holds_both(
    make_clip: MakeClip, make_film: MakeFilm
) -> None:
    clips = [make_clip(number, frames=48, video="-g 24") for number in range(2)]

    black = decode(make_film(*clips, transition="fadeBlack", transition_ms=500).film)
    assert float(np.mean(black[48][:96])) < 20
    assert float(np.mean(black[47][:96])) < 40
    assert float(np.mean(black[41][:96])) > 80

    crossed = decode(make_film(*clips, transition="crossfade", transition_ms=500).film)
    green, red = decode(clips[0])[42], decode(clips[1])[6]
    middle = (green.astype(float) + red) / 2
    assert float(np.mean(np.abs(crossed[42] - middle))) < 6


def test_a_fade_is_as_good_as_in_a_film_that_is_encoded_whole(
    make_film: MakeFilm, ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    clips = []
    for number, source in enumerate(("testsrc2=size=320x180:rate=24", "mandelbrot=size=320x180:rate=24")):
        clips.append(tmp_path / f"natural{number}.mp4")
        coded = ["-frames:v", "72", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "48", "-bf", "2", "-crf", "16"]
        run(str(ffmpeg.program), "-f", "lavfi", "-i", source, *coded, str(clips[-1]))
    made = make_film(*clips, transition="crossfade", transition_ms=500)
    (window,) = made.windows
    target = made.work.target
    whole, log = tmp_path / "whole.mp4", tmp_path / "ssim.log"
    inputs = ["-i", str(clips[0]), "-i", str(clips[1])]
    graph = exact_crossfade("0:v", "1:v", 60, 12) + ",settb=1/24,setpts=N,fps=24,format=yuv420p"
    coded = VIDEO_ENCODERS["libx264"](target.picture, target.quality)
    run(str(ffmpeg.program), *inputs, "-filter_complex", graph, *coded, str(whole))

    run(
        str(ffmpeg.program),
        *("-i", str(made.film), "-i", str(whole), "-lavfi", f"ssim=stats_file={log}", "-f", "null", "-"),
    )

    found = [float(line.split("All:")[1].split()[0]) for line in log.read_text().splitlines()]
    assert len(found) == 132
    rendered = found[window.film_frame : window.film_frame + window.frame_count]
    assert min(rendered) >= 0.98
    assert min(found) >= 0.97


def test_windows_have_parameter_sets_of_their_own_in_the_one_sample_entry_of_the_film(
    make_clip: MakeClip, make_film: MakeFilm
) -> None:
    clips = [make_clip(number, frames=36, video="-g 12 -x264-params sps-id=1") for number in range(3)]

    made = make_film(*clips, transition="crossfade", transition_ms=200)

    entry = ClipFile(made.film).movie.video.entry
    assert isinstance(entry, VideoEntry)
    config = parse_avc_config(entry.children[b"avcC"])
    assert used_ids(config) == {0, 1}
    assert len(config.sequence_sets) == len(config.picture_sets) == 2


def loudness(samples: np.ndarray, start: int, end: int, length: int) -> np.ndarray:
    """Give the loudness of overlapping stretches of so many samples, whole waves, between two samples."""
    return np.array(
        [
            math.sqrt(float(np.mean(samples[0, at : at + length] ** 2)))
            for at in range(start, end - length, length // 10)
        ]
    )


def bend(samples: np.ndarray) -> float:
    """Give the sharpest bend: a click bends sharper than any tone."""
    inner = samples[0, 4800:-4800]
    return float(np.max(np.abs(np.diff(inner, 2))))


@pytest.mark.parametrize(("rate", "sampled"), [("24", "48000 2"), ("30000/1001", "48000 2"), ("25", "44100 1")])
def test_a_tone_goes_on_through_copied_and_rendered_parts_without_a_dip_or_a_click(
    make_clip: MakeClip, make_film: MakeFilm, rate: str, sampled: str
) -> None:
    structure = "-g 24 -keyint_min 24 -sc_threshold 0 -bf 2"
    clips = [make_clip(2, frames=count, rate=rate, video=structure, sound=sampled) for count in (61, 74, 67)]

    made = make_film(*clips, transition="crossfade", transition_ms=400)

    rate_hz, heard = sound(made.film)
    _, before = sound(clips[0])
    assert made.report.sound == "smart"
    assert bend(heard) < 1.5 * bend(before)
    # Inside the fades the same tone meets itself at another phase; the seams lie outside.
    film = made.work.film
    fading = [(start * film.interval, (start + film.fade.in_frames) * film.interval) for start in film.starts[1:-1]]
    plain = pairwise([0.1, *(float(at) for fade in fading for at in fade), heard.shape[1] / rate_hz - 0.1])
    found = [
        loudness(heard, round((a + 0.02) * rate_hz), round((b - 0.02) * rate_hz), 10 * rate_hz // 600)
        for number, (a, b) in enumerate(plain)
        if number % 2 == 0
    ]
    loud = np.concatenate(found)
    own = loudness(before, rate_hz // 10, before.shape[1] - rate_hz // 10, 10 * rate_hz // 600)
    # Encoders waver a little, at low bitrates more.
    assert loud.max() / loud.min() < 1.02 * own.max() / own.min()


def beeping(ffmpeg: FFmpeg, path: Path, frames: int, beeps: list[float], video: str) -> Path:
    """Make a clip that beeps for 20 ms at some times."""
    on = "+".join(f"between(t,{at},{at + 0.02})" for at in beeps)
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=160x96:rate=24"]
    inputs += ["-f", "lavfi", "-i", f"aevalsrc='0.5*sin(2*PI*1000*t)*({on})':s=48000:d={frames / 24}"]
    coded = ["-frames:v", str(frames), "-pix_fmt", "yuv420p", "-c:v", "libx264", *video.split()]
    run(str(ffmpeg.program), *inputs, *coded, "-c:a", "aac", "-ac", "2", str(path))
    return path


def onsets(samples: np.ndarray) -> list[int]:
    loud = np.flatnonzero(np.abs(samples[0]) > 0.2)
    return [int(loud[0]), *(int(b) for a, b in pairwise(loud) if b - a > 4800)]


def test_sound_is_where_its_picture_is_in_copied_parts_and_to_the_same_sample_in_rendered_ones(
    make_film: MakeFilm, ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    structure = "-g 48 -keyint_min 48 -sc_threshold 0 -bf 2"
    # In each clip: inside the window before the copied frames, inside them, and inside the window behind them.
    beeps = [0.7, 1.5, 2.8, 3.9]
    clips = [beeping(ffmpeg, tmp_path / f"b{n}.mp4", 109 + n, beeps, structure) for n in range(3)]

    made = make_film(*clips, transition="crossfade", transition_ms=500)

    rate_hz, heard = sound(made.film)
    found = onsets(heard)
    starts = [start / 24 for start in made.work.film.starts[:3]]
    originals = [onsets(sound(clip)[1]) for clip in clips]
    expected = [start * rate_hz + at for start, own in zip(starts, originals, strict=True) for at in own]
    late = [at - wanted for at, wanted in zip(found, expected, strict=True)]
    assert max(map(abs, late)) <= 0.0108 * rate_hz
    for clip in range(3):
        of_clip = late[4 * clip : 4 * clip + 4]
        assert max(of_clip) - min(of_clip) <= 3
        assert abs(of_clip[0] - float(made.work.film.skew_of(clip)) * rate_hz) <= 3


def test_a_short_clip_between_two_fades_is_shown_once(make_clip: MakeClip, make_film: MakeFilm) -> None:
    clips = [make_clip(0, frames=48), make_clip(1, frames=24), make_clip(2, frames=48)]

    made = make_film(*clips, transition="crossfade", transition_ms=500)

    assert made.report.frame_count == 96
    assert [part.clip for part in made.stretches] == [0, 2]
    shown = barcodes(made.film)
    assert shown[:36] == [(0, n) for n in range(36)]
    assert shown[60:] == [(2, n) for n in range(12, 48)]


@pytest.mark.parametrize("transition", FADES)
def test_clips_without_sound_fade_too(make_clip: MakeClip, make_film: MakeFilm, transition: Transition) -> None:
    made = make_film(*(make_clip(n, frames=36, sound=None) for n in range(2)), transition=transition, transition_ms=200)

    assert made.report.sound == "none"
    assert made.report.frame_count == (67 if transition is Transition.CROSSFADE else 72)
    assert video_packets(made.film)[:24] == video_packets(made.clips[0])[:24]


def test_a_clip_of_which_only_the_beginning_is_shown_fades_there_to_the_frame(
    make_clip: MakeClip, make_film: MakeFilm
) -> None:
    clips = [make_clip(number, frames=72, video="-g 24 -bf 3") for number in range(2)]

    made = make_film(*clips, keep_ms={0: 2125}, transition="fadeBlack", transition_ms=250)

    assert made.work.film.shown == [51, 72]
    shown = barcodes(made.film)
    assert shown[:48] == [(0, n) for n in range(48)]
    assert shown[54:] == [(1, n) for n in range(3, 72)]
    assert made.report.joins[0].at_ms == 2125


def test_a_fade_longer_than_half_a_clip_is_refused_with_the_clip(make_clip: MakeClip, make_film: MakeFilm) -> None:
    clips = [make_clip(0, frames=48), make_clip(1, frames=24), make_clip(2, frames=48)]

    with pytest.raises(ClipFailed) as refused:
        make_film(*clips, transition="crossfade", transition_ms=600)

    assert refused.value.segment_index == 10
    assert refused.value.error.code == "fade_too_long"
    assert "1000 ms of it are shown, and a fade of 600 ms is longer than half of that" in refused.value.error.message


def stored_luma(path: Path) -> list[float]:
    """Give the mean luma of every frame as it is stored, whatever it means."""
    with av.open(str(path)) as opened:
        return [float(np.frombuffer(bytes(frame.planes[0]), np.uint8).mean()) for frame in opened.decode(video=0)]


def test_colours_of_full_range_are_the_same_in_copied_and_rendered_frames(
    make_clip: MakeClip, make_film: MakeFilm
) -> None:
    video = "-g 24 -pix_fmt yuvj420p -color_range pc -colorspace bt709 -color_primaries bt709 -color_trc bt709"
    clips = [make_clip(number, frames=48, video=video) for number in range(2)]

    made = make_film(*clips, transition="crossfade", transition_ms=300)

    (window,) = made.windows
    own, film = stored_luma(clips[1]), stored_luma(made.film)
    assert window.into.end_frame > 20
    assert abs(own[20] - film[made.work.film.starts[1] + 20]) < 1.5
    assert abs(own[30] - film[made.work.film.starts[1] + 30]) == 0
    with av.open(str(made.film)) as opened:
        assert {frame.color_range for frame in opened.decode(video=0)} == {ColorRange.JPEG}


def test_the_ffmpeg_of_this_system_renders_the_same_frames(
    make_clip: MakeClip, make_film: MakeFilm, system_ffmpeg: FFmpeg
) -> None:
    clips = [make_clip(number, frames=48) for number in range(2)]

    made = make_film(*clips, program=system_ffmpeg, transition="crossfade", transition_ms=300)

    shown = barcodes(made.film)
    assert shown[:41] == [(0, n) for n in range(41)]
    assert shown[48:] == [(1, n) for n in range(7, 48)]
    assert made.report.sound == "smart"
