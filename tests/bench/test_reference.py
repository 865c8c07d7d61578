"""The benchmark compares like with like: its plain implementation has our objective and our optimiser's path."""

import torch

from nst_kernel import Pair, StyleParams, Vgg19, stylize_batch
from tests.bench.reference import optimise
from tests.support import pixels, random_weights


def test_the_reference_minimises_the_same_objective() -> None:
    weights = random_weights(deepest="conv4_2", narrower=8)
    params = StyleParams(size=48, iterations=(12,), scales=(), tv_weight=0, precision="fp32")
    content, style = pixels(1, 32, 48, torch.float32), pixels(2, 40, 48, torch.float32)
    _, curve = optimise(content.unsqueeze(0), style.unsqueeze(0), weights, params, evaluations=12)
    (ours,) = stylize_batch([Pair.of(content, style, params)], Vgg19(weights))
    assert abs(curve[0] - ours.curve["total"][0]) < 1e-4 * curve[0]
    assert len(curve) == 12
    assert min(curve) < 0.9 * curve[0]
