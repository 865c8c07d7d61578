"""Saved states of interrupted batches, in the output folder, from which any process can resume the same batch."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline import storage
from pipeline.outputs import layout
from pipeline.planning import RowKey

if TYPE_CHECKING:
    from nst_kernel.transfer import State

log = logging.getLogger(__name__)

OLD = timedelta(days=7)
"""Age from which a state counts as abandoned. Younger ones may be of another manifest, or of a part of an archive."""


def uri_of(output: str, rows: Sequence[RowKey]) -> str:
    """Return where the state of a batch is saved: a function of its rows with their fingerprints, in this order."""
    names = json.dumps(list(rows))
    return storage.join(
        layout.saved_states_folder(output), f"{hashlib.sha256(names.encode()).hexdigest()[:32]}.safetensors"
    )


def names(output: str) -> frozenset[str]:
    """Return the names of the files of all saved states of an output, as far as storage tells: one request mostly."""
    with contextlib.suppress(storage.StorageError):  # there never was one
        return _listed(output)
    return frozenset()


def expecting(output: str, saved: Collection[str], *, restarted: bool) -> Callable[[str], bool]:
    """Return a function that tells of a state's URI whether there may be a file, so that it is worth a request.

    A state is left by an earlier run, or by the process whose place this one took, which looks here once for those.

    Args:
        output: of the run.
        saved: names of those that were there when the run began.
        restarted: whether this process took the place of another one.
    """
    known = set(saved)
    if restarted:
        try:
            known.update(_listed(output))
        except storage.NotFound:  # there never was one
            pass
        except storage.StorageError:  # better one request too many for each batch than work that is done again
            return lambda _: True
    return lambda uri: _name(uri) in known


def load(uri: str) -> "State | None":
    """Return a saved state; None if there is none, or none that can be used, which is then deleted.

    A state that storage cannot read is treated as missing: the work begins from its start.
    """
    from nst_kernel.transfer import State, StateError

    try:
        return State.from_bytes(storage.read_bytes(uri))
    except storage.StorageError:
        return None
    except StateError as error:
        log.warning("%s is of no use: %s", uri, error)
        delete([uri])
        return None


def exists(uri: str) -> bool:
    """Return whether a state is saved there, as far as storage can tell."""
    try:
        return bool(storage.identity(uri))
    except storage.StorageError:
        return False


def save(uri: str, state: "State") -> bool:
    """Save a state, whole or not at all, and return whether that succeeded; work goes on without one if it failed."""
    try:
        storage.write_bytes(uri, state.to_bytes())
    except storage.StorageError as error:
        log.warning("the state of a batch is not saved: %s", error)
        return False
    return True


def delete(uris: Iterable[str]) -> None:
    """Delete states that are not needed any more; one that cannot be deleted stays and does no harm."""
    for uri in uris:
        try:
            storage.remove(uri)
        except storage.StorageError as error:
            log.warning("a state that is not needed stays: %s", error)


def _listed(output: str) -> frozenset[str]:
    """Return the names of the files of all saved states of an output; StorageError if they cannot be listed."""
    return frozenset(_name(entry.uri) for entry in storage.walk(layout.saved_states_folder(output)))


def _name(uri: str) -> str:
    """Return the name of a file without its folder."""
    return uri.rpartition("/")[2]


def delete_old(output: str) -> None:
    """Delete the abandoned states of an output; those of finished batches are deleted when these are written."""
    since = datetime.now(UTC) - OLD
    with contextlib.suppress(storage.StorageError):  # there never was one
        delete(
            [
                entry.uri
                for entry in storage.walk(layout.saved_states_folder(output))
                if entry.modified and entry.modified < since and layout.is_saved_state(entry.uri)
            ]
        )
