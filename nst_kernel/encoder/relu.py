"""The way back through a ReLU."""

import torch
from torch import Tensor

from nst_kernel import gpu
from nst_kernel.encoder import ring
from nst_kernel.encoder.ring import Border

INTEGERS = {torch.bfloat16: torch.int16, torch.float32: torch.int32, torch.float64: torch.int64}
"""By type, integers of as many bits."""


def signs(F: Tensor) -> Tensor:
    """Return where activations F after the ReLU are not zero, in a byte each: all that the way back needs of most.

    Bits are compared, which on a CPU takes a tenth of the time: a zero of negative sign, which convolutions do not make
    but of zeros, counts as positive.
    """
    if F.dtype == torch.bfloat16 and gpu.serves_activations(F):
        return gpu.signs(F)
    return F.view(INTEGERS[F.dtype]).to(torch.bool)


def relu_back(g: Tensor, F: Tensor, border: Border) -> Tensor:
    """Return the gradient before the ReLU, which is zero where F is and at its ring, from that after it, in place.

    Args:
        g: gradient of activations after the ReLU (B, N, H, W).
        F: the activations, or their signs.
        border: whose ring they have.
    """
    if gpu.serves_activations(g) and F.stride() == g.stride():
        return gpu.relu_back(g, F, ring.width(border))
    ring.clear(g, border)
    if F.dtype == torch.bool:  # times one or zero, in integers: as fast as with the activations themselves
        g.view(INTEGERS[g.dtype]).mul_(F.view(torch.int8))
        return g
    before: Tensor = torch.ops.aten.threshold_backward.grad_input(g, F, 0, grad_input=g)
    return before
