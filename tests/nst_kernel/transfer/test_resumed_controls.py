"""Transfers with each control that are interrupted twice and go on: to the bit what they are undisturbed."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nst_kernel import PARAMETERS, Interrupted, Observer, Pair, State, StyleParams, stylize_batch
from tests.nst_kernel.transfer.test_mixed_controls import ADAM, BEFORE_PAIRS, CONTROLS, SHARED, pairs_of, with_regions
from tests.nst_kernel.transfer.test_resume import SINGLE, same
from tests.support import pixels

STOPS = (3, 8)
"""Iterations, of ten over two scales, after which a transfer is interrupted: one at each scale."""

PER_SAMPLE: list[dict[str, object]] = [
    *CONTROLS,
    {"style_color": "transport"},
    {"init": "style"},
    {"save_every": 2},
]
"""Controls that the samples of a batch need not share."""

TWO: list[dict[str, object]] = [{"init": "noise", "seed": 4}, {"save_every": 3, "preserve_color": "match"}]

OF_A_BATCH: list[dict[str, object]] = [
    {"tileable": True},
    {"scales": "sqrt2", "min_scale": 16},
    {"iterations": "5, 7"},
    {"window": 3, "min_improvement": 0.2},
    {"objective": "paper"},
    {"objective": "mean"},
    {"statistics": "covariance"},
    {"statistics": "w2"},
    {"pooling": "max"},
    {"precision": "fp32"},
    {"precision": "tf32"},
    {"precision": "bf16"},
    {"content_layers": "conv1_2, conv2_1", "style_layers": "conv1_1"},
    {"history": 2},
    {"learn_curvature": False},
]
"""Controls that the samples of a batch share."""

ELSEWHERE = {
    **BEFORE_PAIRS,
    "content_mask": "its pictures are fetched; their regions are in a batch",
    "style_mask": "as content_mask",
    "animation": "is made of pictures on the way",
}
"""Parameters that a transfer knows nothing of, and why."""


def cut_out() -> list[Pair]:
    """A content and a style that are transparent in parts."""
    params = StyleParams.of({**SHARED, "transparency": "keep"})
    left = (torch.arange(32) < 20).float().expand(16, 32)
    return [Pair.of(pixels(0, 16, 32), pixels(1, 20, 28), params).cut_out(left, [None])]


BATCHES: dict[str, Callable[[], list[Pair]]] = {
    "per sample": lambda: pairs_of(PER_SAMPLE),
    "Adam": lambda: pairs_of(ADAM, optimizer="adam"),
    "regions": with_regions,
    "transparency": cut_out,
    **{str(shared): partial(pairs_of, TWO, **shared) for shared in OF_A_BATCH},
}


class Watching(Observer):
    """Keeps pictures on the way, and stops after so many iterations."""

    wants_frames = True

    def __init__(self, when: int) -> None:
        self.when, self.done = when, 0
        self.pictures: dict[tuple[int, int], NDArray[np.float32]] = {}

    def iteration(self, done: int, total: int) -> None:
        self.done = done

    @property
    def stop(self) -> bool:
        return self.done == self.when

    def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
        self.pictures[sample, evaluation] = picture


def stopped(pairs: Sequence[Pair], when: int, state: State | None) -> tuple[State, Watching]:
    watching = Watching(when)
    with pytest.raises(Interrupted) as stop:
        stylize_batch(pairs, SINGLE, observer=watching, resume=state)
    return State.from_bytes(stop.value.state.to_bytes()), watching


@pytest.mark.parametrize("name", BATCHES)
def test_a_control_goes_on_as_if_nothing_had_been(name: str) -> None:
    pairs, state, parts = BATCHES[name](), None, list[Watching]()
    undisturbed, whole = stylize_batch(pairs, SINGLE, observer=(watched := Watching(-1))), watched.pictures
    for when in STOPS:
        state, part = stopped(pairs, when, state)
        parts.append(part)
    parts.append(Watching(-1))
    assert same(stylize_batch(pairs, SINGLE, observer=parts[-1], resume=state), undisturbed)
    pictures = {key: picture for part in parts for key, picture in part.pictures.items()}
    assert pictures.keys() == whole.keys()
    assert all(np.array_equal(picture, whole[key]) for key, picture in pictures.items())


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in ELSEWHERE])
def test_every_choice_of_a_control_is_interrupted(name: str) -> None:
    """A new parameter belongs into a batch above, or to those that a transfer knows nothing of."""
    taken = {getattr(pair.params, name) for make in BATCHES.values() for pair in make()}
    if PARAMETERS[name].choices:
        assert {str(value).lower() for value in taken} == {str(choice) for choice in PARAMETERS[name].choices}
    else:
        assert len(taken) > 1
