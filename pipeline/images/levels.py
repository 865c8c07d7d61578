"""Grey levels of more than 8 bits, as scanners, cameras and programs of science write them, to 8 bits."""

import numpy as np
from numpy.typing import NDArray


def to_bytes(levels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return grey levels (H, W) of more than 8 bits, integer or float, as 0..255."""
    if levels.dtype.kind == "f":
        values = np.nan_to_num(levels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        top = next((limit for limit in (1.0, 255.0, 65535.0) if values.max() <= limit), float(values.max()))
    else:
        # Pillow hands over unsigned 32 bits as signed ones.
        unsigned = levels.astype(np.int64) & 0xFFFFFFFF
        values = unsigned.astype(np.float64)
        top = 65535.0 if unsigned.max() <= 65535 else float(0xFFFFFFFF)
    return np.asarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8))
