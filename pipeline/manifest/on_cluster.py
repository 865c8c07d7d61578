"""The reading of a manifest by tasks of a cluster, where one is at hand or the manifest is worth one."""

import functools
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline import storage
from pipeline.manifest.parts import How, Part, Task, read_part
from pipeline.manifest.pieces import Piece

WORTH_A_CLUSTER = 4
"""Tasks of files from which on a cluster is connected to, or started, for them: a million rows."""

WORTH_TASKS = 2
"""Tasks of files from which on a cluster that is at hand reads them."""

TASK_CPUS = 1.0
"""CPUs of a task, which does nothing but compute."""


def read_by_tasks(
    tasks: Sequence[Task], how: How, connect: Callable[[], object] | None = None
) -> Iterator[tuple[Task, Part | None]]:
    """Yield each task with what a cluster has read for it, in order; None where it is to be read in this process.

    Args:
        tasks: what to read from.
        how: to read it.
        connect: connects to a cluster, or starts one; None: only one that this process is connected to is used.
    """
    of_files = {number: task for number, task in enumerate(tasks) if isinstance(task, tuple)}
    if connect and len(of_files) >= WORTH_A_CLUSTER:
        connect()
    ray = sys.modules.get("ray")  # a process that has not loaded it is connected to no cluster
    if len(of_files) < WORTH_TASKS or not ray or not ray.is_initialized() or not _can_read(of_files.values(), ray):
        yield from ((task, None) for task in tasks)
        return
    early: dict[int, Part] = {}
    answers = _read_all(of_files, how)
    for number, task in enumerate(tasks):
        while number in of_files and number not in early:
            early.update([next(answers)])
        yield task, early.pop(number, None)


def _can_read(tasks: Iterable[tuple[Piece, ...]], ray: Any) -> bool:
    """Return whether every node of a cluster can read some files: those of this machine only if it is the only node."""
    uris = {piece.uri for task in tasks for piece in task}
    if any(uri.startswith("memory:") for uri in uris):
        return False
    is_alone = sum(node["Alive"] for node in ray.nodes()) == 1
    return is_alone or not any(storage.local_path(uri) is not None for uri in uris)


def _read_all(tasks: Mapping[int, tuple[Piece, ...]], how: How) -> Iterator[tuple[int, Part]]:
    """Yield what some tasks read, with their numbers, in the order in which they end."""
    import ray.data

    rows = [{"number": number, "task": pickle.dumps(task)} for number, task in tasks.items()]
    read = storage.Carried(functools.partial(_read, how=how))
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map(read, num_cpus=TASK_CPUS)
    return ((answer["number"], pickle.loads(answer["part"])) for answer in answers.iter_rows())


def _read(row: dict[str, Any], how: How) -> dict[str, Any]:
    """Return what a task reads: columns that the dashboard shows, and the rows with their parameters, pickled."""
    task: tuple[Piece, ...] = pickle.loads(row["task"])
    part = read_part(task, how)
    about = {"file": task[0].file, "start": task[0].start, "rows": len(part.rows), "problems": len(part.found)}
    return {"number": row["number"], **about, "part": pickle.dumps(part)}
