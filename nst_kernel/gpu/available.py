"""Whether this process can use the kernels for GPUs."""

import functools
import logging

import torch
from torch import Tensor

log = logging.getLogger(__name__)


def serves(x: Tensor) -> bool:
    """Return whether the kernels can be used for a tensor: it lies on a GPU, and they can be built here."""
    return x.is_cuda and _can_be_built()


@functools.cache
def _can_be_built() -> bool:
    """Build one of the kernels and run it; say in the log what is used instead if that fails."""
    try:
        from nst_kernel.gpu.pooling import pool

        pool(torch.zeros(1, 64, 2, 2, dtype=torch.bfloat16, device="cuda"), 0)
    except Exception as error:  # no Triton, no C compiler for its launchers, a GPU that it does not know
        log.warning(
            "kernels for the GPU cannot be built, and torch's own operations are used, which take about a third more "
            "time: %s. Triton, which comes with torch for Linux, needs a C compiler and Python's headers.",
            error,
        )
        return False
    return True
