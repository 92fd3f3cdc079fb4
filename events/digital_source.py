"""How the pictures of a film came to be, in words that others know: apart from the messages, which a splice has not."""

from __future__ import annotations

from enum import StrEnum


class DigitalSourceType(StrEnum):
    """How the pictures of a film came to be, in the words of the IPTC.

    Source: https://cv.iptc.org/newscodes/digitalsourcetype/
    """

    #: Made by a model that was trained on sampled media.
    TRAINED_ALGORITHMIC_MEDIA = "trainedAlgorithmicMedia"
    #: Made by an algorithm that knows no sampled media, such as title cards.
    ALGORITHMIC_MEDIA = "algorithmicMedia"
