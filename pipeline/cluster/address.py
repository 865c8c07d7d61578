"""Whether a run can be driven from this machine on the cluster of an address, told before anything is begun.

Ray itself ends a process without a word where no node of the cluster is on its machine, and waits for ever at the
address of a dashboard.
"""

import http.client
import sys
import urllib.request
from collections.abc import Callable

from ray._private import services

from pipeline.cluster.connection import bootstrap_address, check_answers, host_and_port
from pipeline.cluster.obstacles import Target, obstacle

GCS_PORT = 6379
"""Port of a head at which nodes and drivers connect, by default."""

_ELSEWHERE = (
    "a run is driven from a node of its cluster: `nst submit --address http://HOST:8265` sends the job there, or start "
    "the run on a node with --address auto"
)


def check_address(address: str | None) -> None:
    """Check that a run can be driven from here, without connecting.

    Args:
        address: as for `connect`.

    Raises:
        ValueError: if it cannot; the message says what to do.
    """
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return
    target = Target.of(address)
    if target.address == "local":
        return
    if target.address.startswith("ray://"):
        raise ValueError(f"{target}: through Ray's client no run can be driven; {_ELSEWHERE}")
    if target.address.startswith(("http://", "https://")):
        raise ValueError(f"{target}: it is the address of a dashboard; {_ELSEWHERE}")
    try:
        written = bootstrap_address(target)
        check_answers(written, is_auto=target.address == "auto")
    except ConnectionError as error:
        raise ValueError(obstacle(error, target)) from error
    host, port = host_and_port(written)
    if not host:
        return  # Ray says what is wrong with it
    if port != GCS_PORT and _is_dashboard(host, port):
        raise ValueError(f"{target}: it is the address of a dashboard; {_ELSEWHERE}")
    addresses_here: Callable[[], set[str]] = services.find_gcs_addresses
    if not addresses_here():
        raise ValueError(f"{target}: no node of that cluster is on this machine; {_ELSEWHERE}")


def _is_dashboard(host: str, port: int) -> bool:
    """Return whether Ray's dashboard answers at an address."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/api/version", timeout=3) as answer:
            return b"ray_version" in answer.read(10_000)
    except (OSError, ValueError, http.client.HTTPException):  # it is none, or does not speak HTTP
        return False
