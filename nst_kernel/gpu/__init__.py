"""Kernels for GPUs: operations that wait for memory, joined so that activations are read and written once.

They are written in Triton, which comes with torch, and do what torch's own operations do elsewhere. Each is called for
tensors that `serves` approves of; Triton's interpreter runs the same kernels on a CPU, for tests.
"""

from typing import TYPE_CHECKING

from nst_kernel.gpu.available import serves, serves_activations
from nst_kernel.lazy import lazily

if TYPE_CHECKING:
    from nst_kernel.gpu.distances import distance, distance_back
    from nst_kernel.gpu.first_layer import first_activation, joined_parts
    from nst_kernel.gpu.grams import gram, gram_back
    from nst_kernel.gpu.inner_products import products, squares
    from nst_kernel.gpu.pixels import split_pixels
    from nst_kernel.gpu.pooling import pool, pool_back
    from nst_kernel.gpu.relu import relu_back, signs
    from nst_kernel.gpu.spectra import power_by_ring, scaled_by_ring, squares_by_place, transformed
    from nst_kernel.gpu.vectors import change_of, combined, keep, moved, put

__all__ = [
    "change_of",
    "combined",
    "distance",
    "distance_back",
    "first_activation",
    "gram",
    "gram_back",
    "joined_parts",
    "keep",
    "moved",
    "pool",
    "pool_back",
    "power_by_ring",
    "products",
    "put",
    "relu_back",
    "scaled_by_ring",
    "serves",
    "serves_activations",
    "signs",
    "split_pixels",
    "squares",
    "squares_by_place",
    "transformed",
]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.gpu.distances": ("distance", "distance_back"),
        "nst_kernel.gpu.first_layer": ("first_activation", "joined_parts"),
        "nst_kernel.gpu.grams": ("gram", "gram_back"),
        "nst_kernel.gpu.pixels": ("split_pixels",),
        "nst_kernel.gpu.pooling": ("pool", "pool_back"),
        "nst_kernel.gpu.inner_products": ("products", "squares"),
        "nst_kernel.gpu.relu": ("relu_back", "signs"),
        "nst_kernel.gpu.spectra": ("power_by_ring", "scaled_by_ring", "squares_by_place", "transformed"),
        "nst_kernel.gpu.vectors": ("change_of", "combined", "keep", "moved", "put"),
    },
)
