"""Style transfer as the published implementations do it, written plainly: what ours is measured against.

One pair at a time, fp32, contiguous tensors, `torch.optim.LBFGS` with its usual history of 100, losses in a closure
that asks the device for their value at every step. The objective is the one of `StyleParams(objective="relative")`.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from nst_kernel.encoder.weights import IMAGENET_DEVIATION, IMAGENET_MEAN, Weights
from nst_kernel.layers import LAYERS
from nst_kernel.params.style_params import StyleParams


class PlainVgg(nn.Module):
    """VGG-19's convolutions, ReLUs and average poolings up to the deepest layer asked for."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Weights, wanted: Sequence[str]) -> None:
        super().__init__()
        self.wanted = wanted
        self.depth = max(LAYERS.index(layer) for layer in wanted) + 1
        border: Literal["reflect", "replicate"] = "replicate" if weights.border == "replicate" else "reflect"
        self.convolutions = nn.ModuleDict()
        for layer in LAYERS[: self.depth]:
            weight, bias = weights.convolutions[layer]
            convolution = nn.Conv2d(weight.shape[1], len(weight), 3, padding=1, padding_mode=border)
            convolution.load_state_dict({"weight": weight, "bias": bias})
            self.convolutions[layer] = convolution
        for name, values in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Activations by layer of normalised pictures (1, 3, H, W)."""
        x = (x - self.mean) / self.deviation
        features = {}
        for layer, convolution in self.convolutions.items():
            if layer.endswith("_1") and layer != "conv1_1":
                x = nnf.avg_pool2d(x, 2)
            x = nnf.relu(convolution(x), inplace=True)
            if layer in self.wanted:
                features[layer] = x
        return features


def gram(features: Tensor) -> Tensor:
    """Gram matrix of (1, N, H, W), per position."""
    flat = features.flatten(2).squeeze(0)
    return flat @ flat.T / flat.shape[1]


class Transfer:
    """One pair: its targets, taken once, and the picture (1, 3, H, W) that starts as its content."""

    def __init__(self, content: Tensor, style: Tensor, weights: Weights, params: StyleParams) -> None:
        self.params, self.x = params, content.clone(memory_format=torch.contiguous_format).requires_grad_()
        self.network = PlainVgg(weights, (*params.content_layers, *params.style_layers)).to(content.device)
        with torch.no_grad():
            features = self.network(content)
            self.targets = {layer: features[layer] for layer in params.content_layers}
            features = self.network(style)
            self.grams = {layer: gram(features[layer]) for layer in params.style_layers}

    def loss(self) -> Tensor:
        """Of the picture as it is."""
        features, params = self.network(self.x), self.params
        content_loss = self.x.new_zeros(())
        for layer, target in self.targets.items():
            share = 0.5 * (features[layer] - target).square().sum() / target.square().sum()
            content_loss = content_loss + share / len(self.targets)
        style_loss = self.x.new_zeros(())
        for layer, target in self.grams.items():
            share = (gram(features[layer]) - target).square().sum() / target.square().sum()
            style_loss = style_loss + share / len(self.grams)
        return params.content_weight * content_loss + params.style_weight * style_loss

    def optimise(self, evaluations: int, tick: Callable[[], object] = lambda: None) -> list[float]:
        """So many more evaluations; the loss of each. `tick` is called after each."""
        optimizer = torch.optim.LBFGS(
            [self.x], max_iter=evaluations, max_eval=evaluations, tolerance_grad=0, tolerance_change=0, history_size=100
        )
        curve: list[float] = []

        def closure() -> float:
            optimizer.zero_grad()
            loss = self.loss()
            torch.autograd.backward(loss)
            curve.append(loss.item())
            tick()
            return curve[-1]

        step: Callable[[Callable[[], float]], object] = optimizer.step
        step(closure)
        return curve


def optimise(
    content: Tensor,
    style: Tensor,
    weights: Weights,
    params: StyleParams,
    *,
    evaluations: int,
    tick: Callable[[], object] = lambda: None,
) -> tuple[Tensor, list[float]]:
    """The picture (1, 3, H, W) and the loss of every evaluation, starting from the content (1, 3, H, W)."""
    transfer = Transfer(content, style, weights, params)
    curve = transfer.optimise(evaluations, tick)
    return transfer.x.detach(), curve
