"""What an engine never does, whatever the clips are: told when it is asked for, before anything is made or spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from events.plan import Compression, Engine, Loudness, Seams, Transition

#: Engines that encode nothing, or only whole films one clip after the other, with the sound that the clips have.
_PLAIN = frozenset({Engine.SPLICE, Engine.TRANSCODER})
#: What an engine does with every clip.
_ALWAYS = {
    (Engine.SPLICE, Compression.SMALL): "encodes nothing",
    (Engine.TRANSCODER, Compression.LOSSLESS): "encodes everything anew",
}


def engine_fault(engine: Engine, wishes: Mapping[str, Any]) -> str | None:
    """Say why an engine cannot make what else a request asks for; None where it can.

    Args:
        engine: the one that is asked for.
        wishes: fields of the request by their names in Python; those that are missing are as usual.
    """
    found = _beyond_plain(engine, wishes) if engine in _PLAIN else None
    if found is None:
        return None
    does, instead = found
    return f"{engine} {does}; ask for cpu or gpu, for none at all, or for {instead}"


def _beyond_plain(engine: Engine, wishes: Mapping[str, Any]) -> tuple[str, str] | None:
    """Give what a plain engine does, and what would have to be asked for instead."""
    if wishes.get("transition", Transition.CUT) is not Transition.CUT:
        return "makes no fades", "transition cut"
    if wishes.get("music") is not None:
        return "plays no music under a film", "no music"
    if wishes.get("loudness", Loudness.KEEP) is not Loudness.KEEP:
        return "leaves the sound as it is", "loudness keep"
    if engine is Engine.TRANSCODER and wishes.get("seams", Seams.WARN) is Seams.FAIL:
        return "looks at no joins", "seams warn"
    return None


def compression_fault(engine: Engine | None, compression: Compression) -> str | None:
    """Say why the engine that is asked for cannot make a film of this compression; None where it may."""
    does = _ALWAYS.get((engine, compression)) if engine else None
    return f"{compression} is beyond engine {engine}, which {does}; ask for another" if does else None
