"""Results are merged beside a run: now and then, one task at a time, and never to the harm of the run."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cluster import ActorPool
from pipeline.flow import merging
from pipeline.flow.merging import Merging

POOL = ActorPool(1, 1, 0, 1, nodes_without_cpus=("head",))


class FakeRay:
    """Tasks that are at work until they are let go."""

    def __init__(self) -> None:
        self.begun, self.cancelled, self.options = 0, 0, dict[str, Any]()
        self.is_ready, self.error = False, ""

    def remote(self, function: Any) -> Any:
        self.function = function
        return SimpleNamespace(options=self._with)

    def _with(self, **options: Any) -> Any:
        self.options = options
        return SimpleNamespace(remote=self._begin)

    def _begin(self) -> int:
        self.begun += 1
        return self.begun

    def wait(self, tasks: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return (tasks, []) if self.is_ready else ([], tasks)

    def get(self, task: int) -> None:
        if self.error:
            raise OSError(self.error)

    def cancel(self, task: int, force: bool) -> None:
        self.cancelled += 1


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setattr(merging, "ray", ray)
    monkeypatch.setattr(merging, "PARTS", 3)
    monkeypatch.setattr(merging, "MANY", 2)
    return ray


def test_many_parts_are_merged_by_one_task_at_a_time(ray: FakeRay) -> None:
    with Merging("out", POOL) as some:
        begun = []
        for number in range(12):
            ray.is_ready = number == 9
            some.part_is_there()
            begun.append(ray.begun)
    assert begun == [0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2]
    assert not ray.cancelled


def test_it_takes_no_cpu_from_actors_and_stays_off_nodes_without_any(ray: FakeRay) -> None:
    Merging("out", POOL)
    assert ray.options == {"max_retries": 0, "num_cpus": 0, "label_selector": {"ray.io/node-id": "!in(head)"}}


def test_what_cannot_be_merged_now_is_merged_later(ray: FakeRay, caplog: pytest.LogCaptureFixture) -> None:
    ray.error, ray.is_ready = "no space", True
    with Merging("out", POOL) as some:
        for _ in range(6):
            some.part_is_there()
    assert ray.begun == 2
    assert "results could not be merged meanwhile: no space" in caplog.text


@pytest.mark.parametrize(("parts", "begun"), [(1, 0), (2, 1), (5, 2)])
def test_what_is_left_at_the_end_is_merged_by_a_task_if_it_is_much(parts: int, begun: int, ray: FakeRay) -> None:
    ray.is_ready = True
    with Merging("out", POOL) as some:
        for _ in range(parts):
            some.part_is_there()
    assert ray.begun == begun


def test_a_run_that_is_stopped_does_not_wait_for_it(ray: FakeRay) -> None:
    some = Merging("out", POOL)
    for _ in range(3):
        some.part_is_there()
    some.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert ray.cancelled == 1
