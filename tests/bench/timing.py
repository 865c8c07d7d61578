"""Milliseconds per pair and evaluation: the reference, ours, and what the convolutions alone take."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from jobs.pictures import draw
from nst_kernel import LAYERS, StyleParams, Vgg19, Weights
from nst_kernel.cost import macs_per_pixel
from nst_kernel.encoder.precision import Precision, computing_in, resolve_precision
from nst_kernel.objective.objective import Objective
from nst_kernel.objective.targets import Targets, content_features, style_grams
from nst_kernel.optimisers.lbfgs import LBFGS
from nst_kernel.pictures.tensors import to_tensor
from nst_kernel.transfer.cuda_graph import Repeated
from nst_kernel.transfer.one_scale import descend
from tests.bench.reference import Transfer

SETTINGS: Mapping[str, object] = {
    "scales": (),
    "min_improvement": 0.0,
    "tv_weight": 0.0,
    "range_weight": 0.0,
    "content_weight": 0.05,
}
"""What the reference can do too."""

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def pictures(size: int, count: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Pairs of content and style (3, size, size) in [0, 1]; a few are drawn, which takes a second each, and shifted."""
    drawn = [
        (to_tensor(draw("lake", size, seed)).to(device), to_tensor(draw("night", size, seed)).to(device))
        for seed in range(min(count, 4))
    ]
    return [(c.roll(n, 1), s.roll(n, 1)) for n in range(count) for c, s in (drawn[n % len(drawn)],)]


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, until the device is done."""
    synchronise(device)
    clock = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - clock


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def per_evaluation(
    weights: Weights, device: torch.device, size: int, *, rounds: int, evaluations: int
) -> list[dict[str, Any]]:
    """Each candidate at one size: median milliseconds, how much faster than the reference, share of its floor."""
    encoder = Vgg19(weights).to(device)
    cuda = device.type == "cuda"
    counts = [1, 4, 16, 32] if cuda else [1, 2, 4] if size < 512 else [1, 2]
    pairs = pictures(size, max(counts), device)
    content, style = (picture.unsqueeze(0) for picture in pairs[0])
    plain = StyleParams.of({**SETTINGS, "size": size})
    reference = Transfer(content, style, weights, plain)

    def ours(count: int, **parameters: object) -> tuple[int, Callable[[], object]]:
        params = [StyleParams.of({**SETTINGS, "size": size, **parameters})] * count
        x = torch.stack([c for c, _ in pairs[:count]])
        style = [style_grams(encoder, s.unsqueeze(0), params[0]) for _, s in pairs[:count]]
        targets = Targets(
            content_features(encoder, x, params[0]),
            {layer: torch.cat([grams[layer] for grams in style]) for layer in params[0].style_layers},
        )
        objective = Objective(encoder, targets, params)
        precision = resolve_precision(params[0].precision, device)

        def run() -> None:
            with computing_in(precision):
                descend(objective, x, params, iterations=evaluations)

        return count * evaluations, run

    candidates: dict[str, tuple[int, Callable[[], object]]] = {
        "reference": (evaluations, under("fp32", lambda: reference.optimise(evaluations))),
        "ours, 1 pair, fp32": ours(1, precision="fp32"),
        **{f"ours, {n} pair{'s' * (n > 1)}, bf16": ours(n, precision="bf16") for n in counts},
        "ours, 1 pair, bf16, Adam": ours(1, precision="bf16", optimizer="adam"),
    }
    repeats = min(evaluations, 50)  # each takes as long as the others
    for name, dtype in TYPES.items():
        # As is fastest there; in fp32 cuDNN's trial of algorithms for many pictures takes minutes.
        together = torch.cat([c.unsqueeze(0) for c, _ in pairs[:16]]) if cuda and name == "bf16" else content
        candidates[f"convolutions alone, {name}"] = convolutions(weights, together, plain, dtype, repeats=repeats)
    candidates["reference's convolutions and Gram products"] = convolutions(
        weights, content, plain, torch.float32, repeats=repeats, as_reference=True
    )
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):  # the first one warms up
        for name in list(candidates) if turn % 2 else list(reversed(candidates)):
            units, run = candidates[name]
            spent = timed(run, device) / units
            if turn:
                seconds[name].append(spent)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    floor = {name: median[f"convolutions alone, {name}"] for name in TYPES}
    operations = 4 * macs_per_pixel(plain) * size * size  # two for a multiply-add, forward and back
    return [
        {
            "size": size,
            "what": name,
            "ms": 1000 * value,
            "speedup": median["reference"] / value,
            "of_floor": floor["bf16" if "bf16" in name else "fp32"] / value,
            "tflops": operations / value / 1e12,
        }
        for name, value in median.items()
    ]


def convolutions(
    weights: Weights,
    content: Tensor,
    params: StyleParams,
    dtype: torch.dtype,
    *,
    repeats: int,
    as_reference: bool = False,
) -> tuple[int, Callable[[], None]]:
    """The floor: forward and backward-data of the convolutions that `params` needs, and the poolings between.

    Of all pictures of `content` (B, 3, H, W) together; for each of them one counts. With `as_reference` in contiguous
    tensors, and with the three matrix products that autograd makes of each Gram.
    """
    depth = 1 + max(LAYERS.index(layer) for layer in params.layers)
    layout = torch.contiguous_format if as_reference else torch.channels_last
    filters = {}
    for layer in LAYERS[:depth]:
        weight, bias = (tensor.to(content.device, dtype) for tensor in weights.convolutions[layer])
        filters[layer] = weight.contiguous(memory_format=layout), bias
    x = content.to(dtype, memory_format=layout, copy=True).requires_grad_()

    def run() -> None:
        for _ in range(repeats):
            h = x
            for layer, (weight, bias) in filters.items():
                if layer.endswith("_1") and layer != "conv1_1":
                    h = nnf.avg_pool2d(h, 2)
                # Without biases, which take a pass of their own on a GPU: ours are added within the convolution.
                h = nnf.conv2d(h, weight, bias if as_reference else None, padding=1)
                if as_reference and layer in params.style_layers:
                    flat = h.detach().flatten(2).squeeze(0)
                    G = flat @ flat.T
                    G @ flat
                    flat.T @ G
            torch.autograd.grad(h, x, h.detach())

    return len(content) * repeats, under("fp32" if dtype is torch.float32 else "bf16", run)


def under(precision: Precision, run: Callable[[], object]) -> Callable[[], None]:
    """The same with cuDNN at its best: with a trial of its algorithms, which ours makes in bf16 alone; without TF32."""

    def whole() -> None:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=precision == "tf32"):
            run()

    return whole


def optimiser_share(size: int, count: int, per_pair_ms: float, device: torch.device) -> dict[str, float]:
    """Milliseconds of a step of L-BFGS with a full history for a batch, and its share of the whole iteration."""
    history = StyleParams().history
    optimiser = LBFGS(
        history=history,
        learning_rate=torch.ones(count, device=device),
        first_step=0.005,
        max_step=0.05,
        learns_curvature=True,
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, size, size, generator=generator).to(device)
    goal = torch.rand(count, 3, size, size, generator=generator).to(device)
    never = torch.zeros(count, dtype=torch.bool, device=device)
    for _ in range(history + 2):
        x = optimiser.step(x, x - goal, never)
    step = Repeated(lambda: _move(x, optimiser.step(x, x - goal, never)), device)
    for _ in range(4):
        step()
    spent = 1000 * statistics.median(timed(step, device) for _ in range(9))
    return {"size": size, "pairs": count, "ms": spent, "share": spent / (per_pair_ms * count)}


def matmul_rate(device: torch.device) -> float:
    """Multiplications and additions per second of a large bf16 matrix product, the bound of any convolution."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.rand(n, n, device=device).bfloat16()
    a @ a
    return 2 * n**3 / statistics.median(timed(lambda: a @ a, device) for _ in range(9))


def _move(x: Tensor, there: Tensor) -> None:
    x.copy_(there)
