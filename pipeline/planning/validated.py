"""A manifest that a run can compute as a whole, or every reason why not; neither torch nor Ray is loaded."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

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
from pipeline.outputs import inputs_among_pictures, parts, query, read_part, read_results
from pipeline.planning.kept import kept_manifest


@under_access
def validated(
    manifest: Source,
    options: RunOptions,
    *,
    defaults: Mapping[str, object] | None = None,
    connect: Callable[[], object] | None = None,
) -> Manifest:
    """Return a whole manifest, checked against the encoder and against what must not be written over.

    Args:
        manifest: as for `run`.
        options: as for `run`; without an output nothing would be written over.
        defaults: as for `run`.
        connect: connects to a cluster, or starts one, that reads a large manifest; None: this process reads it, or the
            cluster that it is connected to.

    Raises:
        ManifestError: with every problem of the manifest.
        WeightsError: if the encoder is not to be had.
        StorageError: if the results in the output cannot be read.
    """
    settings = Settings(options.settings, options.override)
    kept = functools.partial(kept_manifest, storage.absolute(options.output), decoding=options.decoding)
    valid = validate(
        manifest,
        defaults=defaults,
        weights=options.weights,
        settings=settings,
        connect=connect,
        kept=kept if options.output else None,
    )
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
    # Without the parameters, which would fill memory: those of one result make the example.
    results = read_results(output, columns=["id", *PICTURE_COLUMNS], ordered=False)
    columns = Rows.of(rows)
    others = results.filter(pc.invert(pc.is_in(results["id"].cast(pa.large_string()), columns.column("id"))))
    requested = _pairs([columns.column(name).cast(pa.large_string()) for name in PICTURE_COLUMNS])
    pairs = _pairs([others[name].cast(pa.large_string()) for name in PICTURE_COLUMNS])
    different = others.filter(pc.is_in(pairs, requested))
    if len(different):
        last = pc.index(requested, pairs.filter(pc.is_in(pairs, requested))[-1]).as_py()
        before, now = query.parameters_of(_params_of(output, different["id"][-1].as_py())), rows[last].params.to_json()
        words = [f"{name}={as_text(before[name])}" for name in now if before.get(name) != now[name] and name in before]
        yield (
            f"{storage.without_secrets(output)} has {len(different):,} results of the same pictures with other "
            f"parameters ({', '.join(words)[:80] or 'or other weights'}), which stay beside those asked for now: "
            "`nst results OUTPUT --run last` shows what the last run computed, and --where NAME=VALUE tells them apart"
        )


def _pairs(pictures: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array | pa.ChunkedArray:
    """Return the content and style of each row as one text; nothing stands for a picture that a row does not have."""
    return pc.binary_join_element_wise(
        *(pc.fill_null(each, "") for each in pictures), pa.scalar("\n", pa.large_string())
    )


def _params_of(output: str, id: str) -> str:
    """Return the parameters of a row of results as JSON, from the first file that has it; empty without any."""
    for part in parts(output):
        table = read_part(part, ["id", "params"])
        for text in table.filter(pc.equal(table["id"], id))["params"].to_pylist():
            return text or ""
    return ""
