"""Joins the same clips with Longreel and with what people use instead, one after the other, and checks every film.

Each contender is a whole process, its start-up in, and starts with an empty folder. The quick ones take turns for
some rounds, so that what else the machine does meets all alike; "CPU x copy" is the median of the ratios within each
round. Every film is decoded from end to end, or is byte for byte one that was; the worst of each contender is shown.
Ours sync the film to the disk and read it back before they end, which the others do not: mind that in the wall time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from benchmarks.stitch_checks import Findings, beep_after_flash, check, watch
from benchmarks.stitch_contenders import COPY, contenders
from benchmarks.stitch_corpus import Corpus, clips_of, recipe_facts
from benchmarks.stitch_measure import CommandFailed, run
from benchmarks.stitch_table import Row, document, machine, machine_line, table, verdicts


class Bench:
    """One run of the benchmark: the clips, what was measured, and what was found in which bytes."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.rows = [
            Row(contender, trouble=f"not here; {contender.missing}" if contender.missing else "")
            for contender in contenders()
        ]
        self._alone: list[Fraction] = []
        self._found: dict[bytes, Findings] = {}

    @property
    def copy(self) -> Row:
        """The row that the others are compared with."""
        return next(row for row in self.rows if row.contender.key == COPY)

    @property
    def is_well(self) -> bool:
        """Whether everything that is here ran, and our films are right."""
        ours = [found for row in self.rows if row.contender.is_ours for found in row.findings]
        failed = any(row.trouble and not row.contender.missing for row in self.rows)
        return not failed and all(found.frames_wrong == 0 and found.skew_ms is not None for found in ours)

    def check_clips(self) -> None:
        """Measure each clip by itself: what a film of them is compared with.

        Raises:
            RuntimeError: a clip is not what it should be.
        """
        for clip, path in enumerate(self.corpus.paths):
            seen = watch(path)
            apart = beep_after_flash(seen, clip)
            expected = [(clip, frame) for frame in range(self.corpus.clip_frame_count)]
            if apart is None or [frame.identity for frame in seen.frames] != expected:
                raise RuntimeError(f"read {path}: this is not the clip that was made; remove its folder and try again")
            self._alone.append(apart)

    def round(self, number: int, *, slow: bool) -> None:
        """Let each contender run once; a number below 0 only warms up, nothing is kept of it."""
        rows = [row for row in self.rows if not row.trouble and (slow or not row.contender.is_slow)]
        # Each round begins with another one: what comes first or last is nobody's fixed place.
        turn = number % len(rows)
        for row in rows[turn:] + rows[:turn]:
            say(f"{'warm-up' if number < 0 else f'round {number + 1}'}: {row.contender.name}")
            try:
                self._run(row, number)
            except CommandFailed as failed:
                row.trouble = f"failed: {failed}"
                say(row.trouble)

    def _run(self, row: Row, number: int) -> None:
        # Beside the clips, so that the same file system holds both.
        with tempfile.TemporaryDirectory(dir=self.corpus.paths[0].parent, prefix="run-") as name:
            folder = Path(name)
            film = folder / "film.mp4"
            command = row.contender.command([str(path) for path in self.corpus.paths], folder, film)
            cost = run(command, folder, folder / "log.txt")
            if number < 0:
                return
            row.runs[number] = cost
            if not row.contender.is_floor:
                found = self._check(film)
                if found not in row.findings:
                    row.findings.append(found)

    def _check(self, film: Path) -> Findings:
        with film.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").digest()
        if digest not in self._found:
            self._found[digest] = check(watch(film), self.corpus, self._alone)
        return self._found[digest]


def main() -> int:
    """Run the benchmark; the exit code is 1 if a contender failed or a film of ours is wrong."""
    options = _options()
    clips, seconds = (8, 2) if options.quick else (30, 6)
    rounds = options.rounds or (2 if options.quick else 5)
    corpus = clips_of(options.corpus, clips, seconds, say)
    bench = Bench(corpus)
    say("checking the clips")
    bench.check_clips()
    bench.round(-1, slow=False)
    for number in range(rounds):
        bench.round(number, slow=number < options.rounds_slow)
    _show(bench, rounds, options.rounds_slow, quick=options.quick)
    if options.json:
        facts = recipe_facts(corpus) | {"rounds": rounds, "rounds_slow": options.rounds_slow}
        text = json.dumps(document(bench.rows, bench.copy, facts, options.quick), indent=2)
        options.json.write_text(text + "\n")
    return int(not bench.is_well)


def _show(bench: Bench, rounds: int, rounds_slow: int, *, quick: bool) -> None:
    corpus = bench.corpus
    print(
        f"{len(corpus.paths)} clips of {corpus.clip_seconds} s, {corpus.size_bytes / 1e6:.1f} MB; medians of {rounds} "
        f"rounds ({rounds_slow} of those that encode); peak, frames, skew, dip and click are the worst of all rounds"
    )
    print(machine_line(machine()), end="\n\n")
    print(table(bench.rows, bench.copy), end="\n\n")
    if quick:
        print("What is to be reached is set for the full clips: a quick run times little but starting up.")
        return
    for verdict in verdicts(bench.rows):
        print(f"{'met    ' if verdict.is_met else 'NOT MET'}  {verdict.target}: {verdict.found}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short clips: does it run? its figures mean little")
    parser.add_argument("--rounds", type=_count, help="rounds of those that copy; else 5, with --quick 2")
    parser.add_argument("--rounds-slow", type=int, default=1, help="in how many of them the encoders run too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as well")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="where the clips are kept for the next run")
    return parser.parse_args()


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
