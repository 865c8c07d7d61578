"""CUDA graphs: a step that is repeated hundreds of times, launched as one."""

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

WARM_UP = 3
"""Calls before a step is captured: cuDNN tries its algorithms, and tensors that are made once are made."""


class Repeated:
    """Calls `step` repeatedly; `step` works in place on tensors that keep their memory addresses.

    On CUDA the calls after the first few replay a graph of it: at small sizes the time goes into launching a few
    hundred kernels, not into running them. Elsewhere, and where the driver refuses to capture (which is logged), it
    is called as it is.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self.step, self.calls = step, 0
        self.captures = device.type == "cuda"
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Make the step once more."""
        self.calls += 1
        if self.captures and self.graph is None and self.calls > WARM_UP:
            self._capture()
        if self.graph is not None:
            self.graph.replay()
        else:
            self.step()

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.step()
            self.graph = graph
        except torch.OutOfMemoryError:
            raise  # less memory, not another way, is what helps
        except RuntimeError as error:
            log.warning("no CUDA graph of this step, which is launched kernel by kernel instead: %s", error)
            self.captures = False
