"""Puts `events/samples/` into `docs/messages.md`, so that the page shows what the tests read.

`python -m docs.samples --write` fills the page's markers.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from docs.marked import write_filled

PAGE = Path(__file__).with_name("messages.md")
SAMPLES = Path(__file__).parent.parent / "events" / "samples"


def samples() -> dict[str, str]:
    """Give each sample that the page names, as a Markdown block."""
    named = re.findall(r"<!-- sample: (\w+) -->", PAGE.read_text(encoding="utf-8"))
    return {name: f"```json\n{(SAMPLES / f'{name}.json').read_text(encoding='utf-8').strip()}\n```\n" for name in named}


def main() -> None:
    """Write the samples into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="put the samples into docs/messages.md")
    parser.parse_args()
    write_filled(PAGE, "sample", samples())


if __name__ == "__main__":
    main()
