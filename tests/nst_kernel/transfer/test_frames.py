"""Pictures on the way: which there are, what they show, and that resumed transfers repeat and lose none."""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_kernel import Interrupted, Observer, Pair, ParamError, State, StyleParams, StylizeResult, Vgg19, stylize_batch
from nst_kernel.transfer.frames import Frames
from tests.support import encoder, pixels

SINGLE, DOUBLE = (encoder("conv2_1", dtype, narrower=8) for dtype in (torch.float32, torch.float64))
SHALLOW: dict[str, object] = {
    "content_layers": "conv2_1",
    "style_layers": "conv1_1",
    "scales": "16",
    "iterations": "10, 14",
    "window": 3,
    "precision": "fp32",
}
MIXED: list[dict[str, object]] = [
    {"save_every": 2, "min_improvement": 1e-9},
    {"save_every": 3, "min_improvement": 0.4, "init": "noise"},
    {"min_improvement": 1e-9},
    {"save_every": 7, "min_improvement": 1e-9, "preserve_color": "luminance_after"},
]
"""The second ends early at both scales."""

Shown = dict[tuple[int, int], NDArray[np.float32]]


class Keeping(Observer):
    """Keeps every picture on the way, and stops a transfer after so many iterations."""

    wants_frames = True

    def __init__(self, stop_at: int = -1) -> None:
        self.shown: Shown = {}
        self.stop_at, self.done = stop_at, 0

    def frame(self, sample: int, evaluation: int, picture: NDArray[np.float32]) -> None:
        assert (sample, evaluation) not in self.shown
        self.shown[sample, evaluation] = picture

    def iteration(self, done: int, total: int) -> None:
        self.done = done

    @property
    def stop(self) -> bool:
        return self.done == self.stop_at


def pairs(values: Sequence[dict[str, object]] = MIXED) -> list[Pair]:
    return [
        Pair.of(pixels(n, 24, 20), pixels(10 + n, 20, 28), StyleParams.of({**SHALLOW, **each}))
        for n, each in enumerate(values)
    ]


def frames_of(samples: Sequence[Pair], network: Vgg19 = SINGLE) -> tuple[Shown, list[StylizeResult]]:
    keeping = Keeping()
    results = stylize_batch(samples, network, observer=keeping)
    return keeping.shown, results


def equal(ours: Shown, theirs: Shown) -> bool:
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[at], theirs[at]) for at in theirs)


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Shown, list[StylizeResult]]:
    """The pictures on the way of all samples and their results; only looked at."""
    return frames_of(pairs())


def test_every_so_many_evaluations_of_its_own_a_sample_is_shown(
    undisturbed: tuple[Shown, list[StylizeResult]],
) -> None:
    shown, results = undisturbed
    assert results[1].iterations < 20 < results[0].iterations
    for b, result in enumerate(results):
        every = pairs()[b].params.save_every
        expected = list(range(every, result.iterations + 1, every)) if every else []
        assert [evaluation for sample, evaluation in shown if sample == b] == expected
        if result.iterations in expected:
            assert np.array_equal(shown[b, result.iterations], result.image)
    assert shown[0, 10].shape == (16, 16, 3)
    assert shown[0, 12].shape == (24, 20, 3)


def test_what_is_shown_depends_on_no_batch_mate() -> None:
    together, _ = frames_of(pairs(), DOUBLE)
    for b, pair in enumerate(pairs()):
        alone, _ = frames_of([pair], DOUBLE)
        mine = {evaluation: picture for (sample, evaluation), picture in together.items() if sample == b}
        assert mine.keys() == {evaluation for _, evaluation in alone}
        for evaluation, picture in mine.items():
            np.testing.assert_allclose(picture, alone[0, evaluation], atol=1e-5)


def test_pictures_on_the_way_change_no_result(undisturbed: tuple[Shown, list[StylizeResult]]) -> None:
    plain = [dataclasses.replace(pair, params=dataclasses.replace(pair.params, save_every=0)) for pair in pairs()]
    for ours, theirs in zip(undisturbed[1], stylize_batch(plain, SINGLE), strict=True):
        assert np.array_equal(ours.image, theirs.image)
        assert ours.losses == theirs.losses


def test_each_is_the_result_of_a_transfer_that_ends_there() -> None:
    """Best iterates so far, with averaging averages: what fewer iterations would have given."""
    shared = {"save_every": 5, "scales": "", "min_improvement": 0}
    for values in (shared, {**shared, "optimizer": "adam", "averaging": 0.8}):
        shown, (longer,) = frames_of(pairs([{**values, "iterations": 15}]))
        (shorter,) = stylize_batch(pairs([{**values, "iterations": 10}]), SINGLE)
        assert np.array_equal(shown[0, 10], shorter.image)
        assert np.array_equal(shown[0, 15], longer.image)


@pytest.mark.parametrize("when", [3, 10, 12, 17])
def test_a_resumed_transfer_shows_the_rest_and_repeats_nothing(
    when: int, undisturbed: tuple[Shown, list[StylizeResult]]
) -> None:
    first = Keeping(stop_at=when)
    with pytest.raises(Interrupted) as stop:
        stylize_batch(pairs(), SINGLE, observer=first)
    second = Keeping()
    stylize_batch(pairs(), SINGLE, observer=second, resume=State.from_bytes(stop.value.state.to_bytes()))
    assert not first.shown.keys() & second.shown.keys()
    assert equal(first.shown | second.shown, undisturbed[0])


def test_nobody_pays_for_what_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an observer who wants none nor samples without any have something that takes them."""

    def made(*_: object) -> Frames:
        raise AssertionError("there is something that takes pictures")

    monkeypatch.setattr("nst_kernel.transfer.all_scales.Frames", made)
    stylize_batch(pairs([{"iterations": 2}]), SINGLE, observer=Keeping())
    stylize_batch(pairs([{"iterations": 2, "save_every": 1}]), SINGLE, observer=Observer())


class Slow:
    """An event of a device that comes to it after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.waited = looks, False

    def query(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def synchronize(self) -> None:
        self.waited = True


def test_nothing_is_waited_for_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: a picture is passed on once it has arrived, in order, and the last ones at the end."""
    taken: list[tuple[int, int]] = []
    frames = Frames([1, 2], [0, 10], lambda samples, x: x, lambda b, k, picture: taken.append((b, k)))
    iterates, events, early = Still(torch.zeros(2, 3, 4, 4)), [], []
    monkeypatch.setattr(Frames, "pass_on", lambda self, *, wait=True: None)
    for k in range(1, 5):
        iterates.made += torch.tensor([1, k <= 2])
        frames.after(k, [0, 1], cast(Any, iterates))
        events.append(Slow(2))
        frames.sent.append(dataclasses.replace(frames.sent.pop(), arrived=cast(Any, events[-1])))
    monkeypatch.undo()
    for _ in range(3):
        frames.pass_on(wait=False)
        early.append(list(taken))
    assert early == [[], [], [(0, 1)]]
    assert not any(event.waited for event in events[1:])
    frames.pass_on()
    assert taken == [(0, 1), (0, 2), (1, 12), (0, 3), (0, 4)]
    assert all(event.waited for event in events)


def test_those_under_way_are_passed_on_before_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU that is behind: none has arrived by itself."""
    monkeypatch.setattr("nst_kernel.transfer.frames._has_arrived", lambda copy: False)
    keeping = Keeping(stop_at=7)
    with pytest.raises(Interrupted):
        stylize_batch(pairs([{"save_every": 2}]), SINGLE, observer=keeping)
    assert [evaluation for _, evaluation in keeping.shown] == [2, 4, 6]


@dataclasses.dataclass
class Still:
    """Iterates that stay where they are."""

    x: Tensor
    made: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(2, dtype=torch.int64))

    def pictures(self) -> Tensor:
        return self.x


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_they_are_the_same() -> None:
    keeping = Keeping()
    gpu = [dataclasses.replace(pair) for pair in pairs([{"save_every": 4}])]
    (result,) = stylize_batch(gpu, encoder("conv2_1").cuda(), observer=keeping)
    encoder("conv2_1").cpu()
    assert [evaluation for _, evaluation in keeping.shown] == [4, 8, 12, 16, 20, 24]
    assert np.array_equal(keeping.shown[0, 24], result.image)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"animation": "gif"}, "animation = 'gif': expected none with save_every=0"),
        ({"save_every": -1}, "save_every"),
        ({"save_every": 1, "iterations": 501, "scales": ""}, "save_every = 1: expected at least 2"),
        ({"save_every": 3, "iterations": 800, "scales": 64, "size": 128}, "save_every = 3: expected at least 4"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ParamError) as error:
        StyleParams.of(values)
    assert expected in str(error.value)
