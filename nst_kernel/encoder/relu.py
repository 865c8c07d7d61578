"""The way back through a ReLU."""

import torch
from torch import Tensor

from nst_kernel.encoder import ring
from nst_kernel.encoder.ring import Border


def relu_back(g: Tensor, F: Tensor, border: Border) -> Tensor:
    """Return the gradient before the ReLU, which is zero where F is and at its ring, from that after it, in place.

    Args:
        g: gradient of activations after the ReLU (B, N, H, W).
        F: the activations.
        border: whose ring they have.
    """
    ring.clear(g, border)
    before: Tensor = torch.ops.aten.threshold_backward.grad_input(g, F, 0, grad_input=g)
    return before
