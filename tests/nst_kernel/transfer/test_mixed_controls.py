"""All controls that samples need not share, in one batch: each sample is what it is alone, on a CPU and on a GPU."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_kernel import PARAMETERS, Pair, Style, StyleParams, Vgg19, stylize_batch
from tests.support import encoder, pixels, random_weights

H, W = 16, 32
SHARED: dict[str, object] = {
    "style_layers": "conv1_1, conv2_1",
    "content_layers": "conv2_1",
    "iterations": 5,
    "scales": "24",
    "min_improvement": 1e-9,
    "window": 2,
}
DOUBLE = encoder("conv2_1", torch.float64, narrower=8)
CONTENT, STYLE, OTHER = pixels(0, H, W), pixels(1, 20, 28), pixels(2, 24, 24)

CONTROLS: list[dict[str, object]] = [
    {},
    {"content_weight": 3, "style_weight": 7, "layer_weights": "1, 3", "content_layer_weights": "2"},
    {"tv_form": "sum", "tv_weight": 0.1, "range_weight": 2, "learning_rate": 0.5},
    {"tv_form": "nine_point", "init": "noise", "seed": 3},
    {"laplacian_weight": 10, "laplacian_pools": "2, 4", "tv_weight": 0},
    {"style_blend_weights": "1, 3"},
    {"preserve_color": "luminance", "init": "noise"},
    {"preserve_color": "match"},
    {"preserve_color": "transport"},
    {"preserve_color": "luminance_after"},
    {"style_color": "match"},
    {"init": "grey", "init_noise": 0.3, "seed": 5},
    {"min_improvement": 0.5},
]
BEFORE_PAIRS = {
    "preset": "fills in the others",
    "size": "shapes pictures before they are pairs",
    "upscale": "as size",
    "aspect_tolerance": "as size",
    "style_scale": "as size",
    "style_upscale": "as size",
}
"""Parameters that are used up before there are pairs, and how."""

ELSEWHERE = {
    **BEFORE_PAIRS,
    "style_mask": "its pictures are fetched, not computed",
    "mask_mode": "in the batch with regions",
    "save_every": "shows pictures, and changes none",
    "animation": "as save_every",
}
ADAM: list[dict[str, object]] = [
    {},
    {"averaging": 0.9, "adam_beta2": 0.99},
    {"averaging": 0.5, "preserve_color": "luminance", "clamp": True},
]


def pairs_of(controls: Sequence[dict[str, object]], **shared: object) -> list[Pair]:
    pairs = []
    for given in controls:
        params = StyleParams.of({**SHARED, **shared, **given})
        styles = [STYLE, OTHER] if "style_blend_weights" in given else [STYLE]
        pairs.append(Pair.of(CONTENT, styles, params))
    grey = [picture.mean(0, keepdim=True).expand(3, -1, -1) for picture in (CONTENT, STYLE)]
    return [*pairs, Pair.of(grey[0], grey[1], StyleParams.of({**SHARED, **shared}))]


def bands(*widths: int) -> Tensor:
    place = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    return torch.stack([(place == region).double().expand(H, W) for region in range(len(widths))])


def with_regions(**shared: object) -> list[Pair]:
    """Hard and soft masks, both modes, two styles, and a region that keeps its content."""
    everywhere, nowhere = torch.ones(1, 1, 1).double(), torch.zeros(1, 1, 1).double()
    left, both = torch.cat([everywhere, nowhere]), torch.cat([everywhere, everywhere])
    soft = torch.linspace(0, 1, W).double().expand(H, W)
    found = []
    for given, masks, of_styles in (
        ({}, bands(16, 16), [left, 1 - left]),
        ({"mask_mode": "inside", "tv_weight": 0.1}, bands(20, 12), [both, both]),
        ({"preserve_color": "match"}, torch.stack([soft, 1 - soft]), [both, both]),
        ({"content_weight": 3}, bands(10, 22), [left, left]),
    ):
        params = StyleParams.of({**SHARED, **shared, **given})
        found.append(Pair.of(CONTENT, [STYLE, OTHER], params).within(masks, of_styles))
    return found


BATCHES: dict[str, Callable[..., list[Pair]]] = {
    "L-BFGS": lambda **shared: pairs_of(CONTROLS, **shared),
    "Adam": lambda **shared: pairs_of(ADAM, optimizer="adam", **shared),
    "regions": with_regions,
}


def test_every_control_of_a_sample_is_in_a_batch() -> None:
    free = {name for name, parameter in PARAMETERS.items() if parameter.per_sample}
    mixed = {name for given in (*CONTROLS, *ADAM) for name in given}
    assert free - mixed == ELSEWHERE.keys()


@pytest.mark.parametrize("name", BATCHES)
def test_each_is_what_it_is_alone(name: str) -> None:
    pairs = BATCHES[name]()
    for pair, together in zip(pairs, stylize_batch(pairs, DOUBLE), strict=True):
        (alone,) = stylize_batch([pair], DOUBLE)
        assert together.losses == pytest.approx(alone.losses, rel=1e-6)
        np.testing.assert_allclose(together.image, alone.image, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shared", [{}, {"statistics": "covariance"}, {"statistics": "w2"}, {"objective": "mean"}])
@pytest.mark.parametrize("name", BATCHES)
def test_a_gpu_makes_what_a_cpu_makes(name: str, shared: dict[str, object]) -> None:
    """In fp32, with few evaluations: each step of L-BFGS magnifies rounding."""
    pairs = BATCHES[name](precision="fp32", scales="", iterations=3, **shared)
    on_cpu = stylize_batch(pairs, encoder("conv2_1", torch.float32))
    moved = [_moved(pair) for pair in pairs]
    on_gpu = stylize_batch(moved, Vgg19(random_weights(0, "conv2_1")).to("cuda"))
    for cpu, gpu in zip(on_cpu, on_gpu, strict=True):
        assert gpu.curve["total"][0] == pytest.approx(cpu.curve["total"][0], rel=2e-3)
        assert gpu.losses["total"] == pytest.approx(cpu.losses["total"], rel=0.02)
        np.testing.assert_allclose(gpu.image, cpu.image, atol=0.03)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("shared", [{}, {"tileable": True}, {"statistics": "w2"}, {"pooling": "max"}])
def test_on_a_gpu_losses_fall_with_every_control(shared: dict[str, object], precision: str) -> None:
    """Replayed as graphs, at sizes and types that its own kernels serve."""
    gpu = Vgg19(random_weights(0, "conv2_1")).to("cuda")
    for name, batch in BATCHES.items():
        pairs = [_moved(pair) for pair in batch(precision=precision, iterations=12, scales="", **shared)]
        for result in stylize_batch(pairs, gpu):
            assert np.isfinite(result.image).all(), name
            assert result.losses["total"] < result.curve["total"][0], name


def _moved(pair: Pair) -> Pair:
    styles = tuple(
        Style(each.picture.cuda().float(), each.weight, masks=None if each.masks is None else each.masks.cuda().float())
        for each in pair.styles
    )
    masks = None if pair.masks is None else pair.masks.cuda().float()
    assert pair.content is not None
    return Pair(pair.content.cuda().float(), styles, pair.params, masks=masks)
