"""What several tests need: encoders with random weights, pictures drawn by NumPy, material outside the repository."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel.encoder.vgg import Vgg19
from nst_kernel.encoder.weights import Weights
from nst_kernel.layers import LAYERS, shape_of

PLAIN = {"learn_curvature": False}
"""For problems that are no pictures."""

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"


@cache
def random_weights(seed: int = 0, deepest: str = "conv5_4", narrower: int = 1) -> Weights:
    """He-initialised filters in VGG-19's real shapes, or so many times fewer of them, from conv1_1 to `deepest`."""
    generator = torch.Generator().manual_seed(seed)
    convolutions: dict[str, tuple[Tensor, Tensor]] = {}
    for layer in LAYERS[: LAYERS.index(deepest) + 1]:
        filters, channels = (n if n == 3 else n // narrower for n in shape_of(layer)[:2])
        weight = torch.randn((filters, channels, 3, 3), generator=generator) * (2 / (9 * channels)) ** 0.5
        convolutions[layer] = weight, 0.1 * torch.randn(filters, generator=generator)
    return Weights(f"random-{seed}-{deepest}", f"{seed:064x}", convolutions)


@cache
def encoder(deepest: str = "conv5_4", dtype: torch.dtype = torch.float32, seed: int = 0, narrower: int = 1) -> Vgg19:
    """An encoder of `random_weights`. A narrow one serves where it is the point that two ways end alike."""
    return Vgg19(random_weights(seed, deepest, narrower)).to(dtype)


def draw(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture (height, width, 3): waves of a few directions and colours, with edges and a little grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.full((height, width, 3), 0.5)
    for _ in range(4):
        fx, fy, phase = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0, 6)
        wave = np.sin(fx * x + fy * y + phase)
        picture += 0.15 * np.where(rng.random() < 0.5, np.sign(wave), wave)[..., None] * rng.uniform(-1, 1, 3)
    picture += rng.normal(0, 0.02, picture.shape)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def pixels(seed: int, height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """The picture of `draw` as the kernel takes it: (3, height, width) in [0, 1]."""
    return torch.from_numpy(draw(seed, height, width)).permute(2, 0, 1).to(dtype) / 255
