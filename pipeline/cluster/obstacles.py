"""Why no Ray cluster could be started or reached: Ray's errors in words that say what to do about it."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ADDRESS_VARIABLE = "RAY_ADDRESS"

_TOO_LONG = re.compile(r"AF_UNIX path length cannot exceed (\d+) bytes: (.+)", re.DOTALL)
_TIMED_OUT = re.compile(
    r"timed out|to (?:start|connect to) GCS|from GCS\. Did GCS start|Failed to get node info|No node info found"
    r"|raylet may not have started|raylet start successfully",
    re.IGNORECASE,
)
"""What Ray says of a node that did not come up in time, depending on which of its processes was late."""
_NO_SUCH_SCHEME = re.compile(r"Module: \w+ does not exist")


@dataclass(frozen=True)
class Target:
    """The cluster that is wanted.

    Attributes:
        address: HOST:PORT, `auto`, `local`, or a URI for Ray's client.
        from_environment: whether RAY_ADDRESS says so, and nobody has given it for this run.
    """

    address: str
    from_environment: bool = False

    @classmethod
    def of(cls, address: str | None) -> "Target":
        """Return the cluster that is meant: Ray lets RAY_ADDRESS decide where none is given, and for `auto`."""
        variable = os.environ.get(ADDRESS_VARIABLE, "")
        if variable and address in (None, "", "auto"):
            return cls(variable, from_environment=True)
        return cls(address or "local")

    def __str__(self) -> str:
        return f"{ADDRESS_VARIABLE}={self.address}" if self.from_environment else f"address {self.address}"

    @property
    def advice(self) -> str:
        """What to do where nobody answers at the address."""
        if self.from_environment:
            return (
                "expected HOST:PORT of a cluster's head, such as head:6379: start that cluster (`ray start --head`), "
                f"or unset {ADDRESS_VARIABLE}, so that the run has a cluster of its own on this machine"
            )
        if self.address == "auto":
            return "start one on this machine (`ray start --head`), or give HOST:PORT of another one's head"
        return "expected HOST:PORT of a cluster's head, such as head:6379, or auto"


def obstacle(error: Exception, target: Target) -> str | None:
    """Return what kept Ray from starting or connecting, and what to do; None where its error says nothing known.

    Args:
        error: that `ray.init` raised.
        target: the cluster that was wanted.
    """
    text = " ".join(str(error).split())
    if too_long := _TOO_LONG.search(str(error)):
        return _too_long(int(too_long[1]), too_long[2])
    if _NO_SUCH_SCHEME.search(text):
        return (
            f"{target}: Ray knows no such scheme ({text[:200]}); {target.advice}. The address of a dashboard, "
            "http://…, is for nst submit"
        )
    if target.address == "local":
        return _not_started(text) if isinstance(error, TimeoutError) or _TIMED_OUT.search(text) else None
    if isinstance(error, ConnectionError | TimeoutError) or _TIMED_OUT.search(text):
        return f"{target}: no Ray cluster answers there ({text[:300]}); {target.advice}"
    return None


def _too_long(most: int, path: str) -> str:
    """Return the message where a socket's path is longer than the operating system allows."""
    variable, folder = _temporary()
    length = len(os.fsencode(path))
    if not path.startswith(folder):  # the cluster is another's, who has chosen the folder
        return f"Ray cannot start: its socket {path} has a path of {length} bytes, and {most} are allowed"
    left = len(os.fsencode(folder)) - (length - most)
    return (
        f"{variable}={folder}: Ray cannot start there, since the paths of its sockets would have {length} bytes, and "
        f"{most} are allowed: set RAY_TMPDIR to a folder of at most {left} bytes, such as /tmp"
    )


def _not_started(text: str) -> str:
    """Return the message where a cluster of our own did not come up."""
    logs = Path(_temporary()[1]) / "ray" / "session_latest" / "logs"
    return (
        f"Ray's processes were started on this machine, and did not come up in time ({text[:300]}). It may be out of "
        f"memory, or busy: end other work and run the command again. Their logs, gcs_server.out and raylet.out "
        f"first, are in {logs}"
    )


def _temporary() -> tuple[str, str]:
    """Return the variable that names Ray's folder for temporary files, and the folder."""
    for variable in ("RAY_TMPDIR", *(("TMPDIR",) if sys.platform == "linux" else ())):
        if variable in os.environ:
            return variable, os.environ[variable]
    return "RAY_TMPDIR", "/tmp"
