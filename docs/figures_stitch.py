"""Writes what `benchmarks.stitch` measured as Markdown: a table for each case, and what is met of what was set out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.stitch_contenders import LONGREEL
from benchmarks.stitch_results import Part, Row, loads, middle, peak_mib, ratio

#: Case → what the README says of it, and what its last column is.
CASES: Mapping[str, tuple[str, str]] = {
    "conforming": ("**Clips that conform** are joined without encoding", "dip ms"),
    "odd": ("**One clip in ten is odd**, by size, by rate and sound, or by codec", "SSIM"),
    "different": ("**Every clip has another size, rate and sound**", "SSIM"),
    "crossfades": ("**A crossfade of 0.5 s at every join**", "SSIM"),
}
_NOT_THERE = "–"


def stitch_figures(measured: Mapping[str, Any]) -> str:
    """Give all tables and verdicts of a document of `benchmarks.stitch`."""
    parts: Mapping[str, Part] = measured["parts"]
    told = [name for name, part in parts.items() if any(row["runs"] for row in part["rows"].values())]
    machine = measured["machine"]
    blocks = [
        f"Whole processes, start-up included ({machine['cores']} cores, FFmpeg "
        f"{machine['ffmpeg'].split('-')[0].lstrip('n')}); in brackets how many times as much as `longreel stitch` "
        "takes, as the median of the ratios within each round. Who encodes does it with our own preset and quality, "
        "unless it says otherwise. Every film is decoded from end to end: each frame carries its number, each clip has "
        "a flash and a beep."
    ]
    for case, (title, last) in CASES.items():
        chosen = [parts[name] for name in told if parts[name]["case"] == case]
        blocks.append(_case(title, last, chosen) if chosen else f"{title}: not measured yet.")
    verdicts = [_verdict(each) for each in measured["verdicts"]]
    met = sum(each["is_met"] for each in measured["verdicts"])
    blocks.append(f"Of the targets that were set, {met} of {len(verdicts)} are met:\n\n" + "\n".join(verdicts))
    return "\n\n".join(blocks) + "\n"


def _case(title: str, last: str, parts: Sequence[Part]) -> str:
    head = [""]
    for part in parts:
        head += [f"{_shape(part)}: CPU s", "wall s", "peak MiB", "wrong frames", last]
    names = {key: row["name"] for part in parts for key, row in part["rows"].items()}
    rows = [[_name(key, name), *_cells(key, last, parts)] for key, name in names.items()]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return f"{title} ({'; '.join(map(_how, parts))}):\n\n" + "\n".join(lines)


def _shape(part: Part) -> str:
    corpus = part["corpus"]
    return f"{corpus['clip_count']}×{corpus['clip_seconds']} s {corpus['name'].rpartition('-')[2]}"


def _how(part: Part) -> str:
    """Say how often was measured, and how busy the machine was with other things."""
    runs = sorted({len(row["runs"]) for row in part["rows"].values() if row["runs"]})
    rounds = f"{runs[0]} to {runs[-1]} rounds" if len(runs) > 1 else f"{runs[0]} round{'s' if runs[0] > 1 else ''}"
    low, high = loads(part)
    return f"{_shape(part)}: {part['corpus']['size_bytes'] / 1e6:.0f} MB, {rounds}, load {low:.1f} to {high:.1f}"


def _name(key: str, name: str) -> str:
    return f"**{name}**" if key == LONGREEL or key.startswith("splice_") else name


def _cells(key: str, last: str, parts: Sequence[Part]) -> list[str]:
    return [cell for part in parts for cell in _row(part["rows"].get(key), part["rows"].get(LONGREEL), last)]


def _row(row: Row | None, ours: Row | None, last: str) -> list[str]:
    if row is None or not row["runs"]:
        why = "" if row is None else row["trouble"].partition(";")[0].partition(":")[0]
        return [why or "not run", *[_NOT_THERE] * 4]
    found = row.get("findings")
    if found is None:
        seen, heard = _NOT_THERE, _NOT_THERE
    else:
        seen = str(found["frames_wrong"])
        heard = f"{found['dip_ms']:.1f}" if last == "dip ms" else f"{(row['quality'] or {}).get('ssim', 0):.4f}"
    costs = [_cost(row, ours, "cpu_seconds"), _cost(row, ours, "wall_seconds"), f"{peak_mib(row):.0f}"]
    return [*costs, seen, heard]


def _cost(row: Row, ours: Row | None, what: str) -> str:
    times = None if row is ours else ratio(row, ours, what)
    if times is None:
        return f"{middle(row, what):.2f}"
    return f"{middle(row, what):.2f} ({times:.{0 if times >= 10 else 1 if times >= 1 else 2}f}×)"


def _verdict(verdict: Mapping[str, Any]) -> str:
    word = "met" if verdict["is_met"] else "**NOT MET**"
    return f"- {word}: {verdict['part']}: {verdict['target']}: {verdict['found']}"
