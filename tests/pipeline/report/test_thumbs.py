"""Small copies are made within limits, by threads or tasks, and never of what only quarantined rows read."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pipeline import images, storage
from pipeline.options import Decoding
from pipeline.outputs import table as result_table
from pipeline.report import copier, write_report
from pipeline.report.copier import SECONDS, Copier
from pipeline.report.thumbs import Copies, Shelf
from tests.pipeline.report.support.samples import bad, data, make, picture


def test_what_only_quarantined_rows_read_is_not_opened(tmp_path: Path) -> None:
    output = make(tmp_path, good=2, failed=0)
    poison, shared = tmp_path / "content" / "poison.png", tmp_path / "style" / "paint0.png"
    picture(poison, 3)
    quarantined = bad(output, 7, status="quarantined", content=str(poison), style=str(shared))
    result_table.commit(str(output), [quarantined])
    requested: list[str] = []

    def noted(uri: str, store: Any) -> Any:
        requested.append(uri)
        return store

    undo = storage.intercept(noted)
    try:
        page = write_report(str(output))
    finally:
        undo()
    assert str(shared) in requested
    assert str(poison) not in requested
    (sources,) = data(page, "sources")
    assert str(poison) in str(sources), "it is named all the same"


def test_a_copy_takes_the_limits_of_the_run_and_little_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Decoding] = []

    def refuse(_data: bytes, _size: Any, *, limits: Decoding, **_: Any) -> None:
        given.append(limits)
        raise images.ImageError("no")

    monkeypatch.setattr(images, "decode_to", refuse)
    picture(tmp_path / "a.png", 1)
    for decode_timeout in (1.5, 3600.0):
        limits = Decoding(decode_timeout=decode_timeout, max_megapixels=5)
        assert not Copier(str(tmp_path / "copies"), limits).copy((str(tmp_path / "a.png"), {"a": 64}))
    assert [(each.decode_timeout, each.max_megapixels) for each in given] == [(1.5, 5), (SECONDS, 5)]


def cluster(tasks: list[Any]) -> Any:
    """A Ray that computes tasks at once; what they are given is pickled, as it is on its way to another process."""

    def remote(**_: Any) -> Callable[[Callable[..., Any]], Any]:
        def task(function: Callable[..., Any]) -> Any:
            class Task:
                @staticmethod
                def remote(*given: Any) -> Any:
                    tasks.append(given)
                    allowed = storage.in_force()
                    storage.allow()  # as in a process that was just started
                    try:
                        return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(given)))))
                    finally:
                        storage.allow(*allowed)

            return Task

        return task

    ray: Any = ModuleType("ray")
    ray.is_initialized, ray.remote, ray.nodes = lambda: True, remote, lambda: [{"Resources": {"CPU": 1}}]
    ray.wait, ray.get = lambda running: (running[:1], running[1:]), lambda done: done
    return ray


def test_many_copies_are_made_by_tasks_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = make(tmp_path, good=4, failed=0)
    alone = write_report(str(output), to=str(tmp_path / "alone"))
    tasks: list[Any] = []
    monkeypatch.setitem(sys.modules, "ray", cluster(tasks))
    monkeypatch.setattr(copier, "WORTH_A_CLUSTER", 2)
    monkeypatch.setattr(copier, "_OF_A_TASK", 3)
    page = write_report(str(output), to=str(tmp_path / "tasks"))
    assert [len(some) for _, _, some in tasks] == [3, 3, 2]
    names = [{path.name for path in (Path(each).parent / "thumbs").iterdir()} for each in (alone, page)]
    assert names[0] == names[1]


def test_tasks_open_what_the_run_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", cluster([]))
    monkeypatch.setattr(copier, "WORTH_A_CLUSTER", 1)
    todo = (str(picture(tmp_path / "private" / "a.png", 1)), {"0" * 20: 64})
    folder = str(tmp_path / "copies")
    with storage.allowing(storage.Allowed(read=(folder,), write=(folder,))):
        assert not any(copier.copies_made(Copier(folder), iter([todo]), 1))
    assert [list(names) for names in copier.copies_made(Copier(folder), iter([todo]), 1)] == [["0" * 20]]


def test_copies_stay_where_there_was_no_time_to_know_what_is_wanted(tmp_path: Path) -> None:
    output = make(tmp_path, good=2, failed=0)
    page = write_report(str(output))
    before = set((Path(page).parent / "thumbs").iterdir())
    assert before
    write_report(str(output), thumbnail_seconds=0)
    assert set((Path(page).parent / "thumbs").iterdir()) == before


def test_copies_that_the_page_does_not_want_any_more_are_deleted(tmp_path: Path) -> None:
    wanted, old = ["a" * 20, "b" * 20], "c" * 20
    for name in (*wanted, old):
        (tmp_path / f"{name}.webp").touch()
    shelf = Shelf(str(tmp_path))
    thumbs, views = (np.array([name.encode()], "S20") for name in wanted)
    shelf.make([Copies(str, thumbs, views, 64)])
    shelf.tidy()
    assert sorted(path.stem for path in tmp_path.iterdir()) == wanted
