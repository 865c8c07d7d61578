from unittest import mock

import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from nst_kernel import LAYERS, LayerMissing, Vgg19, Weights
from nst_kernel.encoder import Border, border_of
from tests.support import encoder, pixels, random_weights


@pytest.fixture(scope="module")
def torchvision_features() -> nn.Sequential:
    """torchvision's own convolutions, poolings and ReLUs, with its initialisation and random biases."""
    from torchvision.models import vgg as torchvision_vgg  # 7 s of CPU, which one process of the tests spends

    features: nn.Sequential = torchvision_vgg.make_layers(torchvision_vgg.cfgs["E"], batch_norm=False)
    torch.manual_seed(0)
    for module in features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            module.bias = nn.Parameter(0.1 * torch.randn(len(module.weight)))
    return features.double().requires_grad_(False)


def activations(features: nn.Sequential, x: Tensor, pooling: str) -> dict[str, Tensor]:
    """Every activation after its ReLU, by the layers' names in their order."""
    in_order: list[Tensor] = []
    for module in features:
        if isinstance(module, nn.ReLU):
            x = x.relu()
            in_order.append(x)
        elif isinstance(module, nn.MaxPool2d) and pooling == "avg":
            x = nnf.avg_pool2d(x, 2)
        else:
            x = module(x)
    return dict(zip(LAYERS, in_order, strict=True))


@pytest.mark.xdist_group("torchvision")
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_features_are_those_of_torchvision(torchvision_features: nn.Sequential, pooling: str) -> None:
    convolutions = [module for module in torchvision_features if isinstance(module, nn.Conv2d)]
    weights = {layer: (c.weight, c.bias) for layer, c in zip(LAYERS, convolutions, strict=True) if c.bias is not None}
    vgg = Vgg19(Weights("torchvision", "", weights)).double()
    picture = torch.stack([pixels(0, 37, 50), pixels(1, 37, 50)])
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    expected = activations(torchvision_features, (picture - mean) / deviation, pooling)
    actual = vgg(picture, LAYERS, pooling="avg" if pooling == "avg" else "max")
    assert list(actual) == list(LAYERS)
    for layer in LAYERS:
        torch.testing.assert_close(actual[layer], expected[layer], rtol=1e-6, atol=1e-6)


def test_names_and_shapes() -> None:
    widths, depths = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)
    expected = {
        f"conv{block}_{i}": (2, widths[block - 1], 48 >> (block - 1), 32 >> (block - 1))
        for block in range(1, 6)
        for i in range(1, depths[block - 1] + 1)
    }
    features = encoder()(torch.rand(2, 3, 48, 32), LAYERS)
    assert {layer: tuple(F.shape) for layer, F in features.items()} == expected


@pytest.mark.parametrize("deepest", ["conv1_1", "conv2_2", "conv4_2"])
def test_nothing_is_computed_beyond_the_deepest_layer(deepest: str) -> None:
    with mock.patch.object(nnf, "conv2d", wraps=nnf.conv2d) as convolution:
        features = encoder()(torch.rand(1, 3, 16, 16), {"conv1_1", deepest})
    assert set(features) == {"conv1_1", deepest}
    assert convolution.call_count == LAYERS.index(deepest) + 1


def test_both_input_conventions_give_the_same_features() -> None:
    """W · ((x - m) / d) written for BGR in 0-255 minus M: only the zeros of the border mean another colour."""
    rgb = random_weights(0, "conv2_1")
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    bgr_mean = torch.tensor([103.939, 116.779, 123.680])
    weight, bias = rgb.convolutions["conv1_1"]
    shift = ((bgr_mean.flip(0) / 255 - mean) / deviation).view(1, 3, 1, 1)
    first = (weight / (255 * deviation.view(1, 3, 1, 1))).flip(1), bias + (weight * shift).sum((1, 2, 3))
    bgr = Weights("bgr", "", {**rgb.convolutions, "conv1_1": first}, input="bgr255")
    x, layers = pixels(0, 24, 32).unsqueeze(0), ("conv1_1", "conv2_1")
    expected, actual = Vgg19(rgb).double()(x, layers), Vgg19(bgr).double()(x, layers)
    for layer in layers:
        inside = (..., slice(3, -3), slice(3, -3))
        torch.testing.assert_close(actual[layer][inside], expected[layer][inside], rtol=1e-4, atol=1e-5)


def test_only_pixels_get_gradients() -> None:
    trained = {
        layer: (w.clone().requires_grad_(), b) for layer, (w, b) in random_weights(0, "conv1_2").convolutions.items()
    }
    vgg = Vgg19(Weights("trained", "", trained))
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    vgg(x, ["conv1_2"])["conv1_2"].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not list(vgg.parameters())
    assert not any(buffer.requires_grad for buffer in vgg.buffers())
    assert all(weight.grad is None for weight, _ in trained.values())


def test_a_layer_beyond_the_weights_is_named() -> None:
    weights = random_weights(0, "conv2_1")
    reach = r"random-0-conv2_1.* conv3_1: they cover conv1_1 to conv2_1"
    with pytest.raises(LayerMissing, match=reach):
        Vgg19(weights)(torch.rand(1, 3, 16, 16), ["conv1_1", "conv3_1"])
    with pytest.raises(LayerMissing, match=reach):
        weights.check_covers(["conv1_1", "conv3_1"])
    weights.check_covers(["conv1_1", "conv2_1"])


@pytest.mark.parametrize(("height", "width"), [(15, 64), (64, 15), (1, 1)])
def test_a_picture_too_small_for_the_poolings(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"{width}x{height} px: VGG-19 needs 16"):
        encoder()(torch.rand(1, 3, height, width), ["conv1_1"])


def test_the_smallest_picture_reaches_the_deepest_layer() -> None:
    assert encoder()(torch.rand(1, 3, 16, 16), ["conv5_4"])["conv5_4"].shape == (1, 512, 1, 1)


@pytest.mark.parametrize(("border", "constant"), [("replicate", True), ("reflect", True), ("zero", False)])
def test_a_border_of_pixels_keeps_a_constant_picture_constant(border: Border, constant: bool) -> None:
    convolutions = random_weights(0, "conv3_1").convolutions
    vgg = Vgg19(Weights("w", "", convolutions, border=border)).double()
    F = vgg(torch.full((1, 3, 24, 20), 0.8), ["conv3_1"])["conv3_1"]
    spread = F.amax((2, 3)) - F.amin((2, 3))
    assert bool((spread < 1e-9).all()) is constant


@pytest.mark.parametrize(
    ("declared", "used"), [("zero", "reflect"), ("replicate", "replicate"), ("reflect", "reflect")]
)
def test_transfers_replace_zeros_beyond_the_border_alone(declared: Border, used: Border) -> None:
    assert border_of(Vgg19(Weights("w", "", random_weights(0, "conv1_1").convolutions, border=declared))) == used
