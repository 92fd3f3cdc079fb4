"""What a caller sends to be allowed to upload a clip or a start image."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, ValidationError, field_validator

from events.complaints import quoted
from events.errors import InvalidRequest
from events.wire import WireModel, invalid_request

#: Cloud Storage takes this much in one PUT, and no clip of a reel is longer.
SIZE_MAX_BYTES = 5 * 1024**3

_FILENAME = re.compile(r"[\w(][\w ().,+@~-]{0,120}\.[A-Za-z0-9]{2,5}")


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
        if not _FILENAME.fullmatch(value):
            raise ValueError(
                "should be a file's name of at most 126 letters, digits, spaces and ( ) . , + @ ~ - _ "
                f"with an ending such as .mp4, and no folder, not {quoted(value)}"
            )
        return value

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
