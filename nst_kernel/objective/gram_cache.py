"""A cache of style statistics for the next pairs of the same style."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

from torch import Tensor

Grams = Mapping[str, Tensor]
"""By layer, (1, N, N)."""


class GramCache:
    """Keeps the most recently used Gram matrices, within a budget of bytes on the device."""

    def __init__(self, budget: int = 256 * 1024**2) -> None:
        """Keep at most `budget` bytes; a style of five layers takes 2.4 MB."""
        self.budget, self.used, self.hits, self.misses = budget, 0, 0, 0
        self._kept: OrderedDict[Hashable, Grams] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Grams]) -> Grams:
        """Return what is kept under a key, which names everything that decides it, or else what `compute` returns."""
        if key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        self.misses += 1
        grams = compute()
        if _bytes(grams) > self.budget:
            return grams
        self._kept[key] = grams
        self.used += _bytes(grams)
        while self.used > self.budget:
            _, dropped = self._kept.popitem(last=False)
            self.used -= _bytes(dropped)
        return grams


def _bytes(grams: Grams) -> int:
    """Return the size of Gram matrices in bytes."""
    return sum(G.numel() * G.element_size() for G in grams.values())
