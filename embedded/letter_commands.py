"""The commands of `longreel dead-letters`. Each reads its options and hands over to `embedded/dead_letters.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from embedded import options as opt
from embedded.exits import errors_in_words

letters = typer.Typer(help="Messages that nobody could handle: list, show, replay.", no_args_is_help=True)


@letters.command("list")
def list_letters(as_json: opt.Json = False, home: opt.Home = None) -> None:
    """List the dead letters, the oldest first: the cloud's where LONGREEL_BUCKET is set, else those of a home."""
    with errors_in_words(as_json=as_json):
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.list_them(found, as_json=as_json)


@letters.command("show")
def show_letter(letter: opt.Letter, home: opt.Home = None) -> None:
    """Show one dead letter whole."""
    with errors_in_words():
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.show(found, letter)


@letters.command("replay")
def replay_letter(
    letter: Annotated[
        str | None, typer.Argument(metavar="[NUMBER]", help="Its number; all of them when left out.")
    ] = None,
    home: opt.Home = None,
) -> None:
    """Publish a dead letter again."""
    with errors_in_words():
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.replay(found, letter)
