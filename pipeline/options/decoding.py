"""What decoding a picture may take."""

from pipeline.options.model import Options, option


class Decoding(Options):
    """What decoding a picture may take, in every process that does it; beyond it, its row fails."""

    decode_timeout: float = option(
        60.0, "Seconds that decoding a picture may take, or its row fails.", unit="seconds", gt=0
    )
    # Beyond the largest cameras in use, 102 (medium format) and 108 (phones), there are panoramas, and bombs: a file of
    # 46 bytes may claim 178. Each costs memory, wherever pictures are read.
    max_megapixels: float = option(
        110.0, "Millions of pixels that a picture may have, or its row fails.", unit="megapixels", gt=0
    )

    @property
    def max_pixels(self) -> int:
        """Pixels that a picture may have."""
        return int(1e6 * self.max_megapixels)

    @property
    def memory(self) -> int:
        """Bytes that a process which decodes may have: enough for the largest picture in the most wasteful format."""
        return _WITHOUT_PICTURES + _BYTES_PER_PIXEL * self.max_pixels


_WITHOUT_PICTURES = 256 * 1024**2
"""Bytes that a process which decodes has before it does."""

_BYTES_PER_PIXEL = 24
"""Bytes for each pixel of a picture while it is decoded."""

DEFAULT_DECODING = Decoding()
