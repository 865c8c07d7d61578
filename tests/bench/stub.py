"""A kernel that only seems to be one: what everything around the kernel costs can be measured with it."""

import time

import numpy as np

from nst_kernel.result import StylizeResult
from pipeline.planning.batch import Failure, Fetched, Optimised, Pictures

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1")


class StubKernel:
    """Gives every row its content back, after so many seconds for a batch, with curves as long as real ones."""

    def __init__(self, weights: str, *, seconds: float = 0.0, evaluations: int = 150, **_: object) -> None:
        self.seconds = seconds
        names = ["total", "content", "style", *(f"style/{layer}" for layer in LAYERS)]
        self.curve = {name: np.random.default_rng(0).random(evaluations) for name in names}
        self.free_since: float | None = None  # what it waits for its first batch is the start of everything

    def __call__(self, fetched: Fetched) -> Optimised:
        """No row fails here that had its pictures."""
        began = time.perf_counter()
        time.sleep(self.seconds)
        outcomes = tuple(self._result(pictures) for pictures in fetched.pictures)
        waited = 0.0 if self.free_since is None else began - self.free_since
        self.free_since = time.perf_counter()
        return Optimised(fetched, outcomes, "stub", "fp32", self.free_since - began, waited)

    def _result(self, pictures: Pictures | Failure) -> StylizeResult | Failure:
        if isinstance(pictures, Failure):
            return pictures
        picture = pictures.style[0] if pictures.content is None else pictures.content
        assert picture is not None
        losses = {name: float(values[-1]) for name, values in self.curve.items()}
        return StylizeResult(picture, False, losses, self.curve, len(self.curve["total"]))
