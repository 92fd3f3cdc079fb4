"""Says of what `benchmarks.stitch` measured which of the targets that were set for the stitch are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from benchmarks.stitch_contenders import CAT, FULL, LONGREEL
from benchmarks.stitch_results import Part, peak_mib, ratio

#: CPU of the splice: times `cat` with grid audio, times ffmpeg's copy with smart audio; and of the whole program.
GRID_TIMES_CAT, SMART_TIMES_COPY, PROGRAM_TIMES_COPY = 6, 1.2, 1.5
#: Where sound counts as whole at a join: the tone is below half of its level for less than this, which nobody hears as
#: a gap (Plomp, 1964: 2 to 3 ms), and no step is this much steeper than the tone's own.
DIP_MS_BELOW, CLICK_DB_BELOW = 2, 6
#: Half an AAC packet at 48 kHz, beyond which nothing may drift.
SKEW_MS_AT_MOST = 10.7
#: Memory of a film that is copied, in 1,000,000 bytes, and of one with crossfades, in MiB.
COPY_MB_AT_MOST, FADES_MIB_AT_MOST = 100, 500
MOVED_PERCENT_AT_MOST = 1
#: One-tenth odd, as a share of the full encode.
ODD_AT_MOST = 1 / 6
#: By how much the xfade chain must be dearer.
CHAIN_TIMES_AT_LEAST = 2.5
#: How much lower the structural similarity of ours may be than a peer's and still count as the same quality.
SSIM_WITHIN = 0.005
#: What else makes a film of clips that differ.
PEERS = ("ffmpeg_filter", "moviepy", "melt")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something that was set out to be reached is."""

    part: str
    target: str
    is_met: bool
    found: str


_Found = Iterator[tuple[str, bool, str]]


def verdicts(parts: Mapping[str, Part]) -> list[Verdict]:
    """Judge what has run; where either side of a comparison has not, there is no verdict."""
    judges: dict[str, Callable[[Part], _Found]] = {
        "conforming": _conforming,
        "odd": _odd,
        "different": _different,
        "crossfades": _crossfades,
    }
    found = []
    for name, part in parts.items():
        found += [Verdict(name, *judged) for judged in judges[part["case"]](part)]
        found += [Verdict(name, *judged) for judged in _right(part)]
    return found


def _right(part: Part) -> _Found:
    ours = [row for row in part["rows"].values() if row["is_ours"] and row.get("findings")]
    if ours:
        wrong = sum(row["findings"]["frames_wrong"] for row in ours)
        yield "ours: every frame once, in order, on time", wrong == 0, f"{wrong} wrong"
        skews = [row["findings"]["skew_ms"] for row in ours]
        largest = max(inf if skew is None else skew for skew in skews)
        # Frames of another rate are shown up to a frame of the film later than in the clip, the flash too.
        most = SKEW_MS_AT_MOST if part["case"] in ("conforming", "crossfades") else 42
        target = f"ours: sound within {most:g} ms of the picture in every clip"
        yield target, largest <= most, f"{largest:.1f} ms"


def _conforming(part: Part) -> _Found:
    rows = part["rows"]
    if (times := ratio(rows.get("splice_grid"), rows.get(CAT), "cpu_seconds")) is not None:
        yield _at_most("the splice, grid audio: {} cat's CPU", GRID_TIMES_CAT, times)
    for key, most, name in (
        ("splice_smart", SMART_TIMES_COPY, "the splice, smart audio"),
        (LONGREEL, PROGRAM_TIMES_COPY, "the whole program"),
    ):
        # Beside the cheaper of ffmpeg's copies.
        copies = [row for row in rows.values() if row["is_copy"]]
        found = [times for copy in copies if (times := ratio(rows.get(key), copy, "cpu_seconds")) is not None]
        if found:
            yield _at_most(name + ": {} ffmpeg copy's CPU", most, max(found))
        if heard := (rows.get(key) or {}).get("findings"):
            is_whole = heard["dip_ms"] < DIP_MS_BELOW and heard["click_db"] < CLICK_DB_BELOW
            target = f"{name}: no dip of {DIP_MS_BELOW} ms at a join, no click of {CLICK_DB_BELOW} dB"
            yield target, is_whole, f"{heard['dip_ms']:.1f} ms, {heard['click_db']:.1f} dB"
    if ours := [row for row in rows.values() if row["is_ours"] and row["runs"]]:
        peak_mb = max(peak_mib(row) for row in ours) * 1.048576
        yield f"ours: within {COPY_MB_AT_MOST} MB of memory", peak_mb <= COPY_MB_AT_MOST, f"{peak_mb:.0f} MB"
    if made := part.get("compose"):
        shares = {each["clip_count"]: 100 * each["moved_bytes"] / each["film_bytes"] for each in made}
        target = f"the splice by compose moves at most {MOVED_PERCENT_AT_MOST} % of the bytes"
        told = ", ".join(f"{share:.2f} % of {count} clips" for count, share in shares.items())
        yield target, max(shares.values()) <= MOVED_PERCENT_AT_MOST, told


def _odd(part: Part) -> _Found:
    rows = part["rows"]
    for key, name in ((FULL, "our full encode"), ("ffmpeg_filter", "ffmpeg's")):
        cpu = ratio(rows.get(LONGREEL), rows.get(key), "cpu_seconds")
        wall = ratio(rows.get(LONGREEL), rows.get(key), "wall_seconds")
        if cpu is not None and wall is not None:
            told = f"1/{1 / cpu:.1f} of the CPU, 1/{1 / wall:.1f} of the wall time"
            yield f"one-tenth odd: at most 1/6 of {name}", max(cpu, wall) <= ODD_AT_MOST, told


def _different(part: Part) -> _Found:
    rows = part["rows"]
    peers = {key: times for key in PEERS if (times := ratio(rows.get(LONGREEL), rows.get(key), "wall_seconds"))}
    if not peers:
        return
    fastest = max(peers, key=lambda key: peers[key])
    told = f"{peers[fastest]:.2f} x {rows[fastest]['name']}"
    yield "all different: not slower than the fastest peer", peers[fastest] <= 1, told
    likeness = {key: rows[key]["quality"]["ssim"] for key in (LONGREEL, *peers) if rows[key].get("quality")}
    if LONGREEL in likeness and len(likeness) > 1:
        best = max(value for key, value in likeness.items() if key != LONGREEL)
        told = f"SSIM {likeness[LONGREEL]:.4f} beside {best:.4f}, the best of the peers"
        yield "all different: no worse to look at", likeness[LONGREEL] >= best - SSIM_WITHIN, told


def _crossfades(part: Part) -> _Found:
    rows = part["rows"]
    ours = rows.get(LONGREEL) or {}
    if seen := ours.get("copied"):
        told = f"{seen['encoded_frame_count']} of {seen['frame_count']} frames encoded, "
        told += f"{seen['untouched_but_encoded']} of them in groups of pictures that no fade touches"
        yield "crossfades: nothing is encoded that no fade asks for", seen["untouched_but_encoded"] == 0, told
    for key in ("xfade", "xfade_default"):
        cpu = ratio(rows.get(key), ours or None, "cpu_seconds")
        wall = ratio(rows.get(key), ours or None, "wall_seconds")
        if cpu is not None and wall is not None:
            target = f"crossfades: {CHAIN_TIMES_AT_LEAST} x below the {rows[key]['name'].removeprefix('ffmpeg ')}"
            is_met = min(cpu, wall) >= CHAIN_TIMES_AT_LEAST
            yield target, is_met, f"{cpu:.1f} x in CPU, {wall:.1f} x in wall time"
    if ours.get("runs"):
        peak = peak_mib(ours)
        yield f"crossfades: within {FADES_MIB_AT_MOST} MiB", peak <= FADES_MIB_AT_MOST, f"{peak:.0f} MiB"


def _at_most(target: str, most: float, times: float) -> tuple[str, bool, str]:
    return target.format(f"at most {most:g} x"), times <= most, f"{times:.2f} x"


def verdict_lines(document: Mapping[str, Any]) -> list[str]:
    """Give a line for each verdict of a document, for people."""
    return [
        f"{'met    ' if each['is_met'] else 'NOT MET'}  {each['part']}: {each['target']}: {each['found']}"
        for each in document["verdicts"]
    ]
