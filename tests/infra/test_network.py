"""Who reaches whom by the network policies, which are evaluated as Kubernetes defines them."""

import pytest

from tests.infra.support.manifests import Manifest, of_kind, pods, written
from tests.infra.support.network import End, Pod, lets_in, may_reach

POLICIES = of_kind(written("base"), "NetworkPolicy")


def pod_of(template: Manifest, **added: str) -> Pod:
    """A pod of a template, with labels that others add."""
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0].get("ports", [])}
    return Pod({**template["metadata"]["labels"], **added}, ports)


def ends() -> dict[str, End]:
    """The ends of connections by their names."""
    (cluster,), (cron,) = of_kind(written("overlays/gpu"), "RayCluster"), of_kind(written("base"), "CronJob")
    head, worker = (template for _, template in pods(cluster))
    ((_, scheduler),) = pods(cron)
    operators = {"ray.io/is-ray-node": "yes", "ray.io/cluster": "nst"}
    return {
        "head": pod_of(head, **operators, **{"ray.io/node-type": "head"}),
        "worker": pod_of(worker, **operators, **{"ray.io/node-type": "worker"}),
        "scheduler": pod_of(scheduler),
        "names": Pod({"k8s-app": "kube-dns"}, namespace="kube-system"),
        "another pod of Kubernetes": Pod({"k8s-app": "dashboard"}, namespace="kube-system"),
        "prometheus": Pod({"app.kubernetes.io/name": "prometheus"}, namespace="monitoring"),
        "operator": Pod({"app.kubernetes.io/name": "kuberay-operator"}, namespace="ray-system"),
        "a person's pod": Pod({"nst/client": "true"}),
        "a pod of the namespace": Pod({}),
        "a pod of others": Pod({"nst/client": "true"}, namespace="others"),
        "another team's head": Pod(pod_of(head, **operators).labels, namespace="others"),
        "a store": "93.184.216.34",
        "a store of today": "2606:2800:220:1::1",
        "the API": "10.96.0.1",
        "a private address": "192.168.1.1",
        "metadata": "169.254.169.254",
        "metadata of today": "fd00:ec2::254",
    }


ENDS = ends()

REACHES = [
    ("worker", "head", 6379),
    ("head", "worker", 40001),
    ("worker", "worker", 40001),
    ("worker", "a store", 443),
    ("head", "a store", 443),
    ("worker", "a store of today", 443),
    ("head", "the API", 443),
    ("head", "the API", 6443),
    ("scheduler", "the API", 443),
    ("scheduler", "the API", 6443),
    ("worker", "names", 53),
    ("scheduler", "names", 53),
    ("head", "names", 53),
    ("prometheus", "head", 8080),
    ("prometheus", "worker", 8080),
    ("operator", "head", 8265),
    ("a person's pod", "head", 8265),
    ("a person's pod", "names", 53),
]

DOES_NOT_REACH = [
    ("worker", "a store", 80),
    ("worker", "the API", 443),
    ("worker", "the API", 6443),
    ("worker", "a private address", 443),
    *((pod, metadata, port) for pod in ("worker", "head", "scheduler") for metadata in ("metadata", "metadata of today")
      for port in (80, 443)),
    ("worker", "another pod of Kubernetes", 53),
    ("worker", "names", 8080),
    ("worker", "a pod of others", 443),
    ("worker", "another team's head", 6379),
    ("scheduler", "head", 8265),
    ("scheduler", "head", 6379),
    ("another team's head", "head", 6379),
    ("prometheus", "head", 8265),
    ("prometheus", "worker", 40001),
    ("operator", "head", 6379),
    ("operator", "worker", 8265),
    ("a person's pod", "head", 6379),
    ("a person's pod", "worker", 8265),
    ("a person's pod", "a store", 443),
    ("a person's pod", "another pod of Kubernetes", 53),
    ("a pod of the namespace", "head", 8265),
    ("a pod of the namespace", "a store", 443),
    ("a pod of others", "head", 8265),
    ("a pod of others", "scheduler", 443),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "port"), REACHES)
def test_what_is_needed_is_reached(source: str, target: str, port: int) -> None:
    # Whoever is not ours has policies of its own, or none.
    assert may_reach(POLICIES, ENDS[source], ENDS[target], port)


@pytest.mark.parametrize(("source", "target", "port"), DOES_NOT_REACH)
def test_nothing_else_is_reached(source: str, target: str, port: int) -> None:
    assert not may_reach(POLICIES, ENDS[source], ENDS[target], port)


@pytest.mark.parametrize("source", ["a pod of the namespace", "a pod of others", "scheduler", "a private address"])
def test_a_head_takes_jobs_from_nobody_else(source: str) -> None:
    """Whatever another policy may let them send."""
    assert lets_in(POLICIES, ENDS["head"], ENDS["a person's pod"], 8265)
    assert not lets_in(POLICIES, ENDS["head"], ENDS[source], 8265)


def test_names_are_asked_for_in_both_ways() -> None:
    for protocol in ("UDP", "TCP"):
        assert may_reach(POLICIES, ENDS["worker"], ENDS["names"], 53, protocol)


def test_without_policies_all_is_reached() -> None:
    assert all(may_reach([], ENDS[source], ENDS[target], port) for source, target, port in DOES_NOT_REACH)
