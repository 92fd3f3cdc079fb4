"""Joins clips with Longreel and with what people use instead, in turns, and looks at every film.

    python -m benchmarks.stitch --json benchmarks/results/stitch.json [--only-missing]

Four cases: clips that conform; one in ten that is odd; all different; a crossfade of 0.5 s at every join. Each with 30
clips of 6 s in 720p and with 12 clips of 8 s in 1080p. Each contender is a whole process, its start-up in, and starts
with an empty folder. They take turns in each round, so that what else the machine does meets all alike; ratios are
medians of the ratios within the rounds. Those that encode run in fewer rounds, and at our own preset and quality.
Every film is decoded from end to end, or is byte for byte one that was; the worst of each contender is shown. Ours
sync the film to the disk and read it back before they end, which the others do not: mind that in the wall time.

MoviePy wants `make bench` or a venv of its own, and MLT `apt-get install --no-install-recommends melt`; what is not
here is left out, and said; what takes longest and tells least runs with the clips of 720p only. A whole run takes about
40 quiet minutes on two cores, and the making of clips, once, 5 more; what was measured is kept after every run, and
`--only-missing` goes on where a run was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.stitch_checks import Findings, Timeline, beep_after_flash, check
from benchmarks.stitch_compose import composed
from benchmarks.stitch_contenders import LONGREEL, Contender, Order, contenders
from benchmarks.stitch_copied import copied
from benchmarks.stitch_corpus import LOOKS, QUICK_SHAPES, SHAPES, Corpus, corpus_of
from benchmarks.stitch_measure import CommandFailed, run
from benchmarks.stitch_quality import Quality, quality_of
from benchmarks.stitch_results import Results, Row, add_found, add_run, has_run, row_of
from benchmarks.stitch_table import heading, machine, machine_line, table
from benchmarks.stitch_verdicts import verdict_lines, verdicts
from benchmarks.stitch_watch import watch
from events.plan import StitchPlan
from media.target import QUALITIES

#: As people ask for it, and as long as the quick clips can bear it.
FADE = Fraction(1, 2)
#: One picture of so many is compared with the clip.
_COMPARE_EVERY = 24
#: How many clips the composed films have: a few, those that there are, and many more.
_COMPOSED = (2, 30, 120)
_COMPOSED_QUICK = (2, 5)


class Bench:
    """One case with one set of clips."""

    def __init__(
        self, case: str, corpus: Corpus, results: Results, keys: frozenset[str], films: Path | None = None
    ) -> None:
        self.corpus = corpus
        self._films = films / f"{case}-{corpus.shape.name}" if films else None
        self._results = results
        self.part = results.part(case, corpus)
        chosen = [each for each in contenders(case) if each.key in keys or not (keys or self._is_left_out(each))]
        self._rows = {each.key: (each, row_of(self.part, each)) for each in chosen}
        self._timeline = Timeline(corpus, FADE if case == "crossfades" else Fraction(0))
        self._quality = QUALITIES[StitchPlan.model_fields["compression"].default]
        self._alone: list[Fraction] = []
        self._found: dict[bytes, tuple[Findings, Quality | None]] = {}

    @property
    def is_well(self) -> bool:
        """Whether everything that is here ran, and our films are right."""
        rows = [row for contender, row in self._rows.values() if not contender.missing]
        ours = [row["findings"] for row in rows if row["is_ours"] and "findings" in row]
        failed = any(row["trouble"] for row in rows)
        return not failed and all(not found["frames_wrong"] and found["skew_ms"] is not None for found in ours)

    def _is_left_out(self, contender: Contender) -> bool:
        return contender.is_tedious and not self.corpus.shape.with_tedious

    def run(self, rounds: int, rounds_slow: int) -> None:
        """Run what has not run yet."""
        wanted = [self._due(number, slow=number < rounds_slow) for number in range(rounds)]
        if not any(wanted):
            return
        self._check_clips()
        for contender, row in self._due(-1, slow=False):
            self._try(contender, row, -1)
        for number, due in enumerate(wanted):
            # Each round begins with another one: what comes first or last is nobody's fixed place.
            turn = number % max(1, len(due))
            for contender, row in due[turn:] + due[:turn]:
                if not row["trouble"]:
                    self._try(contender, row, number)

    def compose(self, clip_counts: tuple[int, ...]) -> None:
        """Count what composing moves, if that has not been done."""
        if "compose" not in self.part:
            say(f"composing films of {', '.join(map(str, clip_counts))} clips")
            self.part["compose"] = composed(self.corpus, clip_counts)
            keep(self._results)

    def _due(self, number: int, *, slow: bool) -> list[tuple[Contender, Row]]:
        return [
            (contender, row)
            for contender, row in self._rows.values()
            if not contender.missing and (slow or not contender.is_slow) and not has_run(row, number)
        ]

    def _check_clips(self) -> None:
        """Measure each clip by itself: what a film of them is compared with."""
        say("checking the clips")
        for clip, path in enumerate(self.corpus.paths):
            seen = watch(path)
            apart = beep_after_flash(seen, clip)
            expected = [(clip, frame) for frame in range(self.corpus.frame_count(clip))]
            if apart is None or [frame.identity for frame in seen.frames] != expected:
                raise RuntimeError(f"read {path}: this is not the clip that was made; remove it and try again")
            self._alone.append(apart)

    def _try(self, contender: Contender, row: Row, number: int) -> None:
        """Run a contender once; a round below 0 only warms up, nothing is kept of it."""
        say(f"{'warm-up' if number < 0 else f'round {number + 1}'}: {contender.name}")
        try:
            self._run(contender, row, number)
        except CommandFailed as failed:
            row["trouble"] = f"failed: {failed}"
            say(row["trouble"])
        keep(self._results)

    def _run(self, contender: Contender, row: Row, number: int) -> None:
        # Beside the clips, so that the same file system holds both.
        with tempfile.TemporaryDirectory(dir=self.corpus.paths[0].parent, prefix="run-") as name:
            folder = Path(name)
            order = Order(self.corpus, folder, folder / "film.mp4", self._quality, self._timeline.fade)
            load = os.getloadavg()[0]
            cost = run(contender.command(order), folder, folder / "log.txt")
            if number < 0:
                return
            add_run(row, number, cost, load)
            if not contender.is_floor:
                self._look(contender, row, order.film)

    def _look(self, contender: Contender, row: Row, film: Path) -> None:
        with film.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
        if digest not in self._found:
            seen = watch(film, keep_every=_COMPARE_EVERY if contender.is_slow else 0)
            alone = {(c, n): luma for (c, n), luma in seen.kept.items() if self._timeline.is_shown_alone(c, n)}
            self._found[digest] = check(seen, self._timeline, self._alone), quality_of(alone, self.corpus)
        found, quality = self._found[digest]
        add_found(row, found)
        row["film_bytes"] = film.stat().st_size
        if self._films:
            self._films.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film, self._films / f"{contender.key}.mp4")
        row["quality"] = asdict(quality) if quality else None
        if contender.key == LONGREEL and self._timeline.fade:
            row["copied"] = asdict(copied(film, self._timeline))


def main() -> int:
    """Run the benchmark; the exit code is 1 if a contender failed or a film of ours is wrong."""
    options = _options()
    results = Results(options.json, {"quick": options.quick, "machine": machine()}, go_on=options.only_missing)
    shapes = QUICK_SHAPES if options.quick else [s for s in SHAPES if s.name in options.corpora]
    keys, is_well = frozenset(options.contenders), True
    for case in options.cases:
        for shape in shapes:
            say(f"{case}, {shape.name}")
            bench = Bench(case, corpus_of(case, shape, options.clips, say), results, keys, options.films)
            bench.run(options.rounds or (2 if options.quick else 5), options.rounds_slow)
            if case == "conforming":
                bench.compose(_COMPOSED_QUICK if options.quick else _COMPOSED)
            is_well = is_well and bench.is_well
    keep(results)
    _show(results.document)
    return int(not is_well)


def keep(results: Results) -> None:
    """Judge and write down what there is by now."""
    if not results.document["quick"]:
        results.document["verdicts"] = [asdict(verdict) for verdict in verdicts(results.parts)]
    results.save()


def _show(document: dict[str, Any]) -> None:
    print(machine_line(document["machine"]), end="\n\n")
    for name, part in document["parts"].items():
        if any(row["runs"] for row in part["rows"].values()):
            print(f"{heading(name, part)}\n{table(part)}\n")
    if document["quick"]:
        print("What is to be reached is set for the full clips: a quick run times little but starting up.")
    print("\n".join(verdict_lines(document)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--cases", type=_listed(list(LOOKS)), default=list(LOOKS), help=f"of {', '.join(LOOKS)}")
    parser.add_argument("--corpora", type=_listed(names), default=names, help=f"of {', '.join(names)}")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=[], help="only these, by their keys")
    parser.add_argument("--quick", action="store_true", help="few short clips: does it run? its figures mean little")
    parser.add_argument("--rounds", type=_count, help="rounds of those that copy; else 5, with --quick 2")
    parser.add_argument("--rounds-slow", type=int, default=1, help="in how many of them the encoders run too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as well")
    parser.add_argument("--only-missing", action="store_true", help="keep what that file has, run only the rest")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="where the clips are kept for the next run")
    parser.add_argument("--films", type=Path, metavar="FOLDER", help="keep each contender's last film there")
    return parser.parse_args()


def _listed(known: list[str]) -> Any:
    def split(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: these are known: {', '.join(known)}")
        return chosen

    return split


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one round")
    return count


def say(text: str) -> None:
    """Tell whoever waits what is going on; standard output is for the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
