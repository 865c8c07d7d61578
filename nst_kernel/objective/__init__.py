"""The losses of the paper, their targets, and the callable from pixels to losses."""

from nst_kernel.objective.gram_cache import GramCache
from nst_kernel.objective.objective import Objective
from nst_kernel.objective.targets import targets_of

__all__ = ["GramCache", "Objective", "targets_of"]
