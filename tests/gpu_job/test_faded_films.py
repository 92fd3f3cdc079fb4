"""Films with fades made by the whole stitch program: kept clips, odd ones, resumed ones."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from events.plan import Compression, Transition
from gpu_job.ffmpeg import FFmpeg
from gpu_job.tasks import ClipFailed
from media.transition import fade_frames, fade_of
from tests.gpu_job.bench import Bench, run
from tests.gpu_job.film_reading import barcodes, exact_crossfade, sound, video_packets

MakeClip = Callable[..., Path]


def run_of(clip: int, first: int, end: int) -> list[tuple[int, int]]:
    return [(clip, frame) for frame in range(first, end)]


def test_clips_that_conform_are_copied_up_to_their_fades(bench: Bench, make_clip: MakeClip) -> None:
    clips = [make_clip(number, frames=48) for number in range(3)]
    plan = bench.plan(*clips, transition=Transition.CROSSFADE, transition_ms=250, title="Three")

    report = bench.stitch(plan)

    assert report is not None
    assert report.frame_count == 132
    assert report.encoded_clips == []
    assert report.encoder == "libx264"
    assert report.encoded_frame_count is not None
    assert 24 <= report.encoded_frame_count <= 2 * 20
    assert [join.at_ms for join in report.joins] == [1875, 3625]
    shown = barcodes(bench.film)
    assert shown[:42] == run_of(0, 0, 42)
    assert shown[48:84] == run_of(1, 6, 42)
    assert shown[90:] == run_of(2, 6, 48)
    assert video_packets(bench.film)[:40] == video_packets(clips[0])[:40]
    assert bench.stitch(plan) == report


def test_an_odd_clip_is_made_to_fit_and_fades_like_the_others(bench: Bench, make_clip: MakeClip) -> None:
    clips = [
        make_clip(0, frames=48),
        make_clip(1, frames=60, rate="30", size="200x96"),
        make_clip(2, frames=48, sound=None),
        make_clip(3, frames=48),
    ]

    report = bench.stitch(bench.plan(*clips, transition=Transition.FADE_BLACK, transition_ms=250))

    assert report is not None
    assert report.frame_count == 192
    assert report.encoded_clips == [1]
    shown = barcodes(bench.film)
    assert shown[:45] == run_of(0, 0, 45)
    assert {code.clip for code in shown[51:93]} == {1}
    assert shown[99:141] == run_of(2, 3, 45)
    assert shown[147:] == run_of(3, 3, 48)
    rate_hz, samples = sound(bench.film)
    assert abs(samples.shape[1] / rate_hz - 8) < 0.05


def test_a_film_that_is_encoded_whole_has_its_fades_too(bench: Bench, make_clip: MakeClip) -> None:
    clips = [make_clip(0, frames=48), make_clip(1, frames=48)]
    wishes = {"transition": Transition.CROSSFADE, "compression": Compression.SMALL}

    report = bench.stitch(bench.plan(*clips, **wishes))

    assert report is not None
    assert report.encoded_clips == [0, 1]
    assert report.frame_count == 84
    assert barcodes(bench.film)[:36] == run_of(0, 0, 36)


def test_the_chapters_begin_in_the_middle_of_the_fades(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(*(make_clip(number, frames=48) for number in range(3)), transition=Transition.CROSSFADE)

    bench.stitch(plan)

    with av.open(str(bench.film)) as film:
        starts = [float(chapter["start"] * chapter["time_base"]) for chapter in film.chapters()]
    assert starts == pytest.approx([0, 1.75, 3.25], abs=0.001)


def test_a_film_of_one_clip_has_no_fade(bench: Bench, make_clip: MakeClip) -> None:
    report = bench.stitch(bench.plan(make_clip(0), transition=Transition.CROSSFADE, transition_ms=2000))

    assert report is not None
    assert report.frame_count == 24
    assert bench.program_calls == 0


def test_a_clip_too_short_for_its_fade_is_named(bench: Bench, make_clip: MakeClip) -> None:
    plan = bench.plan(make_clip(0, frames=48), make_clip(1, frames=24), transition="crossfade", transition_ms=1000)

    with pytest.raises(ClipFailed, match="longer than half") as refused:
        bench.stitch(plan)

    assert refused.value.segment_index == 10


#: Pictures as nature has them: fine texture that moves, noise, slow gradients, darkness, a swarm.
SCENES = {
    "texture": "mandelbrot=size=320x180:rate={rate}",
    "noise": "testsrc2=size=320x180:rate={rate},noise=alls=14:allf=t",
    "gradients": "gradients=size=320x180:rate={rate}:speed=0.03:seed=3",
    "darkness": "mandelbrot=size=320x180:rate={rate}:start_scale=1,eq=brightness=-0.35:contrast=0.35,"
    "noise=alls=4:allf=t",
    "a swarm": "life=size=160x90:rate={rate}:mold=10:ratio=0.2:death_color=#203040:life_color=#d0c090:seed=5,"
    "scale=320x180",
}


@pytest.mark.parametrize(
    ("scenes", "rate", "transition", "duration_ms"),
    [
        (("texture", "noise"), "24", Transition.CROSSFADE, 500),
        (("noise", "a swarm"), "25", Transition.FADE_BLACK, 500),
        (("gradients", "darkness"), "30000/1001", Transition.CROSSFADE, 100),
        (("a swarm", "gradients"), "30", Transition.CROSSFADE, 2000),
        (("darkness", "texture"), "60", Transition.FADE_BLACK, 100),
        (("noise", "darkness"), "24", Transition.FADE_BLACK, 2000),
        (("texture", "texture"), "25", Transition.CUT, 500),
    ],
)
def test_every_frame_of_a_film_is_as_good_as_in_one_that_is_encoded_whole(
    bench: Bench,
    ffmpeg: FFmpeg,
    tmp_path: Path,
    scenes: tuple[str, str],
    rate: str,
    transition: Transition,
    duration_ms: int,
) -> None:
    """The measure is encoded without loss, since at the film's own quality noise is worse in it than in the film."""
    frames = fade_frames(duration_ms, Fraction(rate))
    count = max(round(2 * Fraction(rate)), 2 * frames + 8)
    clips = [tmp_path / f"scene{n}.mp4" for n in range(2)]
    for scene, clip in zip(scenes, clips, strict=True):
        coded = [
            "-frames:v",
            str(count),
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-g",
            "48",
            "-bf",
            "2",
            "-crf",
            "16",
        ]
        run(
            str(ffmpeg.program),
            "-f",
            "lavfi",
            "-i",
            SCENES[scene].format(rate=rate),
            *coded,
            "-threads",
            "1",
            str(clip),
        )

    report = bench.stitch(bench.plan(*clips, transition=transition, transition_ms=duration_ms))

    found = likeness(ffmpeg, bench.film, clips, whole(rate, transition, frames, count), tmp_path)
    assert report is not None
    assert report.frame_count == len(found)
    assert report.encoded_clips == []
    assert min(found) >= 0.98
    assert sum(found) / len(found) >= 0.985


def whole(rate: str, transition: Transition, frames: int, count: int) -> str:
    """Give the graph that makes the whole film of both clips."""
    if transition is Transition.CROSSFADE:
        return exact_crossfade("1:v", "2:v", count - frames, frames)
    if transition is Transition.CUT:
        return "[1:v][2:v]concat=n=2"
    fade = fade_of(transition, frames)
    out = f"[1:v]fade=type=out:start_frame={count - fade.out_frames}:nb_frames={fade.out_frames}[out]"
    return f"{out};[2:v]fade=type=in:start_frame=0:nb_frames={fade.in_frames}[into];[out][into]concat=n=2"


def likeness(ffmpeg: FFmpeg, film: Path, clips: list[Path], graph: str, folder: Path) -> list[float]:
    """Give the SSIM of each frame of a film to that of a graph over its clips."""
    log = folder / "ssim.log"
    counted = "settb=1/1000,setpts=N"
    compared = f"{graph},format=yuv420p,{counted}[whole];[0:v]{counted}[film];[film][whole]ssim=stats_file={log}[out]"
    inputs = [arg for path in (film, *clips) for arg in ("-i", str(path))]
    run(str(ffmpeg.program), *inputs, "-filter_complex", compared, "-map", "[out]", "-fps_mode", "passthrough",
        "-c:v", "rawvideo", "-f", "null", "-")  # fmt: skip
    return [float(line.split("All:")[1].split()[0]) for line in log.read_text().splitlines()]
