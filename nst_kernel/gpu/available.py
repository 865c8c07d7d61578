"""Whether this process can use the kernels for GPUs."""

import functools
import logging

import torch
from torch import Tensor

log = logging.getLogger(__name__)


def serves(x: Tensor) -> bool:
    """Return whether the kernels can be used for a tensor: on a GPU, in a type of theirs, if they can be built here.

    They add in fp32, so that float64 is not theirs.
    """
    return x.is_cuda and x.dtype in (torch.float32, torch.bfloat16) and can_be_built(x.device)


def serves_activations(x: Tensor) -> bool:
    """Return whether the kernels for activations can be used for a tensor: whole, channels last; see `serves`."""
    return x.is_contiguous(memory_format=torch.channels_last) and serves(x)


@functools.cache
def can_be_built(device: torch.device) -> bool:
    """Return whether the kernels can be built for a device; say in the log what is used instead if they cannot.

    They are built as they are for the widest layers, whose tiles take the most of a GPU's shared memory.
    """
    try:
        from nst_kernel.gpu.grams import gram, gram_back
        from nst_kernel.gpu.pooling import pool

        x = torch.zeros(1, 512, 2, 2, dtype=torch.bfloat16, device=device)
        x = x.contiguous(memory_format=torch.channels_last)
        pool(x, 0)
        gram_back(x, gram(x).bfloat16(), None, 0)
    except Exception as error:  # no Triton, no C compiler for its launchers, a GPU that it does not know
        log.warning(
            "kernels for the GPU cannot be built, and torch's own operations are used, which take about a third more "
            "time: %s. Triton, which comes with torch for Linux, needs a C compiler and Python's headers.",
            error,
        )
        return False
    return True
