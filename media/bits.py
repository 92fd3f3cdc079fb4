"""Numbers of any count of bits, read one after the other out of bytes that anybody may have written."""

from __future__ import annotations

from events.errors import BadMedia

#: Zeros before an Exp-Golomb number: with more it would have over 32 bits, and none is so large.
#: Source: ITU-T H.264, 9.1.
_GOLOMB_ZEROS_MAX = 31


class Bits:
    """Reads numbers of so many bits, most significant first. Each costs the same wherever it stands.

    Args:
        data: the bytes.
        what: how messages call them.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.left = 8 * len(data)

    def take(self, count: int) -> int:
        """Read a number of `count` bits.

        Raises:
            BadMedia: fewer are left.
        """
        if count > self.left:
            raise BadMedia(f"{self._what} is cut off")
        end = 8 * len(self._data) - self.left + count
        touched = self._data[(end - count) // 8 : (end + 7) // 8]
        self.left -= count
        return int.from_bytes(touched, "big") >> -end % 8 & ((1 << count) - 1)

    def flag(self) -> bool:
        """Read one bit."""
        return self.take(1) == 1

    def golomb(self) -> int:
        """Read an unsigned Exp-Golomb number. A signed one takes the same bits.

        Raises:
            BadMedia: fewer bits are left than it has, or it is larger than any can be.

        Source: ITU-T H.264, 9.1, and H.265, 9.2.

        >>> Bits(bytes([0b10000000]), "it").golomb(), Bits(bytes([0b00101000]), "it").golomb()
        (0, 4)
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _GOLOMB_ZEROS_MAX:
                raise BadMedia(f"{self._what} is cut off")
        return (1 << zeros) - 1 + self.take(zeros)
