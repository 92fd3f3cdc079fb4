"""How large an encoded clip may get: an estimate from above, for the question whether there is room on the disk."""

from __future__ import annotations

from media.treatment import Target

#: Bits for each pixel of a frame at x264's constant rate factor 20; noisy hand-held pictures reach it, others do not.
_BITS_PER_PIXEL_AT_20 = 0.25
#: How many times as many bits noise takes; only what has so many already is noise.
_NOISE_BITS = 6
#: How many times as many bits our encoder may take for noise as the one that wrote it.
_OTHER_HANDS = 1.5

#: x264's size halves with every six steps of its constant rate factor.
_CRF_STEPS_PER_HALF = 6

#: Bytes per second of the sound and of what the container adds.
_REST_BYTES_PER_SECOND = 80_000


def encoded_bytes_max(target: Target, frame_count: int, *, like_bytes: int = 0) -> int:
    """Give the bytes that a clip of so many frames will hardly exceed once it is encoded for this film.

    Args:
        target: the film.
        frame_count: of the clip, at the film's rate.
        like_bytes: what the same pictures take where they come from, were they as many and as large.
    """
    picture = target.picture
    bits_per_pixel = _BITS_PER_PIXEL_AT_20 * 2 ** ((20 - target.quality.crf) / _CRF_STEPS_PER_HALF)
    pictures = int(picture.width_px * picture.height_px * frame_count * bits_per_pixel / 8)
    like = int(_OTHER_HANDS * like_bytes)
    return max(pictures, min(_NOISE_BITS * pictures, like)) + sound_bytes_max(target, frame_count)


def sound_bytes_max(target: Target, frame_count: int) -> int:
    """Give the bytes that the sound of so many frames, and what their container adds, will hardly exceed."""
    return int(frame_count / target.picture.frame_rate * _REST_BYTES_PER_SECOND)
