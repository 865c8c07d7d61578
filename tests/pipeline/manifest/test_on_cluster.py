"""A manifest that a cluster reads in pieces: the rows, problems and batches of one that this process reads."""

import json
import pickle
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from pipeline import storage
from pipeline.manifest import ManifestError, on_cluster, pieces, read_manifest, reader
from pipeline.manifest.parts import How, Part, Task, read_part
from pipeline.manifest.pieces import Piece
from pipeline.manifest.settings import Settings
from pipeline.planning import Limits, plan

HOW = How("e", {}, Settings())

WORTH_TASKS = on_cluster.WORTH_TASKS
"""As it is, which tests without a cluster of their own do not see."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pieces, reader):
        monkeypatch.setattr(module, "BYTES", 1000)


def tasks_of(number: int, uri: str = "/m.csv") -> list[Task]:
    return [(Piece("m.csv", uri, start=start, end=start + 1, identity="x"),) for start in range(number)]


class _Ray:
    """As much of Ray as is looked at: a cluster of some nodes."""

    def __init__(self, nodes: int) -> None:
        self.count = nodes

    def is_initialized(self) -> bool:
        return bool(self.count)

    def nodes(self) -> list[dict[str, bool]]:
        return [{"Alive": True}] * self.count + [{"Alive": False}]


@pytest.mark.parametrize(
    ("nodes", "tasks", "uri", "by_cluster"),
    [
        (1, 2, "/m.csv", True),
        (1, 1, "/m.csv", False),
        (0, 2, "/m.csv", False),
        (2, 2, "/m.csv", False),
        (2, 2, "s3://b/m.csv", True),
        (1, 2, "memory://b/m.csv", False),
    ],
)
def test_a_cluster_reads_what_all_its_nodes_can(
    monkeypatch: pytest.MonkeyPatch, nodes: int, tasks: int, uri: str, by_cluster: bool
) -> None:
    monkeypatch.setattr(on_cluster, "WORTH_TASKS", WORTH_TASKS)
    parts = [read_part((), HOW)._replace(own=Counter(size=number)) for number in range(tasks)]
    monkeypatch.setitem(sys.modules, "ray", _Ray(nodes))
    monkeypatch.setattr(on_cluster, "_read_all", lambda tasks, how: iter([(n, parts[n]) for n in reversed(tasks)]))
    read = [found for _, found in on_cluster.read_by_tasks(tasks_of(tasks, uri), HOW)]
    assert read == (parts if by_cluster else [None] * tasks)


def test_a_large_manifest_is_worth_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", _Ray(0))
    for count, calls in ((on_cluster.WORTH_A_CLUSTER - 1, 0), (on_cluster.WORTH_A_CLUSTER, 1)):
        connect = Mock()
        assert len(list(on_cluster.read_by_tasks(tasks_of(count), HOW, connect))) == count
        assert connect.call_count == calls


def test_what_a_task_sends_is_in_columns_but_for_its_rows() -> None:
    row = on_cluster._read({"number": 3, "task": pickle.dumps(tasks_of(1)[0])}, HOW)
    assert {name: value for name, value in row.items() if name != "part"} == {
        "number": 3, "file": "m.csv", "start": 0, "rows": 0, "problems": 1,
    }  # fmt: skip
    assert isinstance(pickle.loads(row["part"]), Part)


LINES = [f"{number % 70}.png,s.png,{number},\n" for number in range(300)]


def files() -> dict[str, str]:
    many_lines = [*LINES[:150], '"150' + "\n" * 2000 + '.png",s.png,,\n', *LINES[151:]]
    records = [{"content": f"{n}.png", "style": "s.png", "params": {"size": 64 + n % 3}} for n in range(200)]
    return {
        "rows.csv": "content,style,seed,id\n" + "".join(LINES),
        "cells.csv": "content,style,seed,id\n" + "".join(many_lines),
        "bad.csv": "content,style,seed,id\n" + "".join(LINES) + "x,y\n" + "".join(LINES[:80]) + "c.png,s.png,x,\n",
        "rows.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "bad.jsonl": "".join(json.dumps(record | {"colour": "red"}) + "\n" for record in records) + "{",
    }


def outcome(source: str) -> tuple[Sequence[Any], Sequence[Any], int]:
    """Rows, problems and batches."""
    try:
        rows = read_manifest(source, encoder_sha256="e").rows
    except ManifestError as error:
        return [], error.problems, 0
    limits, known = Limits(rows=7, workers=3), lambda uris: dict.fromkeys(uris, "1")
    work = plan(rows, encoder_sha256="e", limits=limits, shape_of=lambda some: [(64, 48) for _ in some], identify=known)
    return list(rows), list(work.batches), len(work.batches)


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_cluster_reads_the_same_rows_and_problems(
    tmp_path: Path, bucket: str, local_ray: None, small: None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path) if where == "disk" else f"{bucket}/manifests"
    for name, written in files().items():
        storage.write_bytes(f"{folder}/{name}", written.encode())
        by_cluster = outcome(f"{folder}/{name}")
        with monkeypatch.context() as alone:
            alone.setattr(on_cluster, "WORTH_TASKS", 10**9)
            assert outcome(f"{folder}/{name}") == by_cluster
        if where == "bucket":
            break  # that nodes reach it is enough
