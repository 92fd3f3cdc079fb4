"""Filling the marked places of a page with generated text, so that no figure or drawing can go stale unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: bool = True) -> str:
    """Give a Markdown table; `figures` sets the columns after the first to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{('---:|' if figures else '---|') * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def filled(text: str, kind: str, contents: Mapping[str, str]) -> str:
    """Give the page's text with each content between `<!-- KIND: NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: the page has no such place.
    """
    for name, content in contents.items():
        before, found, rest = text.partition(f"<!-- {kind}: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (found and end):
            raise ValueError(f"the page has no '<!-- {kind}: {name} -->' … '<!-- end -->' to fill")
        text = f"{before}{found}{content}{end}{after}"
    return text


def write_filled(page: Path, kind: str, contents: Mapping[str, str]) -> None:
    """Fill a page in place."""
    page.write_text(filled(page.read_text(encoding="utf-8"), kind, contents), encoding="utf-8")
