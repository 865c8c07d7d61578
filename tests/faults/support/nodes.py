"""Scenarios on a cluster of several raylets with their own processes, each worker with a GPU that Ray believes in.

python -m tests.faults.support.nodes FOLDER TIMES join|leave: a worker is killed in the middle of each scenario, and
with `join` another joins a little later. Prints a JSON object for each scenario.
"""

import dataclasses
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.cluster_utils import Cluster

from jobs.selftest.chaos.faults import numbered, running
from jobs.selftest.chaos.scenario import Harness, Outcome, connect, judge
from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS

WORKER = {"num_cpus": 1, "num_gpus": 1}


def main(home: str, times: str, then: str) -> None:
    """Scenario several times on one cluster."""
    os.environ.update(HEALTH_CHECKS | KEPT_WORKERS)
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(**WORKER)
    cluster.wait_for_nodes()
    harness = Harness(home, connect(cluster.address), random.Random(then))
    harness.draw_pictures()
    for _ in range(int(times)):
        outcome = play_with_a_dead_node(harness, cluster, join=then == "join")
        print(json.dumps({"ok": outcome.ok, **dataclasses.asdict(outcome)}), flush=True)
        while len(cluster.worker_nodes) < 2:
            cluster.add_node(**WORKER)
    ray.shutdown()
    cluster.shutdown()


def play_with_a_dead_node(harness: Harness, cluster: Any, *, join: bool) -> Outcome:
    """Kill a worker at a random moment; with `join` a new one must be given rows of the same scenario."""
    scenario = harness.scenario("join" if join else "leave", numbered(40 if join else 24), iterations=60)
    wrong = []
    with running(scenario) as run:
        while len({entry["node"] for entry in scenario.tally()}) < 2 and not run.done():
            time.sleep(0.1)
        time.sleep(harness.random.uniform(0, 2))
        if run.done():
            wrong.append("all was done before the node died")
        dead = harness.random.choice(list(cluster.worker_nodes))
        cluster.remove_node(dead, allow_graceful=False)
        done = scenario.committed()
        begun = {row_id for entry in scenario.tally() for row_id in entry["ids"]}
        noticed = _noticed(dead.node_id)
        if join:
            new = cluster.add_node(**WORKER).node_id
            run.result()
            if new not in {entry["node"] for entry in scenario.tally()}:
                wrong.append("the new node got nothing to do")
        run.result()
    note = f"noticed after {noticed:.1f} s"
    return judge(scenario, in_flight=len(begun - done), wrong=wrong, note=note)


def _noticed(node: str) -> float:
    """Seconds until Ray calls a node dead."""
    began = time.monotonic()
    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    while any(each["NodeID"] == node and each["Alive"] for each in list_nodes()):
        time.sleep(0.1)
    return time.monotonic() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
