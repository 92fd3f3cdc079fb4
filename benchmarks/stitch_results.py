"""Keeps what `benchmarks.stitch` measures: one JSON document, written anew after every run.

A document has *parts*, a case with one set of clips each; a part has rows by contender; a row has runs by round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.stitch_contenders import Contender
from benchmarks.stitch_corpus import Corpus, source_facts
from benchmarks.stitch_measure import Cost

#: Of the document's form.
VERSION = 2

Part = dict[str, Any]
Row = dict[str, Any]


class Results:
    """What was measured.

    Args:
        path: of the document; None to keep nothing.
        facts: what else it says: the machine, whether the clips are the quick ones.
        go_on: take what an earlier run has left there, if it is of the same clips.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, Any], *, go_on: bool) -> None:
        self._path = path
        self.document: dict[str, Any] = {
            "benchmark": "stitch",
            "version": VERSION,
            **facts,
            "parts": {},
            "verdicts": [],
        }
        if go_on and path and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept.get("version") == VERSION and kept.get("quick") == self.document["quick"]:
                self.document["parts"] = kept["parts"]

    @property
    def parts(self) -> dict[str, Part]:
        """Give all parts by their names."""
        parts: dict[str, Part] = self.document["parts"]
        return parts

    def part(self, case: str, corpus: Corpus) -> Part:
        """Give the part of a case; an old one of other clips is thrown away."""
        name, digest = f"{case} {corpus.shape.name}", source_facts(corpus)
        kept = self.parts.get(name)
        if kept is None or kept["sources"] != digest:
            kept = {"case": case, "sources": digest, "corpus": corpus.facts, "rows": {}}
            self.parts[name] = kept
        return kept

    def save(self) -> None:
        """Write the document."""
        if self._path:
            making = self._path.with_name(f"{self._path.name}.part")
            making.write_text(json.dumps(self.document, indent=1) + "\n", encoding="utf-8")
            making.replace(self._path)


def row_of(part: Part, contender: Contender) -> Row:
    """Give a contender's row, a new one where there is none; what kept it from running before is forgotten."""
    row: Row = part["rows"].setdefault(contender.key, {"runs": []})
    row |= {
        "name": contender.name,
        "is_ours": contender.is_ours,
        "is_copy": contender.is_copy,
        "is_slow": contender.is_slow,
        "trouble": f"not here; {contender.missing}" if contender.missing else "",
    }
    return row


def has_run(row: Row, number: int) -> bool:
    """Tell whether a contender has run in a round."""
    return any(run["round"] == number for run in row["runs"])


def add_run(row: Row, number: int, cost: Cost, load: float) -> None:
    """Put down what a run cost, and how busy the machine was as it began."""
    told = {name: round(value, 3) for name, value in cost._asdict().items() if name != "exit_code"}
    row["runs"].append({"round": number, **told, "load": round(load, 2)})


def add_found(row: Row, found: Any) -> None:
    """Put down what was found in a film, if it is worse than what was found before."""
    if "badness" not in row or list(found.badness) > row["badness"]:
        row["badness"] = list(found.badness)
        row["findings"] = asdict(found) | {"frames_wrong": found.frames_wrong}


def middle(row: Row, what: str) -> float:
    """Give the median over a row's runs."""
    return float(median(run[what] for run in row["runs"]))


def peak_mib(row: Row) -> float:
    """Give the most memory of all runs."""
    return float(max(run["peak_mib"] for run in row["runs"]))


def ratio(row: Row | None, other: Row | None, what: str) -> float | None:
    """Give one row over another as the median of the ratios within each round; None where they share none."""
    if row is None or other is None:
        return None
    theirs = {run["round"]: run[what] for run in other["runs"]}
    both = [run[what] / theirs[run["round"]] for run in row["runs"] if run["round"] in theirs]
    return float(median(both)) if both else None


def loads(part: Part) -> tuple[float, float]:
    """Give the lowest and the highest load of the machine as runs began; only for a part with runs."""
    found = [run["load"] for row in part["rows"].values() for run in row["runs"]]
    return min(found), max(found)
