"""Connecting to a Ray cluster, and how Ray and Ray Data are set."""

import contextlib
import importlib.util
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray
from ray._private import ray_constants, services
from ray.data import DataContext

from pipeline.cluster.obstacles import Target, obstacle
from pipeline.cluster.statistics import ForgetBlocks

HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
}
"""How soon Ray notices that a node is gone: one that refuses connections after about four seconds, one that is silent
after twenty, which a node that is merely busy should never be. They count where the head of a cluster starts."""


KEPT_WORKERS = {"RAY_idle_worker_killing_time_threshold_ms": "120000"}
"""How long Ray keeps a process that has nothing to do: by default a second, where there are more of them than free
CPUs. Ours are, as their shares are small, and starting one anew for the next batch costs 3 to 6 s of CPU; to keep it
takes about 120 MB. It counts where a machine joins a cluster."""


TOKENS = "RAY_AUTH_MODE"
"""Variable by which Ray, since 2.52, asks everybody for the token in ~/.ray/auth_token. Its default has changed."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that Ray takes for this machine's address in its network."""

DATA_SETTINGS: Mapping[str, Any] = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    # A batch may rightly take hours on a CPU; Ray Data would call half an hour without a block a hang, and end the job
    # for one slow row. Deadlines are ours, in the loop of iterations: they fail the row that is over its own.
    "execution_no_progress_timeout_s": -1,
    "target_max_block_size": 1,  # each row is a block: a batch flows on by itself
    "custom_execution_callback_classes": [ForgetBlocks],  # a dataset lasts as long as its run
    "memory_usage_poll_interval_s": None,  # else each task has a thread for it, and the advice is silenced below
}
"""What Ray Data does otherwise here than by default."""


def connect(address: str | None = None, *, runtime_env: Mapping[str, object] | None = None) -> None:
    """Connect to a Ray cluster, or start one on this machine that no other process attaches to.

    Raises:
        ValueError: if that cannot be, with what to do about it.
    """
    if not ray.is_initialized():
        for name, value in (HEALTH_CHECKS | KEPT_WORKERS).items():
            os.environ.setdefault(name, value)
        _connect(Target.of(address), dict(runtime_env or {}))
    context = DataContext.get_current()
    for name, setting in DATA_SETTINGS.items():
        setattr(context, name, setting)
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _connect(target: Target, runtime_env: dict[str, object]) -> None:
    """Connect to a cluster or start it; raise ValueError with what to do where that fails."""
    is_ours = target.address == "local"
    try:
        address = bootstrap_address(target)
        check_answers(address, is_auto=target.address == "auto")
        closed = is_ours or _is_closed_to_others(address)
        with _closed_to_others() if closed else contextlib.nullcontext():
            ray.init(
                target.address,
                include_dashboard=False if is_ours else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=runtime_env,
            )
    except Exception as error:  # Ray raises bare ones too
        if said := obstacle(error, target):
            raise ValueError(said) from error
        raise


@contextlib.contextmanager
def _closed_to_others() -> Iterator[None]:
    """Have the cluster that is started within this block listen on loopback alone, and ask for a token.

    Ray does the first by itself on macOS and Windows. README.md says who can reach it then. To connect to such a
    cluster takes the same: Ray takes 127.0.0.1 for the machine's other address, where it would wait for minutes.
    """
    if TOKENS not in os.environ and importlib.util.find_spec("ray._private.authentication"):
        os.environ[TOKENS] = "token"
        importlib.import_module("ray._raylet").Config.initialize("")  # Ray read its environment when it was imported
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _is_closed_to_others(address: str) -> bool:
    """Return whether a cluster at an address of this machine, HOST:PORT, listens on loopback alone."""
    host, port = host_and_port(address)
    if host not in LOOPBACK:
        return False
    address_in_network: Callable[[], str] = ray.util.get_node_ip_address
    try:
        socket.create_connection((address_in_network(), port), 1).close()
    except OSError:
        return True
    return False


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of HOST:PORT; an empty host of an address that is none, such as `auto` or ray://head:10001."""
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdecimal():
        return "", 0
    return host.strip("[]"), int(port)


def bootstrap_address(target: Target) -> str:
    """Return the address of a cluster, as it was written down; of `auto` that of this machine's last one.

    That one is in a file that outlives its cluster.
    """
    is_auto = target.address == "auto"
    return services.get_ray_address_from_environment("auto", None) or "" if is_auto else target.address


def check_answers(address: str, *, is_auto: bool, seconds: float = 10) -> None:
    """Raise ConnectionError where nobody is at an address: Ray would wait for minutes."""
    host, port = host_and_port(address)
    if not host:
        return
    try:
        socket.create_connection((host, port), seconds).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"{address}: {error}" if is_auto else str(error)) from None
