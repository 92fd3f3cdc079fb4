"""What Google's video models answer, sorted into outcomes: each has a code of its own, and says what to do.

| answer | outcome |
|---|---|
| submit: 429 | `LimitExceeded` (`quota`): nothing was bought |
| submit: 404 | `model_retired`: permanent, names the setting to change |
| submit: 400 about the prompt or the picture | `prompt_refused`: permanent |
| submit: other 4xx | `bad_order`: permanent |
| submit or poll: 401, 403 | `permission_denied`: permanent, names the role |
| submit or poll: 5xx, no answer, an unreadable one | `Unavailable`: it may have been bought |
| poll: 404 | gone: look for the object |
| poll: 429 | `Unavailable`: ask again later |
| it ended, and the filter held the clip back | `filtered`: permanent; which input, which reason |
| it ended with an error | by its code: see `failed` |
| it ended with nothing at all | `no_object`: another try, and the money may be lost |
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.genai_client import Refused
from events.errors import LimitExceeded, PipelineError, RenderFailed, Unavailable
from pipeline.models import EXAMPLES, SETTING
from pipeline.work_ports import Gone, Stopped

#: Support code in a filter's words → what it stands for, and what was filtered; "" where both may be.
#: Source: Google's pages "Responsible AI and usage guidelines" for Veo and for images.
SUPPORT_CODES = {
    "58061214": ("a child", "prompt"),
    "17301594": ("a child", "output"),
    "29310472": ("a prominent person", "prompt"),
    "15236754": ("a prominent person", "output"),
    "64151117": ("a general safety rule", ""),
    "42237218": ("a general safety rule", ""),
    "62263041": ("dangerous content", "prompt"),
    "57734940": ("hate", "prompt"),
    "22137204": ("hate", "output"),
    "42876398": ("another safety rule", "prompt"),
    "29578790": ("another safety rule", "output"),
    "74803281": ("another safety rule", "output"),
    "39322892": ("a face", "output"),
    "92201652": ("personal information", "prompt"),
    "89371032": ("prohibited content", "prompt"),
    "49114662": ("prohibited content", "output"),
    "72817394": ("prohibited content", "output"),
    "90789179": ("sexual content", "prompt"),
    "43188360": ("sexual content", "output"),
    "63429089": ("sexual content", "output"),
    "78610348": ("toxic content", "prompt"),
    "61493863": ("violence", "prompt"),
    "56562880": ("violence", "output"),
    "32635315": ("vulgar words", "prompt"),
}
_CODE = re.compile(r"\b\d{8}\b")
_OF_SAFETY = re.compile(
    r"safety|responsible ai|usage guidelines|polic(y|ies)|violat|sensitive|prohibited|harmful|blocked|filtered"
    r"|support codes?|n[o']t be submitted",
    re.IGNORECASE,
)
_OF_PICTURE = re.compile(r"\b(input|start|first|uploaded|provided) (image|frame|picture)|\bimage (you|that you)", re.I)
_OF_OUTPUT = re.compile(r"\b(generated|output) (video|media|audio|clip)", re.IGNORECASE)

_OUTPUT = "generated video"

#: google.rpc.Code → code of the failure, and whether another try may help.
_RPC = {
    3: ("bad_order", False),
    5: ("bad_order", False),
    7: ("permission_denied", False),
    8: ("quota", True),
    9: ("bad_order", False),
    11: ("bad_order", False),
    12: ("bad_order", False),
    16: ("permission_denied", False),
}


def not_taken(refused: Refused, doing: str, model: str, generator: str) -> PipelineError:
    """Give the error of an order that was refused, so that nothing was bought."""
    said = refused.said
    match refused.status:
        case 429:
            used_up = LimitExceeded(f"{doing}: the quota is used up ({said})", code="quota")
            used_up.retry_after_seconds = refused.retry_after_seconds
            return used_up
        case 404:
            return RenderFailed(
                f"{doing}: {model} is not there, most likely because Google retired it; change {SETTING[generator]}, "
                f"or `model` in the request, to one such as {EXAMPLES[generator][0]} ({said})",
                code="model_retired",
            )
        case 401 | 403:
            return _not_allowed(refused, doing)
        case 400 if _OF_SAFETY.search(said):
            return RenderFailed(
                f"{doing}: refused because of the {_side(said)}: {_explained(said)}", code="prompt_refused"
            )
        case _:
            return RenderFailed(f"{doing}: refused ({refused.status}): {said}", code="bad_order")


def not_told(refused: Refused, doing: str) -> Gone:
    """Tell what follows when a question about an order was refused.

    Returns:
        Gone: nobody knows the order any more.

    Raises:
        Unavailable: too many questions.
        RenderFailed: the question will always be refused. Its clip is still taken in when it lands.
    """
    if refused.status == 404:
        return Gone()
    if refused.status == 429:
        raise Unavailable(f"{doing}: too many questions ({refused.said})") from refused
    if refused.status in {401, 403}:
        raise _not_allowed(refused, doing) from refused
    raise RenderFailed(f"{doing}: refused ({refused.status}): {refused.said}", code="bad_order") from refused


def filtered(reasons: Sequence[str]) -> Stopped:
    """Tell that a clip was made and held back."""
    said = "; ".join(map(_explained, reasons)) or "no reason was given"
    return Stopped(
        "filtered", f"the safety filter held the clip back because of the {_side(said)}: {said}", retryable=False
    )


def failed(code: int | None, said: str) -> Stopped:
    """Tell why work ended with an error.

    Args:
        code: google.rpc.Code; None where none is known.
        said: the service's own words.
    """
    if code in {None, 3, 9} and _OF_SAFETY.search(said):
        if _side(said) == _OUTPUT:
            return filtered([said])
        message = f"the model refused it because of the {_side(said)}: {_explained(said)}"
        return Stopped("prompt_refused", message, retryable=False)
    word, retryable = _RPC.get(code or 0, ("generation_failed", True))
    return Stopped(word, f"the generation ended with an error: {said or 'it has no text'}", retryable)


def nothing_came(said: str = "") -> Stopped:
    """Tell that work is finished and has nothing to show: no clip, no reason, no error."""
    words = f"; the model wrote: {said}" if said else ""
    return Stopped("no_object", f"the generation says that it is finished, but no clip came{words}", retryable=True)


def _not_allowed(refused: Refused, doing: str) -> RenderFailed:
    return RenderFailed(
        f"{doing}: not allowed ({refused.said}); the service account that runs this needs roles/aiplatform.user in the "
        f"project and roles/storage.objectUser on the bucket",
        code="permission_denied",
    )


def _explained(said: str) -> str:
    """Put what its support codes stand for behind a filter's words."""
    known = {SUPPORT_CODES[code][0]: None for code in _CODE.findall(said) if code in SUPPORT_CODES}
    return f"{said} (that is: {', '.join(known)})" if known else said


def _side(said: str) -> str:
    """Tell what was found fault with, for a text."""
    sides = {SUPPORT_CODES[code][1] for code in _CODE.findall(said) if code in SUPPORT_CODES} - {""}
    if _OF_PICTURE.search(said):
        return "start image"
    if sides == {"output"} or (not sides and _OF_OUTPUT.search(said)):
        return _OUTPUT
    return "prompt"
