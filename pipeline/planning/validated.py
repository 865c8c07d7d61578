"""A manifest that a run can compute as a whole, or every reason why not; neither torch nor Ray is loaded."""

from collections.abc import Mapping

from pipeline import storage
from pipeline.manifest import Manifest, Source, check_formats, check_originals, validate
from pipeline.options import RunOptions, under_access
from pipeline.outputs import inputs_among_pictures


@under_access
def validated(manifest: Source, options: RunOptions, *, defaults: Mapping[str, object] | None = None) -> Manifest:
    """Return a whole manifest, checked against the encoder and against what must not be written over.

    Args:
        manifest: as for `run`.
        options: as for `run`; without an output nothing would be written over.
        defaults: as for `run`.

    Raises:
        ManifestError: with every problem of the manifest.
        WeightsError: if the encoder is not to be had.
        StorageError: if the results in the output cannot be read.
    """
    valid = validate(manifest, defaults=defaults, weights=options.weights)
    check_formats(valid.rows, options.encoding.depth)
    if options.output:
        output = storage.absolute(options.output)
        check_originals(valid.rows, output, known=inputs_among_pictures(output))
    return valid
