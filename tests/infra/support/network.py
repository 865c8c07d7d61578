"""NetworkPolicies, evaluated as Kubernetes defines them: whether one end of a connection may reach the other."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.infra.support.manifests import Manifest


@dataclass(frozen=True)
class Pod:
    """A pod.

    Attributes:
        labels: of the pod.
        ports: that its containers name, by name.
        namespace: that it is in; its label `kubernetes.io/metadata.name` has this name.
    """

    labels: Mapping[str, str]
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace: str = "nst"


End = Pod | str
"""One end of a connection: a pod, or an address outside of the cluster's network of pods."""


def may_reach(policies: list[Manifest], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Return whether a connection is let through by the policies of both ends."""
    return _is_let(policies, "Egress", source, target, target, port, protocol) and lets_in(
        policies, target, source, port, protocol
    )


def lets_in(policies: list[Manifest], target: End, source: End, port: int, protocol: str = "TCP") -> bool:
    """Return whether a connection is let in, wherever its source may send."""
    return _is_let(policies, "Ingress", target, source, target, port, protocol)


def _is_let(
    policies: list[Manifest], direction: str, own: End, other: End, target: End, port: int, protocol: str
) -> bool:
    """Return whether the policies of one end let a connection through in one direction; without any, all is let."""
    if isinstance(own, str):
        return True
    chosen = [
        one["spec"]
        for one in policies
        if one["metadata"].get("namespace", "nst") == own.namespace
        and _matches(one["spec"]["podSelector"], own.labels)
        and direction in one["spec"]["policyTypes"]
    ]
    rules = [rule for spec in chosen for rule in spec.get(direction.lower(), [])]
    peers = "to" if direction == "Egress" else "from"
    return not chosen or any(
        any(_is_peer(peer, other, own.namespace) for peer in rule.get(peers, [{}]))
        and any(_is_port(each, target, port, protocol) for each in rule.get("ports", [{}]))
        for rule in rules
    )


def _is_peer(peer: Mapping[str, Any], other: End, namespace: str) -> bool:
    """Return whether a peer of a rule is this end; an empty one is every end."""
    if not peer:
        return True
    if block := peer.get("ipBlock"):
        if not isinstance(other, str):
            return False
        address = ipaddress.ip_address(other)
        return _has(block["cidr"], address) and not any(_has(each, address) for each in block.get("except", []))
    if isinstance(other, str):
        return False
    there = {"kubernetes.io/metadata.name": other.namespace}
    in_namespace = (
        _matches(peer["namespaceSelector"], there) if "namespaceSelector" in peer else other.namespace == namespace
    )
    return in_namespace and _matches(peer.get("podSelector", {}), other.labels)


def _is_port(each: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    """Return whether a port of a rule is this one; a name is one of the pod that is connected to."""
    if not each:
        return True
    named = (
        target.ports.get(each["port"]) if isinstance(each["port"], str) and isinstance(target, Pod) else each["port"]
    )
    return each.get("protocol", "TCP") == protocol and named == port


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a selector by labels selects what has these."""
    assert selector.keys() <= {"matchLabels"}, "expressions are not evaluated here"
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def _has(block: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether a block of addresses has an address."""
    return address in ipaddress.ip_network(block)
