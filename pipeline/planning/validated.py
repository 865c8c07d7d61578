"""A manifest that a run can compute as a whole, or every reason why not; neither torch nor Ray is loaded."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from nst_kernel.params import as_text
from pipeline import storage
from pipeline.manifest import (
    PICTURE_COLUMNS,
    Manifest,
    Row,
    Rows,
    Settings,
    Source,
    check_formats,
    check_originals,
    validate,
)
from pipeline.options import RunOptions, under_access
from pipeline.outputs import inputs_among_pictures, parts, query, read_results


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
    settings = Settings(options.settings, options.override)
    valid = validate(manifest, defaults=defaults, weights=options.weights, settings=settings)
    check_formats(valid.rows, options.encoding.depth)
    if options.output:
        output = storage.absolute(options.output)
        check_originals(valid.rows, output, known=inputs_among_pictures(output))
        if options.settings:
            return dataclasses.replace(valid, remarks=(*valid.remarks, *_other_parameters(valid.rows, output)))
    return valid


def _other_parameters(rows: Sequence[Row], output: str) -> Iterator[str]:
    """Yield a remark if an output has rows of the same pictures that are not among these: a mixture of parameters.

    Args:
        rows: of a manifest.
        output: absolute.
    """
    if not parts(output):
        return
    results = read_results(output, columns=["id", *PICTURE_COLUMNS, "params"], ordered=False)
    columns = Rows.of(rows)
    others = results.filter(pc.invert(pc.is_in(results["id"].cast(pa.large_string()), columns.column("id"))))
    if not len(others):
        return
    places = {pictures: place for place, pictures in enumerate(columns.values(PICTURE_COLUMNS))}
    found: list[str] = []
    for row in others.select([*PICTURE_COLUMNS, "params"]).to_pylist():
        if (place := places.get((row["content"], row["style"]))) is not None:
            found.append(row["params"])
            example = rows[place].params
    if found:
        before, now = query.parameters_of(found[-1]), example.to_json()
        words = [f"{name}={as_text(before[name])}" for name in now if before.get(name) != now[name] and name in before]
        yield (
            f"{storage.without_secrets(output)} has {len(found):,} results of the same pictures with other parameters "
            f"({', '.join(words)[:80] or 'or other weights'}), which stay beside those asked for now: "
            "`nst results OUTPUT --run last` shows what the last run computed, and --where NAME=VALUE tells them apart"
        )
