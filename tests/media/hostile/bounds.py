"""What one hostile file may cost, at most: the promise that the tests hold, each number with its reason.

CPU seconds are those of one core of a slow shared machine; memory is beyond what the process had before. An honest clip
costs hundredths of that.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.media.hostile.watch import Run


@dataclass(frozen=True)
class Bound:
    """The most that one kind of work may take."""

    cpu_s: float
    memory_mib: float
    written_mib: float

    def exceeded(self, run: Run) -> list[str]:
        """Say what a run took too much of."""
        pairs = {
            "CPU seconds": (run.cpu_s, self.cpu_s),
            "MiB of memory": (run.memory_mib, self.memory_mib),
            "MiB written": (run.written_mib, self.written_mib),
        }
        return [f"{taken} {what}, {most} are promised" for what, (taken, most) in pairs.items() if taken > most]


BOUNDS = {
    # In a function: beside others in half a gigabyte, and a page waits for it. A second and a hundred MiB are what an
    # index of 16 MiB takes.
    "probe": Bound(cpu_s=2, memory_mib=200, written_mib=0.1),
    # In a function too. Up to seventeen pictures of 16.8 million pixels are kept by a decoder.
    "last_frame": Bound(cpu_s=10, memory_mib=450, written_mib=0.1),
    # An index, and a few packets of sound at each join.
    "seam": Bound(cpu_s=2, memory_mib=200, written_mib=0.1),
    # A job of its own with gigabytes. Half a minute is what the longest of these films takes to encode honestly.
    # What is written is pieces, film, and the lines that FFmpeg and we say to each other.
    "film": Bound(cpu_s=30, memory_mib=1024, written_mib=128),
}

#: Of the largest index that is read at all: 64 MiB, of 3.9 million frames that are all timed for themselves.
LARGEST_INDEX = Bound(cpu_s=8, memory_mib=256, written_mib=0.1)

_COLUMNS = ("file", "work", "outcome", "CPU s", "MiB", "MiB written", "wall s", "what was said")


def table(rows: list[tuple[str, str, Run]]) -> str:
    """Give a Markdown table of (file, work, run)."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    for name, work, run in rows:
        said = "" if run.outcome == "ok" else run.said.replace("|", "/").replace("\n", " ")
        cells = (name, work, run.outcome, run.cpu_s, run.memory_mib, run.written_mib, run.wall_s, said[:160])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
