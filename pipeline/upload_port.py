"""The port of uploads: a user's own clip goes straight to the bucket, by a URL that allows nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol


class SignedUpload(Protocol):
    """Leave to write one object, once."""

    @property
    def url(self) -> str:
        """Where the bytes are PUT."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the PUT must carry."""
        ...

    @property
    def expires_at(self) -> datetime:
        """When the URL ends, aware, UTC."""
        ...


class Uploads(Protocol):
    """Signs URLs."""

    def sign(self, name: str, content_type: str, size_bytes: int, expires_in: timedelta) -> SignedUpload:
        """Sign a URL that writes exactly this many bytes of this type to an object that is not there yet.

        Raises:
            Unavailable, NotAllowed: nothing can be signed now; or not by this service account.
        """
        ...
