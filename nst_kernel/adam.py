"""Adam (Kingma and Ba, 2015) with a learning rate per sample, which torch's has not."""

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Steps for x (B, ...), given the gradient of each sample's own loss."""

    def __init__(self, *, learning_rate: Tensor) -> None:
        """`learning_rate` is (B,)."""
        self.learning_rate = learning_rate.unsqueeze(1)
        self.state: tuple[Tensor, Tensor, Tensor] | None = None  # moments m, v (B, D), steps (B, 1)

    def step(self, x: Tensor, gradient: Tensor, restart: Tensor) -> Tensor:
        """The next x. Samples where `restart` (B,) is true forget their moments first."""
        g = gradient.flatten(1)
        m, v, t = self.state or (torch.zeros_like(g), torch.zeros_like(g), torch.zeros_like(g[:, :1]))
        keep = (~restart).unsqueeze(1).to(g.dtype)
        t = t * keep + 1
        m = BETA1 * (m * keep) + (1 - BETA1) * g
        v = BETA2 * (v * keep) + (1 - BETA2) * g.square()
        self.state = m, v, t
        unbiased = m / (1 - BETA1**t), v / (1 - BETA2**t)
        return x - (self.learning_rate * unbiased[0] / (unbiased[1].sqrt() + EPSILON)).view_as(x)
