"""`python -m tests.bench.stopping`: when nothing changes any more, and where runs end by themselves.

Each pair is optimised for a thousand evaluations, at one scale. Contents and styles are those of folders, if any are
given, and drawn ones. With `--pictures` the pictures on the way are written too: figures do not tell what one sees.
"""

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.metrics import structural_similarity

from jobs.pictures import draw
from nst_kernel import Observer, Pair, StyleParams, Vgg19, load_weights, stylize_batch, to_uint8
from nst_kernel.pictures import to_tensor
from tests.bench.__main__ import cpu_name
from tests.bench.look import options_of, within

RESULTS = Path(__file__).parent / "results" / "stopping.json"
MARKS = (20, 40, 60, 80, 100, 150, 300, 1000)
"""Evaluations after which losses and pictures are compared with those after the last of them."""
SHARES = (0.005, 0.01, 0.02)
"""Values of `min_improvement`."""
DRAWN = ("lake", "town", "night", "mosaic")

Picture = NDArray[np.uint8]


class Marks(Observer):
    """Keeps the pictures at some evaluations."""

    wants_frames = True

    def __init__(self) -> None:
        self.pictures: dict[int, Picture] = {}

    def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
        """Keep a picture, if it is one of `MARKS`."""
        if evaluation in MARKS:
            self.pictures[evaluation] = to_uint8(picture)


def measure(content: Picture, style: Picture, encoder: Vgg19, params: StyleParams) -> tuple[dict[str, Any], Marks]:
    """Return the figures of one pair, and its pictures at `MARKS`."""
    marks = Marks()
    (result,) = stylize_batch([Pair.of(to_tensor(content), to_tensor(style), params)], encoder, observer=marks)
    marks.pictures[MARKS[-1]] = last = to_uint8(result.image)
    best = np.minimum.accumulate(result.curve["total"])
    ends = {share: end(best, share, StyleParams().window) for share in SHARES}
    figures = {
        "loss": {mark: float(best[mark - 1] / best[-1]) for mark in MARKS},
        "ssim": {mark: likeness(marks.pictures[mark], last) for mark in MARKS},
        "ends": ends,
        "loss_at_end": {share: float(best[k - 1] / best[-1]) for share, k in ends.items()},
    }
    return figures, marks


def likeness(a: Picture, b: Picture) -> float:
    """Return the structural similarity of two pictures, at most 1."""
    similarity: Any = structural_similarity
    return float(similarity(a, b, channel_axis=2))


def end(best: Sequence[float] | NDArray[np.float64], share: float, window: int) -> int:
    """Return after how many evaluations a descent ends of which these are the least losses so far."""
    for k in range(window, len(best)):
        if best[k - window] - best[k] < share * abs(best[k - window]):
            return k + 1
    return len(best)


def medians(figures: Sequence[Mapping[str, Mapping[Any, float]]]) -> dict[str, dict[str, float]]:
    """Return the median over pairs of each figure, by its name and mark."""
    return {
        name: {str(mark): statistics.median(one[name][mark] for one in figures) for mark in figures[0][name]}
        for name in figures[0]
    }


def pairs_of(contents: Path | None, styles: Path | None, size: int, count: int) -> list[tuple[Picture, Picture]]:
    """Return so many pairs of square pictures (size, size, 3): each picture in turn with the next one of the others."""

    def pictures(folder: Path | None, seed: int) -> list[Picture]:
        read = [_read(path, size) for path in sorted(folder.iterdir())] if folder else []
        return [*read, *(draw(name, size, seed) for name in DRAWN)]

    found = zip(itertools.cycle(pictures(contents, 1)), itertools.cycle(pictures(styles, 2)), strict=False)
    return list(itertools.islice(found, count))


def _read(path: Path, size: int) -> Picture:
    with Image.open(path) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size)))


def main() -> None:
    """Measure with each encoder, print, keep as JSON; encoders that were not asked for stay as they were."""
    options = options_of(__doc__, size=128, pairs=12).parse_args()
    machine = f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    for name in options.weights:
        weights = load_weights(name)
        params = StyleParams.of(
            {
                "size": options.size,
                "scales": (),
                "iterations": MARKS[-1],
                "min_improvement": 0,
                "precision": "fp32",
                "save_every": math.gcd(*MARKS),
                **within(weights),
            }
        )
        figures = []
        for number, pair in enumerate(pairs_of(options.contents, options.styles, options.size, options.pairs)):
            found, marks = measure(*pair, Vgg19(weights), params)
            figures.append(found)
            print(weights.name, number, json.dumps(found), flush=True)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                for mark, picture in marks.pictures.items():
                    Image.fromarray(picture).save(options.pictures / f"{weights.name}-{number}-{mark}.png")
        kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        kept[weights.name] = {"machine": machine, "size": options.size, "pairs": len(figures), **medians(figures)}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
