"""The first convolution in bf16: pixels and filters count unrounded, although each of their parts is rounded."""

import torch

from nst_kernel.encoder.filters import FirstFilters


def filters(weight: torch.Tensor) -> FirstFilters:
    """Filters (N, 3, 3, 3) without biases."""
    return FirstFilters(weight, torch.zeros(len(weight)), torch.bfloat16)


def test_small_differences_between_bright_pixels_are_seen() -> None:
    """Rounded to bf16, all of these pixels would be equal."""
    weight = torch.zeros(1, 3, 3, 3)
    weight[0, 1, 1, 1], weight[0, 1, 1, 0] = 1, -1
    x = torch.zeros(1, 3, 5, 6)
    x[:, 1] = 0.9 + 1e-4 * torch.arange(6)
    (row,) = filters(weight).activate(x)[0, 0, 2:3, 1:].float()
    torch.testing.assert_close(row, torch.full((5,), 1e-4), rtol=0.05, atol=0)


def test_the_way_back_has_the_filters_unrounded() -> None:
    weight = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    g = torch.zeros(1, 2, 5, 5, dtype=torch.bfloat16)
    g[0, 1, 2, 2] = 1
    actual = filters(weight).back(g)[0, :, 1:4, 1:4]
    torch.testing.assert_close(actual, weight[1], rtol=2**-15, atol=1e-6)
