"""How large an encoded clip may get: an estimate from above, for the question whether there is room on the disk."""

from __future__ import annotations

from media.treatment import Target

#: Bits for each pixel of a frame at x264's constant rate factor 20; noisy hand-held pictures reach it, others do not.
_BITS_PER_PIXEL_AT_20 = 0.25

#: x264's size halves with every six steps of its constant rate factor.
_CRF_STEPS_PER_HALF = 6

#: Bytes per second of the sound and of what the container adds.
_REST_BYTES_PER_SECOND = 80_000


def encoded_bytes_max(target: Target, frame_count: int) -> int:
    """Give the bytes that a clip of so many frames will hardly exceed once it is encoded for this film."""
    picture = target.picture
    bits_per_pixel = _BITS_PER_PIXEL_AT_20 * 2 ** ((20 - target.quality.crf) / _CRF_STEPS_PER_HALF)
    pictures = picture.width_px * picture.height_px * frame_count * bits_per_pixel / 8
    return int(pictures) + sound_bytes_max(target, frame_count)


def sound_bytes_max(target: Target, frame_count: int) -> int:
    """Give the bytes that the sound of so many frames, and what their container adds, will hardly exceed."""
    return int(frame_count / target.picture.frame_rate * _REST_BYTES_PER_SECOND)
