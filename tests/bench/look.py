"""`python -m tests.bench.look`: what the borders of pictures look like, and what the ratio of two weights gives.

Pictures are given by folders; without any, those that are drawn and shipped. With `--pictures` results are written too,
since figures do not tell which of them looks best.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jobs.pictures import draw, photographs
from nst_kernel import LAYERS, Pair, StyleParams, StylizeResult, Vgg19, Weights, load_weights, stylize_batch, to_uint8
from nst_kernel.encoder import Border
from nst_kernel.encoder.statistics import Gram
from nst_kernel.pictures import fit, resize, to_tensor
from tests.bench.__main__ import cpu_name

RESULTS = Path(__file__).parent / "results" / "look.json"
BORDERS: tuple[Border, ...] = ("zero", "reflect", "replicate")
MARGIN = 8
"""Pixels by which the content is continued on each side, as in a mirror, and that are cut off afterwards."""
RATIOS = (1e3, 1e5, 1e7)
"""Weights of the style, beta, for alpha = 1."""


class InnerGram(Gram):
    """Gram matrices without the outermost positions of each layer: a weight of 0 at the border."""

    def of(self, F: Tensor, M: int, dtype: torch.dtype) -> Tensor:
        """Return G/M of the inner positions; there is no ring around F, as for the border `zero` alone."""
        inner = F[:, :, 1:-1, 1:-1]
        return super().of(inner, inner[0, 0].numel(), dtype)

    def back(self, F: Tensor, gradient: Tensor, M: int, *, plus: Tensor | None = None, border: Border) -> Tensor:
        """Return the gradient, which is 0 at the outermost positions."""
        inner = F[:, :, 1:-1, 1:-1].contiguous(memory_format=torch.channels_last)
        term = nnf.pad(super().back(inner, gradient, inner[0, 0].numel(), border=border), (1, 1, 1, 1))
        return term if plus is None else plus.add_(term)


def candidates() -> dict[str, tuple[Border, int, Gram]]:
    """By name: the padding of convolutions, the margin in pixels, and the statistic of the style."""
    plain = Gram()
    return {
        **{name: (name, 0, plain) for name in BORDERS},
        "zero, border weight 0": ("zero", 0, InnerGram()),
        f"zero, margin of {MARGIN} px": ("zero", MARGIN, plain),
    }


def transfer(
    content: Tensor, style: Tensor, weights: Weights, params: StyleParams, candidate: tuple[Border, int, Gram]
) -> StylizeResult:
    """A result without its margin."""
    border, margin, statistic = candidate
    if margin:
        content = nnf.pad(content.unsqueeze(0), (margin,) * 4, mode="reflect")[0]
    with (
        patch("nst_kernel.objective.objective.border_of", lambda _: border),
        patch("nst_kernel.objective.targets.border_of", lambda _: border),
        patch("nst_kernel.objective.objective.GRAM", statistic),
        patch("nst_kernel.objective.targets.GRAM", statistic),
    ):
        (result,) = stylize_batch([Pair.of(content, style, params)], Vgg19(weights))
    inside = slice(margin, -margin or None)
    return dataclasses.replace(result, image=result.image[inside, inside])


def frame(image: NDArray[Any], depth: int, width: int = 2) -> NDArray[Any]:
    """The pixels (n, 3) of a frame that begins so many pixels from the border."""
    inner = image[depth : len(image) - depth, depth : image.shape[1] - depth]
    sides = inner[:width], inner[-width:], inner[width:-width, :width], inner[width:-width, -width:]
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def spread(image: NDArray[Any]) -> float:
    """Standard deviation of colours within the outer 2 px, over that of frames further inside: 1 without a fringe."""
    within = [frame(image, depth).std(0).mean() for depth in (8, 12, 16, 20)]
    return float(frame(image, 0).std(0).mean() / np.mean(within))


def step(image: NDArray[Any]) -> float:
    """Difference of the outer 2 px to those 4 px further in, smoothed along the border, over that further inside."""
    return float(_difference(image, 0) / np.mean([_difference(image, depth) for depth in (10, 14, 18, 22)]))


def _difference(image: NDArray[Any], depth: int) -> float:
    """Mean difference of a stretch of 9 px at a depth and beside it 4 px further in, over all four sides."""
    found = []
    for turned in (np.rot90(image, k) for k in range(4)):
        outer, inner = (turned[start : start + 2, depth : -depth or None].mean(0) for start in (depth, depth + 4))
        smooth = [np.convolve(outer[:, c] - inner[:, c], np.full(9, 1 / 9), "valid") for c in range(3)]
        found.append(np.abs(smooth).mean())
    return float(np.mean(found))


def fringe(pairs: "Pairs", encoders: Sequence[Weights], iterations: int) -> Iterator[dict[str, Any]]:
    """Each way to treat the border: how its results differ at the border from inside."""
    for weights in encoders:
        for name, candidate in candidates().items():
            for pair, (content, style) in pairs.items():
                params = StyleParams.of(
                    {"iterations": iterations, "min_improvement": 0, "scales": (), **within(weights)}
                )
                result = transfer(content, style, weights, params, candidate)
                figures = {"spread": spread(result.image), "step": step(result.image)}
                yield {"encoder": weights.name, "border": name, "pair": pair, **figures, "image": result.image}


def ratio(pairs: "Pairs", encoders: Sequence[Weights], iterations: int) -> Iterator[dict[str, Any]]:
    """What `gatys2015` makes of a weight of the style: what is left of both losses."""
    for weights in encoders:
        for pair, (content, style) in pairs.items():
            at_start = None
            for beta in (0.0, *RATIOS):
                given = {"preset": "gatys2015", "style_weight": beta, "iterations": iterations, **within(weights)}
                if not beta:  # the style loss of the content itself, which is what there is to lose
                    given |= {"style_weight": 1.0, "init": "content", "iterations": 1}
                result = transfer(content, style, weights, StyleParams.of(given), ("reflect", 0, Gram()))
                losses = result.losses
                if at_start is None:
                    at_start = losses["style"]
                    continue
                left = {"style": losses["style"] / at_start, "content": losses["content"], "of_noise": falls(result)}
                yield {"encoder": weights.name, "beta": beta, "pair": pair, **left, "image": result.image}


def falls(result: StylizeResult) -> dict[str, float]:
    """The total loss after so many evaluations over that at the end, from which it shows how many are enough."""
    total = np.minimum.accumulate(result.curve["total"])
    return {str(count): float(total[count - 1] / total[-1]) for count in (50, 150, 300, 500) if count <= len(total)}


def within(weights: Weights) -> Mapping[str, object]:
    """The layers of the objective, where weights do not reach those that are usual."""
    covered = [layer for layer in LAYERS if layer in weights.convolutions]
    if "conv5_1" in covered:
        return {}
    return {"content_layers": covered[-1:], "style_layers": [layer for layer in covered if layer.endswith("_1")]}


Pairs = Mapping[str, tuple[Tensor, Tensor]]
"""Content and style (3, H, W) by the names of both."""


def pairs_of(contents: Path | None, styles: Path | None, size: int, count: int) -> Pairs:
    """The first pictures of two folders, or of those that are shipped and drawn, as many as asked."""
    photos = photographs() if contents is None else {p.stem: _read(p) for p in sorted(contents.iterdir())}
    painted = ("night", "woodcut", "harvest", "mosaic")
    paintings = (
        {n: draw(n, size) for n in painted} if styles is None else {p.stem: _read(p) for p in sorted(styles.iterdir())}
    )
    chosen = list(zip(photos.items(), paintings.items(), strict=False))[:count]
    return {f"{c} × {s}": (_fitted(photo, size), _fitted(painting, size)) for (c, photo), (s, painting) in chosen}


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def _fitted(picture: NDArray[np.uint8], size: int) -> Tensor:
    x = to_tensor(picture)
    return resize(x, fit(*picture.shape[:2], size=size)).clamp(0, 1)


def options_of(description: str | None, *, size: int, pairs: int) -> argparse.ArgumentParser:
    """Return a parser of what measurements of given pictures have in common, with these defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--contents", type=Path, help="folder of photographs")
    parser.add_argument("--styles", type=Path, help="folder of paintings")
    parser.add_argument("--weights", nargs="+", default=["embedded"], help="as for nst")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    parser.add_argument("--size", type=int, default=size)
    parser.add_argument("--pairs", type=int, default=pairs)
    return parser


def main() -> None:
    """Measure, print, keep as JSON; parts that were not asked for stay as they were measured last."""
    parser = options_of(__doc__, size=256, pairs=4)
    parser.add_argument("--parts", default="fringe,ratio")
    parser.add_argument("--iterations", type=int, default=150)
    options = parser.parse_args()
    pairs = pairs_of(options.contents, options.styles, options.size, options.pairs)
    encoders = [load_weights(weights) for weights in options.weights]
    parts = cast(Mapping[str, Callable[..., Iterator[dict[str, Any]]]], {"fringe": fringe, "ratio": ratio})
    machine = f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    for part in options.parts.split(","):
        figures = []
        for one in parts[part](pairs, encoders, options.iterations):
            image = one.pop("image")
            print({name: round(value, 4) if isinstance(value, float) else value for name, value in one.items()})
            figures.append(one)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                name = "-".join(str(one[key]) for key in ("encoder", "pair", "border", "beta") if key in one)
                Image.fromarray(to_uint8(image)).save(options.pictures / f"{part}-{name}.png")
        about = {"machine": machine, "size": options.size, "iterations": options.iterations}
        kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        kept[part] = {**about, "figures": figures}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
