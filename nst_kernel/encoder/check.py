"""Checks that weights are what they claim to be."""

from dataclasses import dataclass

import torch

from nst_kernel.encoder.load import IMAGENET_HASH, _embedded_file, parse_weights
from nst_kernel.encoder.vgg import Vgg19
from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN


def is_embedded(data: bytes) -> bool:
    """Whether these are the bytes of the embedded encoder's file."""
    return data == _embedded_file()


@dataclass(frozen=True)
class Check:
    """One thing looked at in a weights file: what was expected and what was found."""

    what: str
    expected: str
    found: str
    ok: bool


# torchvision's VGG-19 on torch.manual_seed(0); torch.rand(1, 3, 256, 256), not normalised: (max, L2 norm), as
# published with pystiche's tests.
ACTIVATIONS = {
    "conv1_1": (3.71, 896),
    "conv2_1": (13.8, 2110),
    "conv3_1": (39.3, 2450),
    "conv4_1": (40.5, 865),
    "conv4_2": (30.6, 792),
    "conv5_1": (11.0, 167),
}


def check_imagenet(data: bytes, *, name: str) -> list[Check]:
    """Whether a file holds torchvision's ImageNet weights, by its digest and by published activation statistics.

    A file of the first layers only, or in another container, has another digest; its layers are still checked.

    Raises:
        WeightsError: if it is no file of VGG-19 weights at all.
    """
    weights = parse_weights(data, name=name)
    checks = [
        Check("SHA-256", f"{IMAGENET_HASH}…", weights.sha256, weights.sha256.startswith(IMAGENET_HASH)),
    ]
    encoder = Vgg19(weights)
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    # The statistics were taken of the picture as torchvision's input, without normalisation: the picture that
    # normalises to it.
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    plain = picture * deviation + mean
    known = [layer for layer in ACTIVATIONS if layer in encoder.layers]
    with torch.no_grad():
        features = encoder(plain, known, pooling="max")
    for layer in known:
        found = features[layer].max().item(), features[layer].norm().item()
        expected = ACTIVATIONS[layer]
        close = all(abs(f - e) <= 0.005 * e for f, e in zip(found, expected, strict=True))
        shown = f"max {found[0]:.3g}, norm {found[1]:.3g}"
        checks.append(Check(f"{layer} activations", f"max {expected[0]:.3g}, norm {expected[1]:.3g}", shown, close))
    return checks
