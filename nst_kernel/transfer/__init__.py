"""The transfer itself: the loop of one scale, the loop over scales, states to resume from."""

from nst_kernel.transfer.all_scales import stylize, stylize_batch
from nst_kernel.transfer.observer import Observer
from nst_kernel.transfer.state import Interrupted, State, StateError

__all__ = ["Interrupted", "Observer", "State", "StateError", "stylize", "stylize_batch"]
