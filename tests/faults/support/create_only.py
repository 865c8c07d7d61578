"""A store that can create a file such that one of many writers wins, but replaces one without comparing, and slowly.

Google's and Azure's stores look so through fsspec. Its files lie in a folder, so that processes share it.
"""

import random
import time
from pathlib import Path
from typing import Any

from fsspec import register_implementation
from fsspec.implementations.local import LocalFileSystem


def _latency() -> None:
    """Take as long as a request takes on its way."""
    time.sleep(random.uniform(0, 0.01))


def _info(self: Any, path: str, **options: Any) -> Any:
    _latency()
    found = LocalFileSystem.info(self, path, **options)
    _latency()
    return found


def _pipe_file(self: Any, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
    _latency()
    target = Path(self._strip_protocol(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = target.with_name(f".{random.getrandbits(64):x}")
    whole.write_bytes(value)
    try:
        if mode == "create":
            target.hardlink_to(whole)
        else:
            whole.replace(target)
    finally:
        whole.unlink(missing_ok=True)
    _latency()


def install() -> None:
    """Let the store answer for URIs `gs:///PATH` in this process."""
    methods = {"protocol": "gs", "info": _info, "pipe_file": _pipe_file}
    register_implementation("gs", type("CreateOnly", (LocalFileSystem,), methods), clobber=True)
