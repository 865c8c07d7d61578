"""The shape of each row's output, from headers of pictures, and what is wrong with masks by theirs."""

from collections.abc import Iterable, Sequence

import numpy as np

from nst_kernel import StyleParams
from nst_kernel.pictures import fit
from pipeline.images import ImageError
from pipeline.manifest import Row, RowProblem, Rows, shown
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.planning import headers, masks
from pipeline.planning.batch import Failure


def output_shapes(
    rows: Sequence[Row], decoding: Decoding = DEFAULT_DECODING, *, probe: headers.Probe = headers.probe
) -> list[tuple[int, int] | Failure]:
    """Return (height, width) in pixels of each row's output, or why there is none.

    It follows from the shape of the picture that decides it, which the manifest says, or else that picture's header.
    A row whose masks are missing, no pictures, or of another aspect ratio than theirs has none.

    Args:
        rows: any.
        decoding: what decoding a picture may take.
        probe: reads headers.
    """
    columns = Rows.of(rows)
    numbers, kinds = columns.kinds()
    # What decides the shape of a row without a content is the same for all of its kind.
    deciding = [kind.deciding or "" for kind in kinds]
    known = columns.values(["content", "height"])
    needed = {content or deciding[kind] for (content, height), kind in zip(known, numbers, strict=True) if not height}
    has_masks = np.array([bool(kind.params.content_mask) for kind in kinds], bool)
    masked = {place: columns[place] for place in np.flatnonzero(has_masks[numbers]).tolist()}
    needed |= {uri for row in masked.values() for uri in masks.uris_of(row)}
    sizes = probe(sorted(needed), decoding)
    shapes: list[tuple[int, int] | Failure] = []
    fitted: dict[tuple[object, ...], tuple[int, int] | str] = {}  # rows are many, shapes few
    for (content, height, width, params), kind in zip(
        columns.values(["content", "height", "width", "params"]), numbers, strict=True
    ):
        uri = content or deciding[kind]
        size = (height, width) if height else sizes[uri]
        if isinstance(size, Failure):
            shapes.append(size)
            continue
        key = (size, params, bool(content))
        if key not in fitted:
            fitted[key] = _fitted(size, columns.params[params], has_content=bool(content))
        shape_or_reason = fitted[key]
        shapes.append(
            Failure.of(ImageError(shape_or_reason), uri) if isinstance(shape_or_reason, str) else shape_or_reason
        )
    for place, row in masked.items():
        shape = shapes[place]
        if not isinstance(shape, Failure):
            found_out = masks.fault(row, shape, sizes)
            shapes[place] = found_out.failure if found_out else shape
    return shapes


def _fitted(size: tuple[int, int], params: StyleParams, *, has_content: bool) -> tuple[int, int] | str:
    """Return the (height, width) of a row's output from the size of its picture, or why there is none."""
    # A texture takes its style's shape, and styles are not moved: they decide nobody else's batch.
    tolerance = params.aspect_tolerance if has_content else 0.0
    try:
        return fit(
            *size, size=params.size, upscale=params.upscale, aspect_tolerance=tolerance, tileable=params.tileable
        )
    except ValueError as error:
        return str(error)


def mask_problems(
    rows: Iterable[Row], decoding: Decoding = DEFAULT_DECODING, *, probe: headers.Probe = headers.probe
) -> list[RowProblem]:
    """Return why rows with masks would fail, as far as headers tell: the first problem of each row that would.

    Args:
        rows: any; those without masks are passed over.
        decoding: what decoding a picture may take.
        probe: reads headers.
    """
    masked = Rows.of(rows).whose(lambda params: bool(params.content_mask))
    needed = {uri for row in masked for uri in (*masks.uris_of(row), row.deciding or "") if uri}
    sizes = probe(sorted(needed), decoding)
    problems = []
    for row in masked:
        if found := _mask_fault(row, sizes):
            value = getattr(row, found.role, None) or getattr(row.params, found.role)
            expected = f"a picture that can be used: {found.failure.error}"
            problems.append(RowProblem(row.file, row.number, found.role, shown(value), expected))
    return problems


def _mask_fault(row: Row, sizes: masks.Headers) -> masks.Fault | None:
    """Return why a row with masks would fail; None where headers tell of no reason."""
    deciding, role = row.deciding or "", "content" if row.content else "style"
    size = row.content_shape or sizes[deciding]
    if isinstance(size, Failure):
        return masks.Fault(role, size)
    shape = _fitted(size, row.params, has_content=bool(row.content))
    if isinstance(shape, str):
        return masks.Fault(role, Failure.of(ImageError(shape), deciding))
    return masks.fault(row, shape, sizes)
