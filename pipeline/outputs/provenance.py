"""The machine, the time and the versions by which a result was computed."""

import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of the packages that decide what a picture looks like; `source` for one not installed."""

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "source"

    return MappingProxyType({name: of(name) for name in ("nst-pipeline", "torch", "pillow", "ray")})


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def now() -> datetime:
    """Return the time now, UTC."""
    return datetime.now(UTC)
