"""Thirty clips with a crossfade at every join: ours encodes only around joins, FFmpeg's xfade chain the whole film.

All are whole processes with the same FFmpeg; each takes its turn in every round, so that what else the machine does
meets all alike. What counts are the ratios. The chain runs with the encoder's own defaults, as people type it (x264's
`medium`), or with our preset and quality (`--like-ours`). Our film is decoded from end to end, and every frame outside
the fades must be the clips' own.

    python -m benchmarks.fades [--like-ours] [--rounds 1] [--clips 30] [--transition-ms 500] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from adapters.disk import DiskObjectStore
from benchmarks.stitch_checks import watch
from benchmarks.stitch_corpus import FPS, Corpus, clips_of
from benchmarks.stitch_measure import Cost, run
from events.clip import StitchReport
from events.plan import PlannedClip, StitchPlan, Transition
from media.probe import probe
from media.reader import FileReader
from media.target import QUALITIES
from media.transition import fade_frames


@dataclass(frozen=True, slots=True)
class Round:
    """What one round took."""

    ours: Cost
    chain: Cost
    #: Of ours: how many frames were encoded, of how many.
    encoded_frame_count: int
    frame_count: int
    #: How many frames outside the fades are not the clips' own.
    wrong_frames: int


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--transition-ms", type=int, default=500)
    parser.add_argument("--like-ours", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    corpus = clips_of(None, options.clips, 6, print)
    rounds = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="longreel-fades-") as folder:
            rounds.append(_round(corpus, options.transition_ms, Path(folder), options.like_ours))
        _tell(number, rounds[-1])
    ratios = {name: _ratio(rounds, name) for name in ("wall_seconds", "cpu_seconds", "peak_mib")}
    print("the chain takes so many times as much:", {name: round(value, 2) for name, value in ratios.items()})
    if options.json:
        document = {
            "clips": options.clips,
            "transitionMs": options.transition_ms,
            "chainLikeOurs": options.like_ours,
            "ratios": ratios,
        }
        written = json.dumps({**document, "rounds": [asdict(each) for each in rounds]}, indent=1, default=_plain)
        options.json.write_text(written + "\n")


def _plain(value: object) -> object:
    return value._asdict() if isinstance(value, Cost) else str(value)


def _tell(number: int, measured: Round) -> None:
    for name, cost in (("ours", measured.ours), ("xfade chain", measured.chain)):
        taken = f"{cost.wall_seconds:.1f} s wall, {cost.cpu_seconds:.1f} s CPU, {cost.peak_mib:.0f} MiB"
        print(f"round {number + 1}, {name}: {taken}", flush=True)
    frames = f"{measured.encoded_frame_count} of {measured.frame_count} frames encoded"
    print(f"round {number + 1}, ours: {frames}, {measured.wrong_frames} wrong", flush=True)


def _ratio(rounds: list[Round], name: str) -> float:
    return statistics.median(float(getattr(each.chain, name)) / float(getattr(each.ours, name)) for each in rounds)


def _round(corpus: Corpus, transition_ms: int, folder: Path, like_ours: bool) -> Round:
    film, report, ours = _ours(corpus, transition_ms, folder)
    chain = run(_chain(corpus, transition_ms, folder / "chain.mp4", like_ours), folder, folder / "chain.log")
    wrong = _wrong_frames(corpus, transition_ms, film)
    return Round(ours, chain, report.encoded_frame_count or 0, report.frame_count, wrong)


def _ours(corpus: Corpus, transition_ms: int, folder: Path) -> tuple[Path, StitchReport, Cost]:
    store = DiskObjectStore(folder / "objects")
    plan = _plan(corpus, transition_ms, store)
    paper = folder / "plan.json"
    paper.write_text(plan.to_json())
    command = [sys.executable, "-m", "gpu_job", "--plan", str(paper), "--work", str(folder / "work")]
    command += ["--objects", str(store.root), "--ffmpeg", imageio_ffmpeg.get_ffmpeg_exe()]
    cost = run(command, Path(__file__).parent.parent, folder / "ours.log")
    return store.path(plan.output_uri), StitchReport.from_json(store.read(plan.report_uri)), cost


def _plan(corpus: Corpus, transition_ms: int, store: DiskObjectStore) -> StitchPlan:
    clips = []
    for index, path in enumerate(corpus.paths):
        uri = f"gs://clips-a/{path.name}"
        info = store.write(uri, path.read_bytes())
        with FileReader(path) as reader:
            facts = probe(reader, path.name)
        clips.append(PlannedClip(uri=uri, generation=info.generation, facts=facts, segment_index=index))
    return StitchPlan(
        job_id="job_fades",
        attempt=1,
        clips=clips,
        transition=Transition.CROSSFADE,
        transition_ms=transition_ms,
        output_uri="gs://films-a/film.mp4",
        report_uri="gs://films-a/report.json",
    )


def _chain(corpus: Corpus, transition_ms: int, film: Path, like_ours: bool) -> list[str]:
    """Give the usual way: every clip an input, xfade and acrossfade from each to the next, all encoded."""
    fade, quality = transition_ms / 1000, QUALITIES[StitchPlan.model_fields["compression"].default]
    inputs = [word for path in corpus.paths for word in ("-i", str(path))]
    graph, picture, sound = [], "0:v", "0:a"
    for number in range(1, len(corpus.paths)):
        offset = number * (corpus.clip_seconds - fade)
        graph.append(f"[{picture}][{number}:v]xfade=transition=fade:duration={fade}:offset={offset}[v{number}]")
        graph.append(f"[{sound}][{number}:a]acrossfade=d={fade}[a{number}]")
        picture, sound = f"v{number}", f"a{number}"
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    if like_ours:
        coded += ["-preset", quality.preset, "-crf", str(quality.crf)]
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    mapped = ["-map", f"[{picture}]", "-map", f"[{sound}]"]
    return [*program, *inputs, "-filter_complex", ";".join(graph), *mapped, *coded, str(film)]


def _wrong_frames(corpus: Corpus, transition_ms: int, film: Path) -> int:
    count, fade = corpus.clip_frame_count, fade_frames(transition_ms, Fraction(FPS))
    last = len(corpus.paths) - 1
    expected: dict[int, tuple[int, int]] = {}
    for clip in range(len(corpus.paths)):
        first, end = fade if clip else 0, count - fade if clip < last else count
        expected |= {clip * (count - fade) + frame: (clip, frame) for frame in range(first, end)}
    seen = [frame.identity for frame in watch(film).frames]
    missing = abs(len(seen) - (len(corpus.paths) * count - last * fade))
    return missing + sum(seen[at] != wanted for at, wanted in expected.items() if at < len(seen))


if __name__ == "__main__":
    main()
