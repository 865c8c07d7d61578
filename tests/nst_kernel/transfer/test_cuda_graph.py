"""Replaying a step: on a CPU with a graph that remembers what it was shown, on a GPU with a real one."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch

from nst_kernel import StyleParams, Vgg19
from nst_kernel.encoder.precision import computing_in
from nst_kernel.objective.objective import Objective
from nst_kernel.objective.targets import Targets, content_features, style_grams
from nst_kernel.transfer import cuda_graph as graphs
from nst_kernel.transfer.cuda_graph import WARM_UP, Repeated
from nst_kernel.transfer.one_scale import descend
from tests.support import pixels, random_weights

CUDA = torch.device("cuda")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """CUDA's graphs replaced by ones that call what was called while they were captured."""
    log: list[str] = []

    class Graph:
        steps: list[Callable[[], None]]

        def replay(self) -> None:
            log.append("replay")

    @contextlib.contextmanager
    def capture(_: Graph) -> Iterator[None]:
        log.append("capture")
        try:
            yield
        finally:
            log.append("end")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return log


def test_a_step_is_captured_once_and_then_replayed(recorded: list[str]) -> None:
    repeated = Repeated(lambda: recorded.append("step"), CUDA)
    for _ in range(WARM_UP + 3):
        repeated()
    assert recorded == ["step"] * WARM_UP + ["capture", "step", "end"] + ["replay"] * 3


def test_a_refused_capture_is_told_and_the_step_is_called(
    recorded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> None:
        if recorded[-1:] == ["capture"]:
            raise RuntimeError("operation not permitted when stream is capturing")
        recorded.append("step")

    repeated = Repeated(step, CUDA)
    for _ in range(WARM_UP + 3):
        repeated()
    assert recorded == ["step"] * WARM_UP + ["capture", "end"] + ["step"] * 3
    assert "not permitted" in caplog.text


def test_out_of_memory_is_not_taken_for_a_refusal(recorded: list[str]) -> None:
    def step() -> None:
        if "capture" in recorded:
            raise torch.OutOfMemoryError("no room")

    repeated = Repeated(step, CUDA)
    for _ in range(WARM_UP):
        repeated()
    with pytest.raises(torch.OutOfMemoryError):
        repeated()


def test_on_a_cpu_a_step_is_a_step() -> None:
    calls: list[int] = []
    repeated = Repeated(lambda: calls.append(1), torch.device("cpu"))
    for _ in range(WARM_UP + 3):
        repeated()
    assert len(calls) == WARM_UP + 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_replayed_descent_is_the_descent(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing in its loop waits for the device."""
    params = StyleParams.of(
        {"content_layers": "conv2_1", "style_layers": "conv1_1, conv2_1", "optimizer": optimizer, "precision": "fp32"}
    )
    vgg = Vgg19(random_weights(0, "conv2_1")).to(CUDA)
    content, style = (pixels(seed, 32, 48, torch.float32).unsqueeze(0).to(CUDA) for seed in (0, 1))
    objective = Objective(
        vgg, Targets(content_features(vgg, content, params), style_grams(vgg, style, params)), [params]
    )

    step = Repeated.__call__

    def watched_step(self: Repeated) -> None:
        waits = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error" if self.calls > 0 else "default")
        try:
            step(self)
        finally:
            torch.cuda.set_sync_debug_mode(waits)
        assert (self.graph is not None) is (self.calls > graphs.WARM_UP)

    def curves() -> torch.Tensor:
        with computing_in("fp32", often=False):
            return descend(objective, content, [params], iterations=12).curves

    monkeypatch.setattr(Repeated, "__call__", watched_step)
    replayed = curves()
    monkeypatch.setattr(graphs, "WARM_UP", 10**9)
    torch.testing.assert_close(replayed, curves(), rtol=1e-2, atol=0)
