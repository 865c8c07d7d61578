"""One pair of pictures stylised in this process, without Ray, read and written as in a run."""

import logging
from collections.abc import Mapping
from functools import partial

from nst_kernel import StylizeResult
from pipeline import storage
from pipeline.cluster import ActorPool
from pipeline.encoder import outline_of
from pipeline.flow.estimate import Estimate, known_rate, summarise
from pipeline.manifest import Row, derive_id, pictures_of, resolved_styles, same_file, unheld
from pipeline.options import RunOptions
from pipeline.outputs import Steps
from pipeline.planning import Batch, Failure, Limits, Plan, look_at_pictures, output_shapes, plan
from pipeline.process import main_memory
from pipeline.stages import FrameWriter, OnIteration, ResumableOptimisation, encode_result, fetch, frame_columns

log = logging.getLogger(__name__)

_DEFAULTS = RunOptions()

MEMORY_SHARE = 0.85
"""Share of the memory that a pair may take; the rest is for libraries and whoever else is there."""


def stylize_one(
    content: str,
    style: str,
    *,
    output: str,
    params: Mapping[str, object] | None = None,
    options: RunOptions = _DEFAULTS,
    on_iteration: OnIteration | None = None,
) -> StylizeResult:
    """Give one content picture the style of another and write the result, with pictures on the way beside it.

    Args:
        content: path or URI of a picture.
        style: path or URI of a picture, or several with `|` between them; a folder, which ends in a slash, stands for
            the pictures in it.
        output: path or URI of a .png, .jpg, .webp, .tif or .avif file.
        params: style parameters by name.
        options: of which the weights, the encoding and what decoding may take are used.
        on_iteration: called with (iterations done, iterations in all, the last known loss).

    Raises:
        ValueError: for a picture, parameter or output name that cannot be used.
        WeightsError: if the encoder is not to be had.
        StorageError: if the output cannot be written.
    """
    row, work, _ = _planned(content, style, output=output, params=params or {}, options=options)
    storage.check_writable(storage.parent(storage.absolute(output)))
    (batch,) = work.batches
    steps = Steps(storage.absolute(output), row.id, inside=None)
    outcome, sha256 = _optimised(batch, steps, options, on_iteration), outline_of(options.weights).sha256
    storage.write_bytes(output, encode_result(batch.rows[0], outcome, sha256, options.encoding))
    for warning in frame_columns(steps, batch.rows[0], outcome)[1]:
        log.warning("%s", warning)
    return outcome


def estimate_one(
    content: str,
    style: str,
    *,
    output: str,
    params: Mapping[str, object] | None = None,
    options: RunOptions = _DEFAULTS,
    rate: float | None = None,
) -> Estimate:
    """Return what `stylize_one` would come to. Nothing is optimised and nothing written.

    Args:
        content: as for `stylize_one`, which raises the same errors.
        style: as for `stylize_one`.
        output: as for `stylize_one`.
        params: as for `stylize_one`.
        options: as for `stylize_one`.
        rate: as for `estimate`.
    """
    row, work, pool = _planned(content, style, output=output, params=params or {}, options=options)
    faults = [error for error, _ in look_at_pictures([row], options.decoding).faults.values()]
    faults += [failure.error for failure in work.batches.planned.failures.values()]
    if faults:
        raise ValueError(faults[0])
    rate_of_pool = known_rate(work, pool, options.weights, rate)
    return summarise(work, pool, rate_of_pool, encoder=outline_of(options.weights).kind)


def _planned(
    content: str, style: str, *, output: str, params: Mapping[str, object], options: RunOptions
) -> tuple[Row, Plan, ActorPool]:
    """Return the row of a pair, the plan that has it alone, and what this machine is as a pool of one actor.

    Raises:
        ValueError: for a picture, parameter or output name that cannot be used.
        WeightsError: if the encoder is not to be had.
    """
    from nst_kernel import ParamError, StyleParams

    resolved = StyleParams.of(params)
    if expected := unheld(output, resolved, options.encoding.depth):
        raise ValueError(f"{output}: expected {expected}")
    storage.check_no_folder(output)
    styles, fault = resolved_styles(style, "")
    if fault:
        raise ValueError(f"style {style}: expected {fault}")
    asked = pictures_of({"content": content, "style": styles}, resolved.to_json())
    if misfits := resolved.misfits(len(asked.get("style", ()))):
        raise ParamError(misfits)
    if original := same_file(output, [uri for uris in asked.values() for uri in uris]):
        raise ValueError(f"output {output} is {original}, which would be written over: expected another name")
    encoder = outline_of(options.weights)
    encoder.check_covers(resolved.layers)
    row_id = derive_id(content, styles, resolved, encoder.sha256)
    row = Row(row_id, content, styles, output.rpartition("/")[2], resolved, file="", number=1)
    shape_of = partial(output_shapes, decoding=options.decoding)
    pool = _this_process()
    limits = Limits(memory=pool.memory, precision=pool.precision)
    return row, plan([row], encoder_sha256=encoder.sha256, limits=limits, shape_of=shape_of), pool


def _this_process() -> ActorPool:
    """Return what there is on this machine for one pair, as a pool of one actor: memory, and what `auto` means."""
    import torch

    from nst_kernel.encoder import resolve_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = torch.cuda.mem_get_info()[0] if device.type == "cuda" else main_memory()
    gpus, precision = int(device.type == "cuda"), resolve_precision("auto", device)
    return ActorPool(1, 0, gpus, None, memory=MEMORY_SHARE * there, precision=precision)


def _optimised(batch: Batch, steps: Steps, options: RunOptions, on_iteration: OnIteration | None) -> StylizeResult:
    """Fetch and optimise a batch of one row, whose pictures on the way are written meanwhile.

    Raises:
        ValueError: for pictures that cannot be used.
    """
    from pipeline.stages import StyleActor

    keeping = ResumableOptimisation(frames=FrameWriter(lambda _: steps))
    actor = StyleActor(
        options.weights, on_iteration=on_iteration, resumable=keeping, depth=options.encoding.bits_before
    )
    (outcome,) = actor(fetch(batch, options.decoding)).outcomes
    if isinstance(outcome, Failure):
        raise ValueError(outcome.error)
    return outcome
