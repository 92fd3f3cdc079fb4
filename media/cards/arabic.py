"""Joined Arabic letters for a Pillow without Raqm (no FriBiDi on the machine), from Unicode's own presentation forms.

Plainer than a shaping engine (no ligatures but lam-alef, no mark positioning), but every letter takes the form that
its neighbours ask for, so that the text can be read.
"""

from __future__ import annotations

import unicodedata
from functools import cache

_LAM = "\u0644"
_NON_JOINER = "\u200c"
_FORM_RANGES = (range(0xFB50, 0xFBB2), range(0xFBD3, 0xFC00), range(0xFE80, 0xFEFD))


def joined(clusters: tuple[str, ...]) -> list[str]:
    """Give the clusters, in the same order, each Arabic letter in its initial, medial, final or lone form.

    A lam with the alef after it becomes one cluster.
    """
    fused = _lam_alef(clusters)
    shaped: list[str] = []
    for index, cluster in enumerate(fused):
        after_joiner = index > 0 and _join(fused[index - 1], cluster)
        before_joiner = index + 1 < len(fused) and _join(cluster, fused[index + 1])
        shaped.append(_form(cluster[0], after_joiner=after_joiner, before_joiner=before_joiner) + cluster[1:])
    return shaped


def _join(first: str, second: str) -> bool:
    kept_apart = first.endswith(_NON_JOINER)
    return not kept_apart and _joins_next(first[0]) and _joins_previous(second[0])


def _lam_alef(clusters: tuple[str, ...]) -> list[str]:
    fused: list[str] = []
    for cluster in clusters:
        ligature = _forms().get((_LAM + cluster[0], "isolated"))
        if ligature and fused and fused[-1][0] == _LAM:
            fused[-1] = ligature + fused[-1][1:] + cluster[1:]
        else:
            fused.append(cluster)
    return fused


def _form(base: str, *, after_joiner: bool, before_joiner: bool) -> str:
    # A lam-alef is a presentation form already: it is looked up by the letters that it stands for.
    letters = _letters_of(base)
    wanted = {(False, False): "isolated", (False, True): "initial", (True, True): "medial", (True, False): "final"}
    return _forms().get((letters, wanted[after_joiner, before_joiner]), base)


def _joins_previous(base: str) -> bool:
    return base == "\u0640" or (_letters_of(base), "final") in _forms()


def _joins_next(base: str) -> bool:
    return base == "\u0640" or (_letters_of(base), "initial") in _forms()


def _letters_of(base: str) -> str:
    kind, _, codes = unicodedata.decomposition(base).partition("> ")
    return "".join(chr(int(code, 16)) for code in codes.split()) if kind == "<isolated" and codes else base


@cache
def _forms() -> dict[tuple[str, str], str]:
    """Map (letters, form) to the presentation form; form is `isolated`, `initial`, `medial` or `final`."""
    found: dict[tuple[str, str], str] = {}
    for code in (code for codes in _FORM_RANGES for code in codes):
        kind, _, codes = unicodedata.decomposition(chr(code)).partition("> ")
        if codes:
            letters = "".join(chr(int(part, 16)) for part in codes.split())
            found.setdefault((letters, kind.removeprefix("<")), chr(code))
    return found
