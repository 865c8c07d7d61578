"""A run with a stub kernel on a cluster of its own, in a process of its own.

`python -m tests.e2e.support.pool_run CASE FOLDER ROWS SECONDS OPTIONS`: rows of FOLDER/rows.csv, so many seconds
each, with `Resources` of JSON options. Prints, as JSON, how many rows have each
status, and the nodes that computed them.
"""

import dataclasses
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
from PIL import Image
from ray.cluster_utils import Cluster

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from pipeline.flow.run import run
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.table import read_results
from pipeline.planning.batch import Fetched, Optimised
from tests.bench.stub import StubKernel
from tests.support import draw

CPU, GPU = {"num_cpus": 1}, {"num_cpus": 1, "num_gpus": 1}
CASES: dict[str, tuple[int, dict[str, int], dict[str, int]]] = {
    "cpus grow": (1, {}, CPU),
    "gpus grow": (1, GPU, GPU),
    "waits for a cpu": (0, {}, CPU),
    "waits for a gpu": (1, {}, GPU),
    "mixed": (2, GPU, {}),
}
"""CPUs of the head, the node beside it, the node that joins later. A case that is a number is one machine's CPUs."""


class Located(StubKernel):
    """Says where it is."""

    def __call__(self, fetched: Fetched) -> Optimised:
        device = ray.get_runtime_context().get_node_id()
        return dataclasses.replace(super().__call__(fetched), device=device)


def furnish(home: Path, rows: int) -> None:
    """Pictures and a manifest."""
    for name in ("photo", "painting"):
        Image.fromarray(draw(len(name), 32, 48)).save(home / f"{name}.png")
    lines = ["content,style,seed", *(f"photo.png,painting.png,{seed}" for seed in range(rows))]
    (home / "rows.csv").write_text("\n".join(lines))


def late_node(cluster: Any, output: Path, **has: float) -> None:
    """Add a node once some rows are there, or after a while."""
    until = time.monotonic() + 20
    while time.monotonic() < until and len(list(output.glob("images/*.png"))) < 2:
        time.sleep(0.2)
    cluster.add_node(**has)


def main(case: str, home: Path, rows: int, seconds: float, options: dict[str, Any]) -> None:
    """Start the cluster of a case and run."""
    furnish(home, rows)
    output = home / "out"
    after: Any = None
    os.environ.update(HEALTH_CHECKS | KEPT_WORKERS)
    if case.isdigit():
        ray.init("local", num_cpus=int(case), include_dashboard=False, log_to_driver=False)
    else:
        head, first, later = CASES[case]
        cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": head, "include_dashboard": False})
        if first:
            cluster.add_node(**first)
        ray.init(cluster.address, log_to_driver=False)
        if later:
            after = partial(late_node, cluster, output, **later)
    kernel = partial(Located, seconds=seconds)
    asked: dict[str, Any] = {
        "options": RunOptions(output=str(output), resources=Resources(**options)),
        "defaults": {"size": 32},
        "kernel": kernel,
    }
    failed: list[BaseException] = []

    def work() -> None:
        try:
            run(str(home / "rows.csv"), **asked)
        except BaseException as error:
            failed.append(error)

    running = threading.Thread(target=work)
    running.start()
    if after:
        after()  # nodes can be added by a main thread only
    running.join()
    if failed:
        raise failed[0]
    table = read_results(str(output), columns=["status", "device"]).to_pydict()
    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    gpus = {node["NodeID"] for node in list_nodes() if node["Resources"].get("GPU")}
    print(json.dumps({"statuses": Counter(table["status"]), "nodes": Counter(table["device"]), "gpu": list(gpus)}))
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), json.loads(sys.argv[5]))
