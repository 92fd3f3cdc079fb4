"""All hostile files, by name."""

from __future__ import annotations

from tests.media.hostile import lies, odd_media, strangers
from tests.media.hostile.kit import CASES

__all__ = ["CASES", "lies", "odd_media", "strangers"]
