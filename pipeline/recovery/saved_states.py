"""States of batches that were interrupted, in the output folder, for whoever takes the same batch up again."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline import storage
from pipeline.outputs import layout
from pipeline.planning import RowKey

if TYPE_CHECKING:
    from nst_kernel.transfer import State

log = logging.getLogger(__name__)


def uri_of(output: str, rows: Sequence[RowKey]) -> str:
    """Where the state of a batch lies: the same rows with the same fingerprints, in this order."""
    names = json.dumps(list(rows))
    return layout.saved_state_file(output, hashlib.sha256(names.encode()).hexdigest()[:32])


def load(uri: str) -> "State | None":
    """What lies there; None if nothing does, or nothing that can be used, which is then deleted."""
    from nst_kernel.transfer import State, StateError

    try:
        return State.from_bytes(storage.read_bytes(uri))
    except storage.StorageError:
        return None  # mostly there is none; and where it cannot be read, work starts anew
    except StateError as error:
        log.warning("%s is of no use: %s", uri, error)
        delete([uri])
        return None


def exists(uri: str) -> bool:
    """Whether a state lies there, as far as storage says."""
    try:
        return bool(storage.identity(uri))
    except storage.StorageError:
        return False


def save(uri: str, state: "State") -> bool:
    """Write a state, whole or not at all. Work goes on without one if that fails."""
    try:
        storage.write_bytes(uri, state.to_bytes())
    except storage.StorageError as error:
        log.warning("the state of a batch is not saved: %s", error)
        return False
    return True


def delete(uris: Iterable[str]) -> None:
    """Delete states that nobody will need. One that stays does no harm."""
    for uri in uris:
        try:
            storage.remove(uri)
        except storage.StorageError as error:
            log.warning("a state that is not needed stays: %s", error)


OLD = timedelta(days=7)
"""Age of a state that nobody has come back for. Younger ones may be another manifest's, or a slice's of an archive."""


def delete_old(output: str) -> None:
    """Delete states that were left behind: those of finished batches are gone already."""
    since = datetime.now(UTC) - OLD
    with contextlib.suppress(storage.StorageError):  # there never was one
        delete(
            [
                entry.uri
                for entry in storage.walk(layout.saved_states_folder(output))
                if entry.modified and entry.modified < since
            ]
        )
