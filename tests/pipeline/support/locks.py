"""The locks that a run takes, for tests that take one away from it."""

from types import ModuleType
from typing import Any

import pytest

from pipeline.recovery import RunLock


def noted_locks(patch: pytest.MonkeyPatch, module: ModuleType) -> list[RunLock]:
    """Have the locks that a module makes from now on noted in the list that is returned."""
    noted: list[RunLock] = []

    class Noted(RunLock):
        def __init__(self, *where: Any, **how: Any) -> None:
            super().__init__(*where, **how)
            noted.append(self)

    patch.setattr(module, "RunLock", Noted)
    return noted
