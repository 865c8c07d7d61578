"""The transfer itself: the loop of one scale, the loop over scales, states to resume from.

What computes loads torch, and is imported when its names are used.
"""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily
from nst_kernel.transfer.errors import StateError
from nst_kernel.transfer.observer import Interrupted, Observer

if TYPE_CHECKING:
    from nst_kernel.transfer.all_scales import stylize_batch
    from nst_kernel.transfer.single import stylize
    from nst_kernel.transfer.state import State

__all__ = ["Interrupted", "Observer", "State", "StateError", "stylize", "stylize_batch"]

__getattr__ = lazily(
    __name__,
    {
        "nst_kernel.transfer.all_scales": ("stylize_batch",),
        "nst_kernel.transfer.single": ("stylize",),
        "nst_kernel.transfer.state": ("State",),
    },
)
