"""The shape of each row's output, from headers of pictures."""

import functools
from collections.abc import Sequence

from nst_kernel.pictures import fit
from pipeline.images import ImageError
from pipeline.manifest import Row
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.planning import headers
from pipeline.planning.batch import Failure


def output_shapes(
    rows: Sequence[Row], decoding: Decoding = DEFAULT_DECODING, *, probe: headers.Probe = headers.probe
) -> list[tuple[int, int] | Failure]:
    """Return (height, width) in pixels of each row's output, or why there is none.

    It follows from the shape of the picture that decides it, which the manifest says, or else that picture's header.

    Args:
        rows: any.
        decoding: what decoding a picture may take.
        probe: reads headers.
    """
    fitted = functools.lru_cache(65_536)(fit)  # equal shapes are one object
    sizes = probe(sorted({(row.deciding or "") for row in rows if not row.content_shape}), decoding)

    def shape(row: Row) -> tuple[int, int] | Failure:
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
