"""A run on a cluster of two nodes, of which the one at work is emptied in the middle of a row; in a process of its own.

Prints, as JSON, how far the state was that the row went on from, and what became of the row.
"""

import importlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import ray
from ray.cluster_utils import Cluster

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from pipeline.flow.run import run
from pipeline.options.interruptions import Interruptions
from pipeline.options.resources import Resources
from pipeline.options.run_options import RunOptions
from pipeline.outputs.table import read_results
from pipeline.recovery import saved_states
from tests.faults.support.processes import actors_at_work
from tests.faults.test_preemption import LONG

# Ray's own, without types: what `ray drain-node` asks with.
raylet: Any = importlib.import_module("ray._raylet")
generated: Any = importlib.import_module("ray.core.generated.autoscaler_pb2")


def main(home: Path) -> None:
    """Run `rows.csv` of a folder into `emptied`."""
    output = home / "emptied"
    os.environ.update(HEALTH_CHECKS | KEPT_WORKERS)
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    first = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False)
    saved: list[int] = []
    resources = Resources(num_actors=1, interruptions=Interruptions(worth_saving=0.5, save_every=1e9))
    asked = {
        "options": RunOptions(output=str(output), resources=resources),
        "defaults": {**LONG, "iterations": 500},
    }
    with ThreadPoolExecutor(1) as pool:  # nodes can be added by a main thread only
        running = pool.submit(run, str(home / "rows.csv"), **cast(Any, asked))
        while not actors_at_work() and not running.done():
            time.sleep(0.1)
        reason = generated.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
        raylet.GcsClient(address=cluster.address).drain_node(first.node_id, reason, "", int(time.time() + 300) * 1000)
        cluster.add_node(num_cpus=2)  # only now: it takes seconds, in which the row could come to its end
        while not saved and not running.done():
            for path in (output / "preempted").glob("*.safetensors"):
                state = saved_states.load(str(path))
                if state is not None:
                    saved.append(int(state.tensors["walk/walk/k"]))
            time.sleep(0.05)
        running.result()
    (row,) = read_results(str(output)).to_pylist()
    print(json.dumps({"saved": saved, "status": row["status"], "iterations": row["iterations"]}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
