"""What is printed: lines for people, JSON lines for programs. A reader that has gone, as `head` does, is no error."""

from __future__ import annotations

import json
import os
import sys
import unicodedata

#: What turns the direction of a whole terminal line around; a prompt may hold it, our lines may not.
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def prepare() -> None:
    """Let no character stop the output: what the terminal's encoding lacks is written as its escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def plain(text: str) -> str:
    """Give a text from outside without what steers a terminal; line breaks become spaces.

    >>> plain("a\\x1b[2Jb\\nc")
    'a�[2Jb c'
    """
    return "".join(map(_plain, text)) if not text.isprintable() else text


def _plain(char: str) -> str:
    if char.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) == "Cc" or char in _OVERRIDES else char


def fitted(text: str, columns: int) -> str:
    """Cut or fill a text to a width in terminal columns; CJK and most emoji take two.

    >>> fitted("灯台 keeper", 8)
    '灯台 ke…'
    """
    widths = [_width(char) for char in text]
    if sum(widths) <= columns:
        return text + " " * (columns - sum(widths))
    kept = used = 0
    while used + widths[kept] < columns:
        used += widths[kept]
        kept += 1
    return text[:kept] + "…" + " " * (columns - used - 1)


def _width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def say(line: str) -> None:
    """Print a line for a person.

    Raises:
        BrokenPipeError: nobody reads any more; said once, and what is printed from then on goes nowhere.
    """
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush again at its end and complain, so the pipe makes room for nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def print_json(value: object) -> None:
    """Print a line for a program."""
    say(json.dumps(value, ensure_ascii=False))


def say_error(sentence: str) -> None:
    """Print one sentence for a person, on standard error."""
    sys.stderr.write(f"longreel: {sentence}\n")
    sys.stderr.flush()
