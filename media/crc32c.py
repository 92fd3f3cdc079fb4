"""CRC-32C, the checksum that object stores keep, of two contents one behind the other.

It needs no byte of either: so the checksum of a composed film is known before it is composed. A CRC is a
polynomial over the two-element field, and appending n bytes multiplies it by x to the power of 8n.

Source: RFC 3720, appendix B.4 (the polynomial); https://github.com/madler/zlib, `crc32_combine` (the method).
"""

from __future__ import annotations

from functools import cache

#: The polynomial, its bits reversed: the highest bit stands for x to the power of 0.
_POLYNOMIAL = 0x82F63B78
_ONE = 1 << 31


def combined_crc32c(first: int, second: int, second_bytes: int) -> int:
    """Give the CRC-32C of two contents one behind the other, of which only the checksums are known.

    Args:
        first: of the first.
        second: of the second.
        second_bytes: length of the second, 0 or more.

    Of `12345` and of `6789`:

    >>> hex(combined_crc32c(0x18D12335, 0xC27E5DB2, 4))
    '0xe3069283'
    """
    shifted, power, left = first, 3, second_bytes
    while left:
        if left & 1:
            shifted = _product(_x_to_two_to(power), shifted)
        power, left = power + 1, left >> 1
    return shifted ^ second


@cache
def _x_to_two_to(power: int) -> int:
    """Give x to the power of 2**power."""
    return _ONE >> 1 if power == 0 else _product(_x_to_two_to(power - 1), _x_to_two_to(power - 1))


def _product(first: int, second: int) -> int:
    product = 0
    while first:
        if first & _ONE:
            product ^= second
        first = first << 1 & 0xFFFFFFFF
        second = second >> 1 ^ (_POLYNOMIAL if second & 1 else 0)
    return product
