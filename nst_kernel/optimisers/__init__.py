"""Optimisers of pixels: L-BFGS with a learned initial Hessian, and Adam."""

from nst_kernel.optimisers.adam import Adam
from nst_kernel.optimisers.lbfgs import LBFGS

__all__ = ["LBFGS", "Adam"]
