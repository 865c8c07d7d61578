"""Transfers that are interrupted and go on: nobody can tell from what comes out."""

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from nst_kernel import Interrupted, Observer, Pair, State, StateError, StyleParams, StylizeResult, stylize_batch
from nst_kernel.params import contradictions
from nst_kernel.transfer import one_scale
from tests.support import encoder, pixels

SHALLOW: dict[str, object] = {
    "content_layers": "conv2_1",
    "style_layers": "conv1_1, conv2_1",
    "scales": "16",
    "iterations": "12, 16",
    "window": 3,
    "history": 4,
    "precision": "fp32",
}
KINDS: dict[str, list[dict[str, object]]] = {
    "lbfgs": [{"seed": 1, "init": "noise"}, {"style_weight": 30}],
    "adam": [
        {"optimizer": "adam", "learning_rate": 0.1, "preserve_color": "luminance"},
        {"optimizer": "adam", "init": "noise", "adam_beta2": 0.9, "clamp": True},
    ],
    "early": [
        {"min_improvement": 0.4},
        {"min_improvement": 1e-9},
        {"min_improvement": 0.2, "init": "noise", "preserve_color": "luminance"},
    ],
    "all early": [{"min_improvement": 0.3}, {"min_improvement": 0.2}],
    "averages": [
        {"optimizer": "adam", "averaging": 0.9, "min_improvement": 0.3},
        {"optimizer": "adam", "min_improvement": 1e-9},
        {"optimizer": "adam", "averaging": 0.5, "learning_rate": 1e30, "min_improvement": 1e-9},
    ],
    "regions": [{"min_improvement": 0.3}, {"min_improvement": 1e-9, "mask_mode": "inside"}],
    "diverging": [{"optimizer": "adam", "learning_rate": 1e30}, {"optimizer": "adam"}],
}
SINGLE = encoder("conv2_1", narrower=8)


@pytest.fixture(autouse=True, scope="module")
def short_and_wild() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contradictions, "MAX_ADAM_RATE", 1e30)  # so that a sample can diverge
        patch.setattr(one_scale, "PATIENCE", 4)  # so that samples that have ended leave the batch at each scale
        yield


def batch(kind: str) -> list[Pair]:
    pairs = [
        Pair.of(pixels(n, 24, 20), pixels(10 + n, 20, 28), StyleParams.of({**SHALLOW, **parameters}))
        for n, parameters in enumerate(KINDS[kind])
    ]
    if kind == "regions":  # one sample with two of them, one with three of which it keeps the last
        left = (torch.arange(20) < 9).float().expand(1, 24, 20)
        masks = [torch.cat([left, 1 - left]), torch.cat([left / 2, left / 2, 1 - left])]
        styles = [torch.ones(2, 1, 1), torch.tensor([1.0, 1, 0]).view(3, 1, 1)]
        pairs = [pair.within(a, [b]) for pair, a, b in zip(pairs, masks, styles, strict=True)]
    return pairs


def interrupted(pairs: Sequence[Pair], when: int, state: State | None = None) -> Interrupted | None:
    """Stopped after `when` of all iterations; None if it came to its end before."""
    calls: list[int] = []

    class Stopping(Observer):
        def iteration(self, done: int, total: int) -> None:
            calls.append(done)

        @property
        def stop(self) -> bool:
            return calls[-1] == when

    try:
        stylize_batch(pairs, SINGLE, observer=Stopping(), resume=state)
    except Interrupted as error:
        stop = error
    else:
        return None
    assert stop.iteration == calls[-1] == when
    return stop


def same(ours: Sequence[StylizeResult], theirs: Sequence[StylizeResult]) -> bool:
    return len(ours) == len(theirs) and all(identical(a, b) for a, b in zip(ours, theirs, strict=True))


def identical(a: StylizeResult, b: StylizeResult) -> bool:
    return (
        np.array_equal(a.image, b.image)
        and a.losses == b.losses
        and (a.iterations, a.diverged) == (b.iterations, b.diverged)
        and all(np.array_equal(a.curve[name], b.curve[name], equal_nan=True) for name in b.curve)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_interrupted_ends_as_if_it_had_not_been(kind: str) -> None:
    """Interrupted again and again: each time it goes on from the state that the time before left."""
    pairs, state = batch(kind), None
    undisturbed = stylize_batch(pairs, SINGLE)
    if kind == "early":
        assert len({result.iterations for result in undisturbed}) == 3
    for when in sorted({1, *random.Random(kind).sample(range(2, 28), 4), 8, 12, 27}):
        stop = interrupted(pairs, when, state)
        if stop is None:
            assert kind == "all early"
            break
        state = State.from_bytes(stop.state.to_bytes())
    assert same(stylize_batch(pairs, SINGLE, resume=state), undisturbed)


def test_a_state_can_be_used_twice() -> None:
    pairs = batch("lbfgs")
    stop = interrupted(pairs, 14)
    assert stop is not None
    first, second = (stylize_batch(pairs, SINGLE, resume=stop.state) for _ in range(2))
    assert same(first, second)


def test_what_is_done_is_not_done_again() -> None:
    pairs, calls = batch("lbfgs"), list[tuple[int, int]]()
    stop = interrupted(pairs, 20)
    assert stop is not None
    stylize_batch(pairs, SINGLE, resume=stop.state, observer=Observer.of(lambda *done: calls.append(done)))
    assert calls == [(k, 28) for k in range(21, 29)]


def test_samples_that_had_ended_have_their_pictures() -> None:
    pairs = batch("early")
    undisturbed = stylize_batch(pairs, SINGLE)
    early, late = interrupted(pairs, 11), interrupted(pairs, 26)
    assert early is not None
    assert late is not None
    assert early.finished == {}
    assert {0, 2} >= set(late.finished) >= {0}
    assert all(identical(result, undisturbed[b]) for b, result in late.finished.items())


def test_after_the_last_iteration_there_is_nothing_to_interrupt() -> None:
    class AtTheEnd(Observer):
        done = 0

        def iteration(self, done: int, total: int) -> None:
            self.done = done

        @property
        def stop(self) -> bool:
            return self.done == 28

    pairs = batch("adam")
    assert same(stylize_batch(pairs, SINGLE, observer=AtTheEnd()), stylize_batch(pairs, SINGLE))


def other_params(pairs: list[Pair]) -> list[Pair]:
    changed = StyleParams.of({**pairs[0].params.to_json(), "style_weight": 7})
    return [dataclasses.replace(pairs[0], params=changed), *pairs[1:]]


OTHERS: list[Callable[[list[Pair]], list[Pair]]] = [
    other_params,
    lambda pairs: pairs[:1],
    lambda pairs: pairs[::-1],
    lambda pairs: [dataclasses.replace(pair, content=pixels(0, 20, 24)) for pair in pairs],
]


@pytest.mark.parametrize("other", OTHERS, ids=["parameters", "fewer", "order", "shape"])
def test_a_state_of_something_else_is_refused(other: Callable[[list[Pair]], list[Pair]]) -> None:
    pairs = batch("lbfgs")
    stop = interrupted(pairs, 3)
    assert stop is not None
    with pytest.raises(StateError, match="other parameters"):
        stylize_batch(other(pairs), SINGLE, resume=stop.state)
    with pytest.raises(StateError, match="encoder"):
        stylize_batch(pairs, encoder("conv2_1", seed=1, narrower=8), resume=stop.state)


@given(
    notes=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()),
    request=st.text(),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
)
@settings(max_examples=20)
def test_a_state_as_bytes(notes: dict[str, object], request: str, lengths: list[int]) -> None:
    tensors = {f"t/{n}": torch.arange(length) > 1 for n, length in enumerate(lengths)}
    kept = State.from_bytes(State.of(request, tensors).noting(**notes).to_bytes())
    assert (kept.request, kept.notes) == (request, notes)
    assert {name: t.tolist() for name, t in kept.tensors.items()} == {name: t.tolist() for name, t in tensors.items()}


GOOD = State("r", {"a": torch.arange(4)}).to_bytes()
BAD = {
    "empty": b"",
    "cut": GOOD[:-1],
    "short": GOOD[:20],
    "other": b"\x80\x04K\x01.",
    "weights": save({"a": torch.arange(4)}),
    "layout": save({"a": torch.arange(4)}, {"nst_state": json.dumps({"layout": 0, "request": "", "notes": {}})}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bytes_that_are_no_state(data: bytes) -> None:
    with pytest.raises(StateError, match="state"):
        State.from_bytes(data)
