"""The filters of one convolution, laid out for the way through it and for the way back."""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from nst_kernel import gpu

CHANNELS = 16, 8
"""Channels of the first convolution's input and gradient, in parts: multiples of 8, which GPUs' kernels ask for."""


class Filters:
    """The filters (N, C, 3, 3) and biases (N,) of one convolution, in the type in which it computes."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """Convert filters to `dtype` and lay them out."""
        self.bias = bias.to(dtype)
        self.weight = _channels_last(weight.to(dtype))
        # The way back is a convolution too, with filters that are turned around. For torch's own backward activations
        # that are channels last would be rearranged, which on a GPU takes longer than the convolution.
        self.adjoint = _channels_last(weight.flip(2, 3).transpose(0, 1).to(dtype))

    def convolve(self, x: Tensor, padding: int) -> Tensor:
        """Return the activation before the ReLU of x (B, C, H, W); autograd finds the way back."""
        return nnf.conv2d(self.entering(x), self.weight, self.bias, padding=padding)

    def activate(self, x: Tensor) -> Tensor:
        """Return the activation after the ReLU of x (B, C, H, W), padded with zeros; autograd does not see it."""
        x = self.entering(x)
        if x.is_cuda and x.dtype == torch.bfloat16:  # in one kernel: torch would add biases in one of their own
            fused: Tensor = torch.cudnn_convolution_relu(x, self.weight, self.bias, (1, 1), (1, 1), (1, 1), 1)
            return fused
        return nnf.conv2d(x, self.weight, self.bias, padding=1).relu_()

    def back(self, g: Tensor) -> Tensor:
        """Return the gradient of the input from that of the activation before the ReLU (B, N, H, W)."""
        return nnf.conv2d(g, self.adjoint, padding=1)

    def entering(self, x: Tensor) -> Tensor:
        """Return the input as these filters read it."""
        return x.to(self.weight.dtype, memory_format=torch.channels_last)


class FirstFilters(Filters):
    """The filters of the first convolution in bf16, which read pixels as if they were not rounded.

    A pixel is the sum of a high and a low part in bf16, to 2⁻¹⁷ of itself, and so are filters and biases. Their
    products, all but low by low, are channels of one convolution, which adds them in fp32.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """Lay filters (N, 3, 3, 3) and biases (N,) out in parts."""
        super().__init__(weight, bias, dtype)
        high, low = _parts(weight, dtype)
        low_bias = torch.zeros_like(low[:, :1])
        low_bias[:, 0, 1, 1] = _parts(bias, dtype)[1]
        self.weight = _channels_last(_padded(torch.cat([high, high, low, low_bias], 1), 1, CHANNELS[0]))
        back = torch.cat([part.flip(2, 3).transpose(0, 1) for part in (high, low)])
        self.adjoint = _channels_last(_padded(back, 0, CHANNELS[1]))

    def activate(self, x: Tensor) -> Tensor:
        """Return the activation after the ReLU of pixels x (B, 3, H, W), padded with zeros."""
        x = self.entering(x)
        return gpu.first_activation(x, self.weight, self.bias) if gpu.serves(x) else super().activate(x)

    def entering(self, x: Tensor) -> Tensor:
        """Return pixels (B, 3, H, W) as channels that are their parts, and a one for the low part of biases."""
        if x.shape[1] == CHANNELS[0]:  # they were split when they were normalised
            return x
        high, low = _parts(x, self.weight.dtype)
        return _channels_last(_padded(torch.cat([high, low, high, torch.ones_like(high[:, :1])], 1), 1, CHANNELS[0]))

    def back(self, g: Tensor) -> Tensor:
        """Return the gradient of pixels in fp32, the sum of those by both parts of the filters."""
        by_part = super().back(g)
        if gpu.serves_activations(by_part):
            return gpu.joined_parts(by_part)
        by_part = by_part.float()
        return by_part[:, :3] + by_part[:, 3:6]


def filters_of(layer: str, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Filters:
    """Return the filters of a layer for convolutions in `dtype`."""
    # Pixels meet their first filters unrounded: that layer is half a percent of the work.
    first = layer == "conv1_1" and dtype == torch.bfloat16
    return (FirstFilters if first else Filters)(weight, bias, dtype)


def _parts(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return x rounded to `dtype`, and what rounding took off it."""
    high = x.to(dtype)
    return high, (x - high).to(dtype)


def _padded(x: Tensor, axis: int, count: int) -> Tensor:
    """Return x with zeros behind its own values along an axis of `count` values in the end."""
    shape = list(x.shape)
    shape[axis] = count - shape[axis]
    return torch.cat([x, x.new_zeros(shape)], axis)


def _channels_last(x: Tensor) -> Tensor:
    """Return x (B, C, H, W) with the values of a position side by side."""
    return x.contiguous(memory_format=torch.channels_last)
