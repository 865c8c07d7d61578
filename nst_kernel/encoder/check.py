"""Checks that a file of weights holds the embedded encoder or torchvision's ImageNet weights."""

from dataclasses import dataclass

import torch

from nst_kernel.encoder.load import IMAGENET_HASH, parse_weights
from nst_kernel.encoder.outline import embedded_file
from nst_kernel.encoder.vgg import Vgg19
from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN


def is_embedded(data: bytes) -> bool:
    """Return whether these are the bytes of the embedded encoder's file."""
    return data == embedded_file()


@dataclass(frozen=True)
class Check:
    """One property of a file of weights, compared with its published value.

    Attributes:
        what: name of the property.
        expected: the published value.
        actual: the value of the file.
        ok: whether they agree.
    """

    what: str
    expected: str
    actual: str
    ok: bool


ACTIVATIONS = {
    "conv1_1": (3.71, 896),
    "conv2_1": (13.8, 2110),
    "conv3_1": (39.3, 2450),
    "conv4_1": (40.5, 865),
    "conv4_2": (30.6, 792),
    "conv5_1": (11.0, 167),
}
"""Maximum and L2 norm of the activations of torchvision's VGG-19, by layer, as published with pystiche's tests.

The input is `torch.manual_seed(0); torch.rand(1, 3, 256, 256)`, not normalised.
"""

TOLERANCE = 0.005
"""Share by which an activation's maximum and norm may differ from the published ones, which have three digits."""


def check_imagenet(data: bytes, *, name: str) -> list[Check]:
    """Compare a file with torchvision's ImageNet weights, by its digest and by published activation statistics.

    A file of the first layers only, or in another container, has another digest; its layers are still checked.

    Args:
        data: the file.
        name: name of the weights in errors.

    Returns:
        The digest's check and one for each layer of `ACTIVATIONS` that the file has.

    Raises:
        WeightsError: if the file holds no VGG-19 weights.
    """
    weights = parse_weights(data, name=name)
    checks = [
        Check("SHA-256", f"{IMAGENET_HASH}…", weights.sha256, weights.sha256.startswith(IMAGENET_HASH)),
    ]
    for layer, (maximum, norm) in _statistics(Vgg19(weights)).items():
        expected = ACTIVATIONS[layer]
        close = all(abs(a - e) <= TOLERANCE * e for a, e in zip((maximum, norm), expected, strict=True))
        shown, published = f"max {maximum:.3g}, norm {norm:.3g}", f"max {expected[0]:.3g}, norm {expected[1]:.3g}"
        checks.append(Check(f"{layer} activations", published, shown, close))
    return checks


def _statistics(encoder: Vgg19) -> dict[str, tuple[float, float]]:
    """Return the maximum and the L2 norm of the activations of the layers of `ACTIVATIONS` that the encoder has."""
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    # The published statistics are of the picture as input of the first convolution. The encoder normalises its input,
    # so it gets the picture that becomes this one.
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    with torch.no_grad():
        features = encoder(picture * deviation + mean, [n for n in ACTIVATIONS if n in encoder.layers], pooling="max")
    return {layer: (F.max().item(), F.norm().item()) for layer, F in features.items()}
