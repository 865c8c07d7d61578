"""The kernels for GPUs against torch's own operations: on a GPU, or by Triton's interpreter where there is none."""

import importlib
import logging
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel import gpu
from nst_kernel.encoder import GRAM, Border, Statistic, Vgg19, Weights, ring
from nst_kernel.encoder.filters import FirstFilters
from nst_kernel.encoder.relu import relu_back, signs
from nst_kernel.encoder.request import Request
from nst_kernel.encoder.statistics import Distance
from nst_kernel.gpu import available
from nst_kernel.optimisers import LBFGS
from nst_kernel.optimisers.curvature import Curvature
from tests.support import random_weights

pytest.importorskip("triton")

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OF_PRODUCTS = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32
"""The interpreter multiplies no matrices in bf16."""
ROUNDED = 2**-7
"""What a value in bf16 may differ: the interpreter cuts off what a GPU rounds."""
OF_PIXELS: tuple[Border, ...] = ("zero", "replicate", "reflect")
BORDERS: tuple[Border, ...] = (*OF_PIXELS, "circular")


@pytest.fixture(autouse=True)
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums in few pieces, each of several steps: the interpreter runs one program after the other."""
    if DEVICE.type == "cpu":
        for module, programs in (("grams", 4), ("spectra", 12)):
            monkeypatch.setattr(importlib.import_module(f"nst_kernel.gpu.{module}"), "PROGRAMS", programs)


def activations(size: tuple[int, int], border: Border, channels: int = 64) -> Tensor:
    """Activations after a ReLU with a ring, in bf16 and channels last."""
    width = ring.width(border)
    shape = 2, channels, size[0] + 2 * width, size[1] + 2 * width
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu_().to(DEVICE, torch.bfloat16)
    return x.contiguous(memory_format=torch.channels_last)


def request_for(border: Border) -> Request:
    return Request((), {}, (("conv1_1",),), "avg", torch.bfloat16, border)


SIZES = [(10, 12), (9, 11), (2, 3)]
WIDE = [(64, (9, 10)), (256, (5, 7))]
"""Channels and sizes of activations that no single program works on."""


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_pooling(size: tuple[int, int], border: Border) -> None:
    x, width = activations(size, border), ring.width(border)
    expected = nnf.avg_pool2d(x.float(), 2, padding=width)
    torch.testing.assert_close(gpu.pool(x, width).float(), expected, rtol=ROUNDED, atol=1e-6)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", SIZES)
def test_the_way_back_through_pooling_and_relu(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], border: Border
) -> None:
    x, width = activations(size, border), ring.width(border)
    g = torch.randn_like(nnf.avg_pool2d(x, 2, padding=width))
    actual = gpu.pool_back(g, x, width)
    assert torch.equal(gpu.pool_back(g, signs(x), width), actual)
    monkeypatch.setattr(available, "can_be_built", lambda _: False)  # the same by torch's operations
    expected = request_for(border).pool_back(g.clone(), x)
    torch.testing.assert_close(actual, expected, rtol=ROUNDED, atol=1e-6)
    assert torch.equal(actual == 0, expected == 0)


@pytest.mark.parametrize("channels", [64, 128, 256])
def test_gram_matrices(channels: int) -> None:
    x = activations((11, 15), "reflect", channels).to(OF_PRODUCTS)
    flat = x.float().flatten(2)
    torch.testing.assert_close(gpu.gram(x), flat @ flat.mT, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("channels", "size"), WIDE)
def test_the_way_back_through_gram_matrices_and_relu(
    channels: int, size: tuple[int, int], border: Border, given: bool
) -> None:
    x, width = activations(size, border, channels).to(OF_PRODUCTS), ring.width(border)
    S = torch.randn(2, channels, channels, device=x.device).to(x.dtype)
    g = torch.randn_like(x) if given else None
    flat = (x.float().permute(0, 2, 3, 1).flatten(1, 2) @ S.float()).view(2, *x.shape[2:], channels)
    expected = flat.permute(0, 3, 1, 2) + (g.float() if g is not None else 0.0)
    expected = ring.clear(torch.where(x > 0, expected, 0.0), border)
    actual = gpu.gram_back(x, S, g, width)
    torch.testing.assert_close(actual.float(), expected, rtol=ROUNDED, atol=1e-2)
    assert not actual[x == 0].any()


@pytest.mark.parametrize("length", [1, 511, 1500])
def test_inner_products(length: int) -> None:
    V, a, b = (torch.randn(shape, device=DEVICE) for shape in ((3, 10, length), (3, length), (3, length)))
    expected = V @ torch.stack([a, b], dim=2)
    torch.testing.assert_close(gpu.products(V, a, b), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gpu.products(V, b), expected[:, :, 1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("border", OF_PIXELS)
@pytest.mark.parametrize("kind", ["rgb", "bgr255"])
def test_pixels_in_parts(kind: str, border: Border) -> None:
    convolutions = random_weights(0, "conv1_1").convolutions
    vgg = Vgg19(Weights("w", "", convolutions, input="rgb" if kind == "rgb" else "bgr255")).to(DEVICE)
    x = torch.rand(2, 3, 17, 20, device=DEVICE)
    filters = vgg.filters("conv1_1", torch.bfloat16)
    assert isinstance(filters, FirstFilters)
    expected = filters.entering(ring.enclose(vgg.normalise(x), border))
    actual = gpu.split_pixels(
        x, vgg.mean, vgg.scale, flip=kind == "bgr255", ring=ring.width(border), distance=int(border == "reflect")
    )
    # A last bit of the normalised pixel may differ, and with it how it is split; the sum of the parts may not.
    sums = (parts[:, :3].float() + parts[:, 3:6] for parts in (actual, expected))
    torch.testing.assert_close(*sums, rtol=2**-14, atol=1e-5)
    assert torch.equal(actual[:, :3], actual[:, 6:9])
    assert torch.equal(actual[:, 9:], expected[:, 9:])


@pytest.mark.parametrize("size", [(9, 17), (8, 16), (1, 2)])
def test_the_first_convolution(size: tuple[int, int]) -> None:
    x = torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(0)).to(DEVICE, torch.bfloat16)
    weight, bias = vectors(64, 16, 3, 3).to(torch.bfloat16), vectors(64, seed=1).to(torch.bfloat16)
    x, weight = (a.to(OF_PRODUCTS).contiguous(memory_format=torch.channels_last) for a in (x, weight))
    expected = nnf.conv2d(x.double(), weight.double(), bias.double(), padding=1).relu()
    actual = gpu.first_activation(x, weight, bias)
    assert actual.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(actual.double(), expected, rtol=ROUNDED, atol=1e-4)


def test_parts_of_gradients_are_joined() -> None:
    parts = vectors(2, 8, 9, 130).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    assert torch.equal(gpu.joined_parts(parts), parts[:, :3].float() + parts[:, 3:6])


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("channels", "size"), WIDE)
def test_the_way_back_through_a_relu(
    monkeypatch: pytest.MonkeyPatch, channels: int, size: tuple[int, int], border: Border
) -> None:
    x = activations(size, border, channels)
    g = vectors(*x.shape, seed=1).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    expected = relu_back(g.clone(), x, border) if DEVICE.type == "cpu" else ring.clear(torch.where(x > 0, g, 0), border)
    monkeypatch.setattr(available, "serves", lambda _: True)
    assert torch.equal(relu_back(g.clone(), x, border), expected)
    assert torch.equal(relu_back(g.clone(), signs(x), border), expected)
    assert torch.equal(signs(x), x > 0)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("channels", "size"), WIDE)
def test_distances_and_the_way_back(
    monkeypatch: pytest.MonkeyPatch, channels: int, size: tuple[int, int], border: Border, given: bool
) -> None:
    F = activations(size, border, channels)
    target = vectors(2, channels, *size).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    plus = vectors(*F.shape, seed=2).to(F).contiguous(memory_format=torch.channels_last) if given else None
    statistic, gradient, positions = Distance(target), vectors(2, seed=1), size[0] * size[1]

    def results(theirs: bool) -> tuple[Tensor, Tensor]:
        monkeypatch.setattr(available, "serves", lambda _: theirs)
        g = plus.clone() if plus is not None else None
        return statistic.of(F, positions, torch.float32), statistic.back(F, gradient, positions, plus=g, border=border)

    (of, back), (expected_of, expected_back) = results(True), results(False)
    torch.testing.assert_close(of, expected_of, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back, expected_back, rtol=ROUNDED, atol=1e-2)
    assert not back[F == 0].any()
    assert not (back - ring.clear(back.clone(), border)).any()


def test_pixels_that_go_on_at_the_other_side_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    vgg, x = Vgg19(random_weights(0, "conv1_1")), torch.rand(1, 3, 16, 16)
    monkeypatch.setattr(gpu, "serves", lambda _: True)
    entry = vgg.entry(x, request_for("circular"))
    assert torch.equal(entry, nnf.pad(vgg.normalise(x), (1, 1, 1, 1), mode="circular"))


def test_they_are_built_for_the_widest_layers() -> None:
    assert available.can_be_built.__wrapped__(DEVICE)


def test_without_a_compiler_torchs_own_operations_are_used_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(importlib.import_module("nst_kernel.gpu.grams"), "gram", fail)
    with caplog.at_level(logging.WARNING):
        assert not available.can_be_built.__wrapped__(DEVICE)
    assert "cannot be built" in caplog.text
    assert "Failed to find C compiler" in caplog.text


@pytest.mark.parametrize(
    ("dtype", "on_gpu", "theirs"),
    [
        (torch.bfloat16, True, True),
        (torch.float32, True, True),
        (torch.float64, True, False),
        (torch.bfloat16, False, False),
    ],
)
def test_whose_tensors_are_theirs(
    dtype: torch.dtype, on_gpu: bool, theirs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available, "can_be_built", lambda _: True)
    x = SimpleNamespace(is_cuda=on_gpu, dtype=dtype, device=DEVICE)
    assert available.serves(cast(Tensor, x)) is theirs


def test_only_whole_activations_have_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "serves", lambda _: True)
    x = activations((8, 8), "zero")
    assert gpu.serves_activations(x)
    assert not gpu.serves_activations(x[:, :, 1:-1])
    assert not gpu.serves_activations(x.contiguous())


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


LENGTHS = [1, 511, 1500]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_change_of_gradient_and_what_comes_after_it(length: int) -> None:
    gradient, before, unit = vectors(3, length), vectors(3, length, seed=1), vectors(3, 1, seed=2)
    expected, now = gradient * unit - before, gradient * unit
    torch.testing.assert_close(gpu.change_of(gradient, unit, before), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(before, now)


@pytest.mark.parametrize("length", LENGTHS)
def test_vectors_of_chosen_samples_are_put_into_their_slots(length: int) -> None:
    given, into = vectors(3, length), vectors(3, 4, length, seed=1)
    slot, chosen = torch.tensor([[2], [0], [3]], device=DEVICE), torch.tensor([[True], [False], [True]], device=DEVICE)
    expected = into.clone()
    expected[0, 2], expected[2, 3] = given[0], given[2]
    gpu.put(given, into, slot, chosen)
    assert torch.equal(into, expected)


def test_what_is_kept_of_chosen_samples() -> None:
    source, into = vectors(3, 3, 7, 9), vectors(3, 3, 7, 9, seed=1)
    source[1] = torch.nan
    expected = torch.stack([source[0], into[1], source[2]])
    gpu.keep(torch.tensor([True, False, True], device=DEVICE), source, into)
    assert torch.equal(into, expected)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("factor", [-1.0, 1.0])
def test_combinations_of_vectors(length: int, factor: float) -> None:
    c, V, plus = vectors(3, 10), vectors(3, 10, length, seed=1), vectors(3, length, seed=2)
    expected = torch.einsum("bm,bmd->bd", c, V) + factor * plus
    torch.testing.assert_close(gpu.combined(c, V, plus, factor), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_step_along_the_direction_or_against_the_gradient(length: int) -> None:
    x, direction, gradient = (vectors(2, length, seed=seed) for seed in range(3))
    direction[1] = torch.nan  # nobody follows it
    descends, factor = torch.tensor([[True], [False]], device=DEVICE), vectors(2, 1, seed=3)
    step, expected = torch.empty_like(x), torch.stack([direction[0], -gradient[1]]) * factor
    torch.testing.assert_close(gpu.moved(x, direction, gradient, descends, factor, step), x + expected)
    torch.testing.assert_close(step, expected)


@pytest.mark.parametrize("divide", [False, True])
def test_colours_of_pictures(divide: bool) -> None:
    v, M, place = vectors(2, 3, 33, 41), vectors(3, 3, seed=1), vectors(2, 1, 33, 41, seed=2).exp()
    expected = torch.einsum("ij,bjhw->bihw", M, v / place if divide else v * place)
    torch.testing.assert_close(gpu.transformed(v, M, place, divide=divide), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gpu.transformed(v, M.T, place), torch.einsum("ji,bjhw->bihw", M, v) * place)


@pytest.mark.parametrize("size", [(12, 48), (9, 301)])
def test_spectra_by_ring(size: tuple[int, int]) -> None:
    curvature = Curvature(torch.Size([3, *size]), vectors(1))
    spectrum, factors = torch.fft.rfft2(vectors(2, 3, *size)), vectors(2, 3, curvature.rings, seed=1)
    counted = spectrum.abs().square() * curvature.count
    expected = torch.stack([counted[:, :, curvature.ring == r].sum(2) for r in range(curvature.rings)], dim=2)
    actual = gpu.power_by_ring(spectrum, curvature.ring, curvature.count, curvature.rings)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)
    scaled = spectrum * factors[:, :, curvature.ring]
    torch.testing.assert_close(gpu.scaled_by_ring(spectrum, curvature.ring, factors), scaled)


@pytest.mark.parametrize("size", [(16, 48), (13, 299)])
def test_squares_by_place(size: tuple[int, int]) -> None:
    v = vectors(2, 3, *size)
    expected = nnf.avg_pool2d(v.square().sum(1, keepdim=True), 8, ceil_mode=True)
    torch.testing.assert_close(gpu.squares_by_place(v, 8), expected, rtol=1e-4, atol=1e-6)


def test_steps_of_lbfgs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all kernels as with torch's operations; one sample starts anew on the way."""
    goal, weights = vectors(2, 3, 3, 48), vectors(2, 3, 3, 48, seed=1).exp()

    def descent(theirs: bool) -> Tensor:
        monkeypatch.setattr(gpu, "serves", lambda _: theirs)
        optimiser = LBFGS(
            history=2,
            learning_rate=torch.ones(2, device=DEVICE),
            first_step=0.005,
            max_step=0.05,
            learns_curvature=True,
        )
        x = torch.zeros_like(goal)
        for n in range(4):
            restart = torch.tensor([False, n == 2], device=DEVICE)
            x = optimiser.step(x, weights * (x - goal), restart)
        return x

    torch.testing.assert_close(descent(True), descent(False), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("length", LENGTHS)
def test_squares_of_vectors_do_not_overflow(length: int) -> None:
    a = vectors(3, length) * torch.tensor([[1e30], [1.0], [1e-30]], device=DEVICE)
    torch.testing.assert_close(gpu.squares(a), a.double().square().sum(1, keepdim=True))
    a[1, 0] = torch.nan
    assert gpu.squares(a).isfinite().flatten().tolist() == [True, False, True]


@pytest.mark.skipif(DEVICE.type == "cpu", reason="needs a GPU: the interpreter multiplies no matrices in bf16")
@pytest.mark.parametrize("border", BORDERS)
def test_a_whole_pass_with_the_kernels_and_with_torchs_operations(
    monkeypatch: pytest.MonkeyPatch, border: Border
) -> None:
    vgg = Vgg19(random_weights(0, "conv3_3")).to(DEVICE)
    x = torch.rand(2, 3, 50, 67, device=DEVICE, requires_grad=True)
    target = vgg(torch.rand_like(x), ["conv3_2"], precision="bf16")["conv3_2"]
    statistics: dict[str, Statistic] = {"conv1_1": GRAM, "conv2_1": GRAM, "conv3_1": GRAM, "conv3_2": Distance(target)}

    def results(theirs: bool) -> tuple[Tensor, ...]:
        monkeypatch.setattr(available, "can_be_built", lambda _: theirs)
        _, found = vgg.observe(x, (), statistics, precision="bf16", border=border)
        loss = torch.stack([value.square().sum() for value in found.values()]).sum()
        return *found.values(), *torch.autograd.grad(loss, x)

    for actual, expected in zip(results(True), results(False), strict=True):
        assert (actual - expected).norm() / expected.norm() < 0.02
