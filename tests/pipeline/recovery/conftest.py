"""An actor whose process may be replaced, and what Ray keeps for it, in this process."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.recovery import handover, ledger
from pipeline.recovery.handover import Handover
from pipeline.recovery.recorder import Recorder

PATIENCE = 20
"""Seconds after which a test fails rather than wait."""


class Head:
    """The memory of Ray's head node, and an actor whose process may be replaced.

    Attributes:
        notes: by actor.
        actor: id of the actor; empty: this process is none.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.notes: dict[str, str] = {}
        self.actor, self._patch = "actor", patch
        patch.setattr(handover, "_call", self._call)
        self.begin()

    def begin(self, recorder: Recorder | None = None) -> None:
        """Have another process take the place of the actor's."""
        self._patch.setattr(ledger, "_recorder", recorder or Recorder())
        self._patch.setattr(ledger, "_handover", Handover())

    def _call(self, verb: str, *data: str) -> Any:
        if not self.actor:
            return None
        if verb == "put":
            self.notes[self.actor] = data[0]
            return True
        return self.notes.get(self.actor) if verb == "get" else bool(self.notes.pop(self.actor, 1))


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    """Such an actor; at the end its thread has nothing left to do."""
    yield Head(monkeypatch)
    rest()


def rest() -> None:
    """Wait until the thread of this process has made all its requests."""
    ledger._recorder._thread.submit(lambda: None).result(PATIENCE)
