from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from nst_kernel import Pair, StyleParams, stylize_batch
from nst_kernel.encoder.filters import Filters
from nst_kernel.encoder.precision import Precision, computing_in, resolve_precision
from tests.support import encoder, pixels

CPU = torch.device("cpu")
LAYERS = ("conv1_1", "conv2_1", "conv3_1")


@pytest.mark.parametrize("asked", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_what_is_asked_by_name_is_done(asked: Precision, device: str) -> None:
    assert resolve_precision(asked, torch.device(device)) == asked


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),  # where bf16 takes twice as long
        ({"cpu_name": "Intel Xeon"}, "fp32"),
        ({"architecture": "aarch64"}, "fp32"),
    ],
)
def test_auto_is_what_a_processor_is_faster_in(about: dict[str, object], expected: Precision) -> None:
    with mock.patch.object(torch.cpu, "get_capabilities", return_value=about, create=True):
        assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize(("amx", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_torch_that_does_not_tell_the_processor_is_asked_for_amx(
    amx: bool, expected: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert resolve_precision("auto", CPU) == expected


def features_and_gradient(precision: Precision, dtype: torch.dtype) -> tuple[dict[str, Tensor], Tensor]:
    x = pixels(0, 32, 48, dtype).unsqueeze(0).requires_grad_()
    features = encoder("conv3_1", dtype)(x, LAYERS, precision=precision)
    (gradient,) = torch.autograd.grad(features["conv3_1"].square().sum(), x)
    return {layer: F.detach() for layer, F in features.items()}, gradient


def test_bf16_convolutions_give_almost_the_same_in_fp32() -> None:
    exact, gradient = features_and_gradient("fp32", torch.float32)
    rounded, rounded_gradient = features_and_gradient("bf16", torch.float32)
    assert {F.dtype for F in rounded.values()} == {rounded_gradient.dtype} == {torch.float32}
    torch.testing.assert_close(rounded["conv1_1"], exact["conv1_1"], rtol=1.05 * 2**-8, atol=1e-4)
    for layer in LAYERS[1:]:
        assert 0 < (rounded[layer] - exact[layer]).norm() < 0.02 * exact[layer].norm()
    assert 0 < (rounded_gradient - gradient).norm() < 0.05 * gradient.norm()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_float64_is_served_in_float64(precision: Precision) -> None:
    exact, gradient = features_and_gradient("fp32", torch.float64)
    actual, actual_gradient = features_and_gradient(precision, torch.float64)
    assert {F.dtype for F in actual.values()} == {torch.float64}
    assert all(torch.equal(actual[layer], exact[layer]) for layer in LAYERS)
    assert torch.equal(actual_gradient, gradient)


def test_a_transfer_in_bf16_ends_close_to_one_in_fp32() -> None:
    fp32, bf16 = (
        StyleParams.of(
            {
                "content_layers": "conv2_1",
                "style_layers": "conv1_1, conv2_1, conv3_1",
                "iterations": 25,
                "precision": precision,
            }
        )
        for precision in ("fp32", "bf16")
    )
    content, style = pixels(0, 32, 48, torch.float32), pixels(1, 32, 32, torch.float32)
    exact, rounded = (
        stylize_batch([Pair.of(content, style, p)], encoder("conv3_1", narrower=8))[0] for p in (fp32, bf16)
    )
    assert rounded.losses != exact.losses
    assert rounded.losses["total"] == pytest.approx(exact.losses["total"], rel=0.1)
    assert exact.losses["total"] < 0.3 * exact.curve["total"][0]


@pytest.mark.parametrize(("precision", "tries"), [("fp32", False), ("tf32", False), ("bf16", True)])
def test_algorithms_are_tried_in_bf16_alone(precision: Precision, tries: bool) -> None:
    """In fp32 a trial takes minutes and all of a GPU's memory, for nothing."""
    with computing_in(precision):
        assert torch.backends.cudnn.benchmark is tries
    with computing_in(precision, often=False):
        assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tf32_is_allowed_while_it_is_asked_for(precision: Precision, allowed: bool) -> None:
    before = torch.backends.cudnn.allow_tf32
    with computing_in(precision):
        assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is before


def test_the_backward_pass_is_computed_as_asked_too() -> None:
    """cuDNN looks at its flags when it runs, and gradients are computed after the features."""
    seen: set[tuple[str, bool]] = set()

    def watched(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*args: Any, **kwargs: Any) -> Tensor:
            seen.add((name, torch.backends.cudnn.allow_tf32))
            return function(*args, **kwargs)

        return call

    params = StyleParams.of(
        {"content_layers": "conv1_2", "style_layers": "conv1_1", "iterations": 2, "precision": "fp32"}
    )
    with (
        mock.patch.object(Filters, "activate", watched("forward", Filters.activate)),
        mock.patch.object(Filters, "back", watched("backward", Filters.back)),
        torch.backends.cudnn.flags(allow_tf32=True),
    ):
        stylize_batch([Pair.of(pixels(0, 16, 16), pixels(1, 16, 16), params)], encoder("conv1_2"))
    assert seen == {("forward", False), ("backward", False)}
