"""Results of photos that are no longer in their archive: found first, and deleted only on request."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import storage
from pipeline.archives import index
from pipeline.archives.rows import check_originals_are_safe
from pipeline.options import RunOptions, under_access
from pipeline.outputs import forget, layout
from pipeline.recovery import RunLock
from pipeline.specs import ArchiveSpec


@dataclass(frozen=True)
class Leftover:
    """The result of a photo that is gone.

    Attributes:
        id: of the row.
        original: URI of the photo that there was.
        output_name: of the result, below images/.
    """

    id: str
    original: str
    output_name: str


@under_access
def leftovers(spec: ArchiveSpec, options: RunOptions) -> list[Leftover]:
    """Return the results whose photos are gone: deleted, or renamed, which makes another photo of them.

    A photo that is there and that the archive's patterns no longer take is not gone, and one whose storage does not
    answer is not known to be; nor is any where not one photo of a folder's index is there, as of a disk that is not
    mounted or a folder that was moved.

    Args:
        spec: the archive.
        options: of its runs; their output has the index.

    Raises:
        StorageError: if the index or a photo cannot be looked at.
        ValueError: if no photo of the index is there any more.
    """
    check_originals_are_safe(spec, options.output)
    columns = ["id", "original", "output_name"]
    rows = index.read_index(options.output).select(columns).to_pylist()
    identities = storage.identities(list(dict.fromkeys(row["original"] for row in rows)))
    for identity in identities.values():
        if isinstance(identity, storage.StorageError) and not isinstance(identity, storage.NotFound):
            raise identity
    gone = [Leftover(**row) for row in rows if isinstance(identities[row["original"]], storage.NotFound)]
    if gone and len(gone) == len(rows):
        raise ValueError(
            f"{spec.photos}: no photo of {layout.index_file(options.output)} is there: expected at least one. Is the "
            "disk mounted, and the folder where it was? Nothing is deleted; results of an archive that is gone as a "
            "whole are a folder to delete by hand"
        )
    return gone


@under_access
def prune(spec: ArchiveSpec, options: RunOptions, gone: Sequence[Leftover]) -> int:
    """Delete results of photos that are gone, and return how many there were; photos are never deleted.

    The order is: pictures, rows of the results, entries of the index. What is interrupted is found again.

    Args:
        spec: the archive.
        options: of its runs.
        gone: what `leftovers` found.

    Raises:
        Locked: if a run of the archive is at work.
        StorageError: if something cannot be deleted.
    """
    check_originals_are_safe(spec, options.output)
    output, force = options.output, options.force
    pictures = layout.images_folder(output)
    with RunLock(layout.ledger_folder(output), force=force) as lock, RunLock(output, force=force) as own:
        still_gone = {one.id for one in leftovers(spec, options)}
        todo = [one for one in gone if one.id in still_gone]
        for one in todo:
            lock.check()
            own.check()
            picture = layout.picture_file(output, one.output_name)
            storage.remove(picture, inside=pictures)
            storage.remove_folder(layout.steps_folder(picture), inside=pictures)
        ids = [one.id for one in todo]
        forget(output, ids)
        index.remove(output, ids)
    return len(todo)
