"""A store that is far away: each request for a file below a folder of a certain name takes longer."""

import time
from collections.abc import Callable
from typing import Any

from pipeline import storage
from pipeline.storage import Store

SETUP = f"{__name__}.install"
"""What Ray calls in each worker (`worker_process_setup_hook`)."""

FAR = "far"
"""Name of the folder."""

SECONDS = 0.15
"""How much longer each request takes there."""


class DelayedStore:
    """A store whose answers take so many seconds more."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.store, self.seconds = store, seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self.store, name)

        def later(*arguments: Any) -> Any:
            time.sleep(self.seconds)
            return verb(*arguments)

        return later


def install() -> Callable[[], None]:
    """Have this process find that folder far away from now on, and return a function that ends that."""
    return storage.intercept(lambda uri, store: DelayedStore(store, SECONDS) if FAR in uri.split("/") else store)
