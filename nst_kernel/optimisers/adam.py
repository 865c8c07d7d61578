"""Adam (Kingma and Ba, 2015) with a learning rate and a second beta per sample, which torch's has not."""

from collections.abc import Sequence

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam for a batch of independent samples.

    Attributes:
        state: moments `m` and `v` (B, D) and steps made `t` (B, 1), empty before the first step; they change in place,
            so that a step can be replayed as a CUDA graph.
    """

    def __init__(self, *, learning_rate: Tensor, beta2: Sequence[float] | None = None) -> None:
        """Take the `learning_rate` (B,) and the second beta of each sample; None: the paper's, 0.999."""
        self.learning_rate = learning_rate.unsqueeze(1)
        past = [[beta] for beta in beta2 or (BETA2,) * len(learning_rate)]
        self.beta2 = learning_rate.new_tensor(past)
        self.new = learning_rate.new_tensor([[1 - beta] for (beta,) in past])  # not 1 - beta2, rounded before
        self.state: dict[str, Tensor] = {}

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """Return the pixels after one step (algorithm 1 of the paper).

        Args:
            x: values (B, ...).
            gradient: of each sample's own loss, of the shape of x.
            restart: (B,), true for samples that forget their moments before the step.
        """
        g = gradient.flatten(1)
        if not self.state:
            self.state = {"m": torch.zeros_like(g), "v": torch.zeros_like(g), "t": torch.zeros_like(g[:, :1])}
        m, v, t = self.state["m"], self.state["v"], self.state["t"]
        for tensor in (m, v, t):
            tensor.masked_fill_(restart.unsqueeze(1), 0.0)
        t.add_(1)
        m.mul_(BETA1).add_(g, alpha=1 - BETA1)
        v.mul_(self.beta2).addcmul_(g * self.new, g)
        deviation = (v / (1 - self.beta2**t)).sqrt_().add_(EPSILON)
        return x - (self.learning_rate / (1 - BETA1**t) * m / deviation).view_as(x)

    def select(self, samples: Tensor) -> None:
        """Keep the state of these samples alone, given by index (n,)."""
        self.learning_rate, self.beta2, self.new = (
            tensor[samples] for tensor in (self.learning_rate, self.beta2, self.new)
        )
        self.state = {name: tensor[samples] for name, tensor in self.state.items()}
