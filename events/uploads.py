"""What a caller sends to be allowed to upload a clip or a start image."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, ValidationError, field_validator

from events.complaints import quoted
from events.errors import InvalidRequest
from events.wire import WireModel, invalid_request

#: Cloud Storage takes this much in one PUT, and no clip of a reel is longer.
SIZE_MAX_BYTES = 5 * 1024**3

#: Most characters that a file's name may have.
_FILENAME_MAX = 127
#: What it may hold beside letters, digits and the marks that are written with letters. What means something to a shell,
#: to `gcloud storage` or in a URL is not among it: the name becomes part of an object's.
_PUNCTUATION = frozenset(" ()_.,+@~-'&!")
_ENDING = re.compile(r"\.[A-Za-z0-9]{2,5}")


class UploadType(StrEnum):
    """What may be uploaded."""

    MP4 = "video/mp4"
    QUICKTIME = "video/quicktime"
    WEBM = "video/webm"
    MATROSKA = "video/x-matroska"
    PNG = "image/png"
    JPEG = "image/jpeg"


class UploadRequest(WireModel):
    """One file that a user wants to bring."""

    model_config = ConfigDict(extra="forbid")

    #: The file's own name, for people.
    filename: str
    content_type: UploadType
    size_bytes: int = Field(ge=1, le=SIZE_MAX_BYTES)

    @field_validator("filename")
    @classmethod
    def _is_a_filename(cls, value: str) -> str:
        # A Mac writes é as two characters; the same file has the same name everywhere.
        name = unicodedata.normalize("NFC", value)
        if not _is_filename(name):
            raise ValueError(
                f"should be a file's name of at most {_FILENAME_MAX} letters, digits, spaces and "
                f"( ) . , + @ ~ - _ ' & ! with an ending such as .mp4, and no folder, not {quoted(value)}"
            )
        return name

    @classmethod
    def of(cls, value: object) -> Self:
        """Read what a caller sent, as a JSON value.

        Raises:
            InvalidRequest: names the first wrong field and what would be right.
        """
        if not isinstance(value, dict):
            raise InvalidRequest("", f"a request should be an object with fields, not {quoted(value)}")
        try:
            return cls.model_validate(value)
        except ValidationError as exc:
            raise invalid_request(exc, cls) from exc


def _is_filename(name: str) -> bool:
    stem, dot, ending = name.rpartition(".")
    plain = all(char.isalnum() or char in _PUNCTUATION or unicodedata.category(char) in {"Mn", "Mc"} for char in stem)
    begins_well = stem[:1].isalnum() or stem[:1] in {"_", "("}
    return len(name) <= _FILENAME_MAX and plain and begins_well and bool(_ENDING.fullmatch(dot + ending))
