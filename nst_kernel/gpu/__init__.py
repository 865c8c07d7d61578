"""Kernels for GPUs: operations that wait for memory, joined so that activations are read and written once.

They are written in Triton, which comes with torch, and do what torch's own operations do elsewhere. Each is called for
tensors that `serves` approves of; Triton's interpreter runs the same kernels on a CPU, for tests.
"""

from typing import TYPE_CHECKING

from nst_kernel.gpu.available import serves
from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from nst_kernel.gpu.grams import gram, gram_back
    from nst_kernel.gpu.inner_products import products
    from nst_kernel.gpu.pixels import split_pixels
    from nst_kernel.gpu.pooling import pool, pool_back

__all__ = ["gram", "gram_back", "pool", "pool_back", "products", "serves", "split_pixels"]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.gpu.grams": ("gram", "gram_back"),
        "nst_kernel.gpu.pixels": ("split_pixels",),
        "nst_kernel.gpu.pooling": ("pool", "pool_back"),
        "nst_kernel.gpu.inner_products": ("products",),
    },
)
