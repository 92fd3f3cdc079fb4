"""What the few bytes that configure AAC mean, so that two spellings of the same thing compare equal."""

from __future__ import annotations

from dataclasses import dataclass

from events.errors import BadMedia
from media.bits import Bits

#: Source: ISO/IEC 14496-3, table 1.18 samplingFrequencyIndex.
_SAMPLE_RATES_HZ = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
#: Source: ISO/IEC 14496-3, table 1.19 channelConfiguration.
_CHANNEL_COUNTS = (0, 1, 2, 3, 4, 5, 6, 8)
#: Audio object types: AAC Low Complexity, spectral band replication, parametric stereo.
_LC, _SBR, _PS = 2, 5, 29
_SYNC_EXTENSION = 0x2B7
_PS_EXTENSION = 0x548
_PROFILE_NAMES = {1: "AAC-Main", 2: "AAC-LC", 3: "AAC-SSR", 4: "AAC-LTP", 23: "AAC-LD", 39: "AAC-ELD", 42: "xHE-AAC"}


@dataclass(frozen=True)
class AacConfig:
    """The meaning of an AudioSpecificConfig."""

    #: Audio object type of the core; 2 is AAC-LC.
    object_type: int
    sample_rate_hz: int
    #: 0 where the configuration lists the channels one by one.
    channel_count: int
    #: Samples a packet of the core: 1024, seldom 960.
    frame_length: int
    #: Whether spectral band replication or parametric stereo is announced (HE-AAC).
    has_sbr: bool
    has_ps: bool = False
    #: What follows where `channel_count` is 0, or the whole where it cannot be read further; else empty.
    rest: bytes = b""

    @property
    def is_plain_lc(self) -> bool:
        """Whether it is AAC-LC with 1024 samples a packet and one of the standard channel layouts."""
        return self.object_type == _LC and self.frame_length == 1024 and not self.has_sbr and self.channel_count > 0

    @property
    def profile(self) -> str:
        """Its name, such as `AAC-LC`."""
        if self.has_ps:
            return "HE-AACv2"
        return "HE-AAC" if self.has_sbr else _PROFILE_NAMES.get(self.object_type, f"AAC type {self.object_type}")


class _Bits(Bits):
    """Reads what only AAC has, too."""

    def object_type(self) -> int:
        kind = self.take(5)
        return 32 + self.take(6) if kind == 31 else kind

    def sample_rate(self) -> int:
        index = self.take(4)
        if index == 15:
            return self.take(24)
        if index >= len(_SAMPLE_RATES_HZ):
            raise BadMedia(f"its AAC configuration names sample rate {index}, which does not exist")
        return _SAMPLE_RATES_HZ[index]


def parse_aac_config(data: bytes) -> AacConfig:
    """Read an AudioSpecificConfig.

    An explicit "no spectral band replication" at the end means the same as saying nothing, and gives an equal value.

    Raises:
        BadMedia: it is cut off or names a sample rate that does not exist.

    Source: ISO/IEC 14496-3, 1.6.2.1 AudioSpecificConfig and 4.4.1 GASpecificConfig.
    """
    bits = _Bits(data, "its AAC configuration")
    kind, rate, channels = bits.object_type(), bits.sample_rate(), bits.take(4)
    has_sbr, has_ps = kind in (_SBR, _PS), kind == _PS
    if has_sbr:
        rate = bits.sample_rate()
        kind = bits.object_type()
    count = _CHANNEL_COUNTS[channels] if channels < len(_CHANNEL_COUNTS) else 0
    if kind not in (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23):
        return AacConfig(kind, rate, count, 1024, has_sbr, has_ps, rest=data)
    frame_length = 960 if bits.take(1) else 1024
    if bits.take(1):
        bits.take(14)  # The delay of a core coder.
    extended = bits.take(1)
    if not count or extended:
        return AacConfig(kind, rate, count, frame_length, has_sbr, has_ps, rest=data)
    if not has_sbr:
        has_sbr, has_ps, rate = _sync_extension(bits, rate)
    return AacConfig(kind, rate, count, frame_length, has_sbr, has_ps)


def _sync_extension(bits: _Bits, rate: int) -> tuple[bool, bool, int]:
    # Encoders may announce SBR behind the configuration, where old players do not look.
    if bits.left < 16 or bits.take(11) != _SYNC_EXTENSION or bits.object_type() != _SBR:
        return False, False, rate
    if not bits.left or not bits.take(1):
        return False, False, rate
    rate = bits.sample_rate()
    has_ps = bits.left >= 12 and bits.take(11) == _PS_EXTENSION and bits.take(1) == 1
    return True, has_ps, rate
