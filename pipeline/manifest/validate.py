"""The validation of a whole manifest, with the encoder that is to compute it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline.encoder import outline_of
from pipeline.images import DEEP, TRANSPARENT, deep_extensions, extensions_of, format_of
from pipeline.manifest.formats import Source
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import Manifest, ManifestError, Row, RowProblem, shown
from pipeline.manifest.rows import Rows
from pipeline.manifest.settings import Settings

if TYPE_CHECKING:
    from nst_kernel import StyleParams
    from nst_kernel.encoder import Outline


def validate(
    manifest: Source,
    *,
    defaults: Mapping[str, object] | None = None,
    weights: str = "embedded",
    settings: Settings | None = None,
    connect: Callable[[], object] | None = None,
    kept: Callable[[str], Manifest | None] | None = None,
) -> Manifest:
    """Return a whole manifest, read and checked against the encoder; nothing is started.

    Args:
        manifest: files, folders or rows at hand.
        defaults: style parameters for rows that do not give them.
        weights: `embedded`, `imagenet`, or the URI of a file of weights.
        settings: those of the defaults that somebody asked for now.
        connect: as for `read_manifest`.
        kept: as for `read_manifest`.

    Raises:
        ManifestError: with every problem; a layer that the encoder lacks is one.
        WeightsError: if the encoder is not to be had.
    """
    encoder = outline_of(weights)
    read = read_manifest(
        manifest, encoder_sha256=encoder.sha256, defaults=defaults, settings=settings, connect=connect, kept=kept
    )
    check_covered(read.rows, encoder)
    return read


def check_formats(rows: Iterable[Row], depth: int) -> None:
    """Check that the formats of rows' pictures hold what they are to be written with: bits of a colour, and opacity.

    Raises:
        ManifestError: with every row whose format does not.
    """
    suspects = Rows.of(rows).whose(lambda params: depth != 8 or params.transparency == "keep")
    problems = [
        RowProblem(row.file, row.number, "output", shown(row.output), expected)
        for row in suspects
        if (expected := unheld(row.output, row.params, depth))
    ]
    if problems:
        raise ManifestError(problems)


def unheld(output: str, params: StyleParams, depth: int) -> str | None:
    """Return what is expected in the place of an output's name whose format does not hold the picture; None: it does.

    Args:
        output: the name.
        params: of the picture.
        depth: bits of each colour.
    """
    format = format_of(output)
    if depth != 8 and format not in DEEP:
        return f"a name that ends in {deep_extensions()}, since depth is {depth}; or depth 8"
    if params.transparency == "keep" and format not in TRANSPARENT:
        return f"a name that ends in {extensions_of(TRANSPARENT)}, since transparency is keep, and JPEG has none"
    return None


def check_covered(rows: Iterable[Row], encoder: Outline) -> None:
    """Check that the encoder has every layer that rows use.

    Raises:
        ManifestError: with every row that uses a layer that the encoder lacks.
    """
    from nst_kernel.encoder import LayerMissing

    missing: dict[StyleParams, str] = {}

    def is_missing(params: StyleParams) -> bool:
        try:
            encoder.check_covers(params.layers)
        except LayerMissing as error:
            missing[params] = str(error)
        return params in missing

    problems = [
        RowProblem(row.file, row.number, None, "", missing[row.params.reseeded(0)])
        for row in Rows.of(rows).whose(is_missing)
    ]
    if problems:
        raise ManifestError(problems)
