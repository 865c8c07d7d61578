"""Gram matrices of activations in bf16, which a CPU multiplies in pieces."""

import torch
from torch import Tensor

from nst_kernel.encoder import GRAM


def activations(batch: int, width: int, side: int) -> Tensor:
    """Activations (B, N, side, side) after a ReLU, channels last."""
    values = torch.randn(batch, width, side, side, generator=torch.Generator().manual_seed(0))
    return values.relu().bfloat16().contiguous(memory_format=torch.channels_last)


def test_products_in_pieces_err_less_than_one_that_is_rounded() -> None:
    F = activations(1, 16, 128)
    exact = GRAM.of(F.double(), 1, torch.float64)
    error = (GRAM.of(F, 1, torch.float32) - exact).norm() / exact.norm()
    assert error < 5e-4  # 2e-3 in one piece


def test_positions_beyond_the_last_whole_piece_count() -> None:
    F = torch.ones(1, 8, 129, 129, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    assert torch.equal(GRAM.of(F, 1, torch.float32), torch.full((1, 8, 8), 129.0 * 129))


def test_the_gram_matrix_of_a_sample_is_that_which_it_has_alone() -> None:
    F = activations(2, 16, 129)
    together = GRAM.of(F, 1, torch.float32)
    assert torch.equal(together[1:], GRAM.of(F[1:].clone(memory_format=torch.channels_last), 1, torch.float32))


def test_few_positions_are_multiplied_in_fp32() -> None:
    F = activations(1, 16, 80)
    exact = GRAM.of(F.double(), 1, torch.float64)
    assert (GRAM.of(F, 1, torch.float32) - exact).norm() / exact.norm() < 1e-6
