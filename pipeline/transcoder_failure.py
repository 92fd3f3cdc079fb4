"""What a failure of the Transcoder API means for a film: pure, from the `google.rpc.Status` of its job.

The same status comes by two ways, in the job's report and when the job is asked about, and means the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from events.messages import TranscoderError
from pipeline.work_ports import Stopped

#: Codes after which the same job may succeed: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED,
#: INTERNAL, UNAVAILABLE. Source: google.rpc.Code.
_RETRYABLE = frozenset({1, 2, 4, 8, 10, 13, 14})
_PERMISSION_DENIED = 7
#: Codes that can be the fault of a clip: INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS.
_BLAMES_A_CLIP = frozenset({3, 5, 9, 11, 15})

#: Who reads the clips, writes the film and publishes the report; it appears after the project's first Transcoder job.
SERVICE_AGENT = "service-PROJECT_NUMBER@gcp-sa-transcoder.iam.gserviceaccount.com"
#: What it must be allowed to do. Source: the Transcoder API's own page on access, 2025-12.
_AGENT_NEEDS = (
    f"{SERVICE_AGENT} must be allowed to read and write objects in the bucket and to publish to the topic of reports"
)

_INPUT_KEY = re.compile(r"\bclip-(\d+)\b")
#: What ends a URI in a sentence; a longer name goes on instead.
_END_OF_URI = r"(?![\w%+~-]|[./][\w%+~-])"


def input_key(segment_index: int) -> str:
    """Give the key under which a Transcoder job knows the clip of a segment.

    >>> input_key(3)
    'clip-3'
    """
    return f"clip-{segment_index}"


def stopped_by(error: TranscoderError | None, segment_of_uri: Mapping[str, int]) -> Stopped:
    """Tell what stopped a Transcoder job.

    Args:
        error: the job's own; only the first of all that are wrong is ever told. None where nothing was said.
        segment_of_uri: `gs://bucket/object` of each clip → index of its segment, for finding the one to blame.
    """
    if error is None:
        return Stopped("transcoder_failed", "the Transcoder job failed without a word", retryable=True)
    said = _sentence(error)
    if error.code == _PERMISSION_DENIED:
        return Stopped("permission_denied", f"{said}; {_AGENT_NEEDS}", retryable=False)
    retryable = error.code in _RETRYABLE
    bad = _blamed(error, segment_of_uri) if error.code in _BLAMES_A_CLIP else None
    return Stopped("transcoder_failed", said, retryable, bad)


def _sentence(error: TranscoderError) -> str:
    """Join the message with the reasons and the details that explain it."""
    reasons = ", ".join(str(detail["reason"]) for detail in error.details if detail.get("reason"))
    known = [text for text in _metadata(error) if text not in error.message]
    message = error.message or f"code {error.code}"
    named = f"{message} ({reasons})" if reasons else message
    return "the Transcoder job failed: " + ": ".join([named.rstrip("."), *known]).rstrip(".")


def _metadata(error: TranscoderError) -> list[str]:
    found = []
    for detail in error.details:
        metadata = detail.get("metadata")
        if isinstance(metadata, dict):
            found += [str(text) for text in metadata.values()]
    return found


def _blamed(error: TranscoderError, segment_of_uri: Mapping[str, int]) -> int | None:
    """Give the one segment whose clip the error names; None where it names none or several."""
    text = " ".join([error.message, *_metadata(error)])
    segments = set(segment_of_uri.values())
    named = {index for uri, index in segment_of_uri.items() if re.search(re.escape(uri) + _END_OF_URI, text)}
    named |= {int(number) for number in _INPUT_KEY.findall(text)} & segments
    return named.pop() if len(named) == 1 else None
