"""A whole manifest read and held against the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline.encoder import load_encoder
from pipeline.manifest.formats import Source
from pipeline.manifest.reader import RowProblem, read_manifest
from pipeline.manifest.row import Manifest, ManifestError, Row

if TYPE_CHECKING:
    from nst_kernel import Weights


def validate(manifest: Source, *, defaults: Mapping[str, object] | None = None, weights: str = "embedded") -> Manifest:
    """Read a whole manifest and hold it against the encoder; nothing is started.

    Raises:
        ManifestError: with every problem; a layer that the encoder lacks is one.
        WeightsError: if the encoder is not to be had.
    """
    encoder = load_encoder(weights)
    asked = read_manifest(manifest, encoder_sha256=encoder.sha256, defaults=defaults)
    check_covered(asked.rows, encoder)
    return asked


def check_covered(rows: Iterable[Row], encoder: Weights) -> None:
    """Hold rows against the encoder.

    Raises:
        ManifestError: with every row that asks for a layer that the encoder lacks.
    """
    from nst_kernel import LayerMissing  # torch comes along

    problems, covered = [], set[tuple[str, ...]]()
    for row in rows:
        if (layers := row.params.layers) in covered:
            continue
        try:
            encoder.check_covers(layers)
            covered.add(layers)
        except LayerMissing as error:
            problems.append(RowProblem(row.file, row.number, None, "", str(error)))
    if problems:
        raise ManifestError(problems)
