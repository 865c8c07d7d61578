"""The shape of each row's output, from headers of pictures, and what is wrong with masks by theirs."""

import functools
from collections.abc import Iterable, Sequence

from nst_kernel.pictures import fit
from pipeline.images import ImageError
from pipeline.manifest import ManifestError, Row, RowProblem, shown
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
    fitted = functools.lru_cache(65_536)(fit)  # equal shapes are one object
    needed = {(row.deciding or "") for row in rows if not row.content_shape}
    masked = {uri for row in rows if row.params.content_mask for uri in masks.uris_of(row)}
    sizes = probe(sorted(needed | masked), decoding)

    def shape(row: Row) -> tuple[int, int] | Failure:
        found = whole(row)
        if isinstance(found, Failure) or not row.params.content_mask:
            return found
        return masks.fault(row, found, sizes) or found

    def whole(row: Row) -> tuple[int, int] | Failure:
        size = row.content_shape or sizes[(row.deciding or "")]
        if isinstance(size, Failure):
            return size
        params = row.params
        # A texture takes its style's shape, and styles are not moved: they decide nobody else's batch.
        tolerance = params.aspect_tolerance if row.content else 0.0
        try:
            return fitted(
                size[0],
                size[1],
                size=params.size,
                upscale=params.upscale,
                aspect_tolerance=tolerance,
                tileable=params.tileable,
            )
        except ValueError as error:
            return Failure.of(ImageError(str(error)), (row.deciding or ""))

    return [shape(row) for row in rows]


def check_masks(rows: Iterable[Row], *, probe: headers.Probe = headers.probe) -> None:
    """Check the masks of rows against their pictures, from headers.

    Args:
        rows: any; those without masks are passed over.
        probe: reads headers.

    Raises:
        ManifestError: with every row whose masks, or the pictures that they are of, cannot be used.
    """
    masked = [row for row in rows if row.params.content_mask]
    expected = "masks that are pictures and fit theirs"
    problems = [
        RowProblem(row.file, row.number, "content_mask", shown(row.params.content_mask), f"{expected}: {shape.error}")
        for row, shape in zip(masked, output_shapes(masked, probe=probe), strict=True)
        if isinstance(shape, Failure)
    ]
    if problems:
        raise ManifestError(problems)
