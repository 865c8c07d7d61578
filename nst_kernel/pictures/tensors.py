"""Pictures as tensors: from arrays, and to another size."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor


def to_tensor(image: Any, device: torch.device | None = None) -> Tensor:
    """Return a picture of uint8 or uint16 (H, W, 3) as a float tensor (3, H, W) in [0, 1] on a device.

    It is copied to the device as uint8, a quarter of the bytes, and without waiting for the copy.

    Raises:
        ValueError: for another shape or type.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected a picture of uint8 or uint16 (H, W, 3), got {array.dtype} {array.shape}")
    is_deep = array.dtype == np.uint16
    pixels = torch.from_numpy(array.astype(np.float32) if is_deep else array.copy())
    if device is not None and device.type == "cuda":
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return pixels.permute(2, 0, 1).float() / (65535 if is_deep else 255)


def resize(x: Tensor, shape: tuple[int, int], *, tileable: bool = False) -> Tensor:
    """Return pictures (..., 3, H, W) resized to (height, width), antialiased; unchanged if they have that size.

    With `tileable`, whose sides are multiples of 16, they go on at their other side.
    """
    if tuple(x.shape[-2:]) == tuple(shape):
        return x
    batched = x if x.dim() == 4 else x.unsqueeze(0)
    if tileable:  # an eighth on each side is a whole number of pixels before and after
        (top, left), (above, before) = ((side // 8 for side in sides) for sides in (x.shape[-2:], shape))
        around = nnf.pad(batched, (left, left, top, top), mode="circular")
        whole = resize(around, (shape[0] + 2 * above, shape[1] + 2 * before))
        return whole[..., above : above + shape[0], before : before + shape[1]].reshape(*x.shape[:-2], *shape)
    resized = nnf.interpolate(batched, size=shape, mode="bicubic", antialias=True, align_corners=False)
    return resized.view(*x.shape[:-2], *shape)
