"""The results table: every column with its type and what it holds."""

from collections.abc import Sequence
from typing import Literal, get_args

import pyarrow as pa

Status = Literal["ok", "failed", "diverged", "quarantined"]
"""What became of a row; the column `status` says what each means."""


STATUSES: tuple[str, ...] = get_args(Status)


SCHEMA_VERSION = 7
"""Raised when a column is added or changed; readers accept every older version."""


_DOCUMENTED: Sequence[tuple[str, pa.DataType, str]] = (
    ("id", pa.string(), "the row's own, or derived from what decides the picture"),
    (
        "fingerprint",
        pa.string(),
        "of what was requested: pictures as they were, parameters, encoder, algorithm version",
    ),
    ("content", pa.string(), "URI of the content picture"),
    ("style", pa.string(), "URI of the style picture; of several, with | between them"),
    ("params", pa.string(), "every parameter, resolved, as JSON"),
    (
        "status",
        pa.string(),
        "ok, failed, diverged (a loss stopped being finite; the best iterate was kept) "
        "or quarantined (its process crashed again and again)",
    ),
    ("error_class", pa.string(), "what kind of error, of a failed or quarantined row"),
    ("error", pa.string(), "what went wrong and what to do, of a failed or quarantined row"),
    ("warning", pa.string(), "what is doubtful about the picture of a row that is ok or diverged"),
    ("output", pa.string(), "URI of the picture; it was whole before this row was written"),
    ("output_name", pa.string(), "the picture's name below images/, of any row"),
    ("width", pa.int32(), "of the output, pixels"),
    ("height", pa.int32(), "of the output, pixels"),
    ("iterations", pa.int32(), "loss evaluations made, over all scales"),
    ("total_loss", pa.float64(), "of the picture: alpha * content + beta * style + the other terms (eq. 7)"),
    ("content_loss", pa.float64(), "of the picture, before its weight"),
    ("style_loss", pa.float64(), "of the picture, before its weight"),
    (
        "curve",
        pa.struct(
            [
                ("iteration", pa.list_(pa.int32())),
                ("total", pa.list_(pa.float32())),
                ("content", pa.list_(pa.float32())),
                ("style", pa.list_(pa.float32())),
                ("style_layers", pa.map_(pa.string(), pa.list_(pa.float32()))),
            ]
        ),
        "losses at every iteration of every scale, in order",
    ),
    (
        "frames",
        pa.list_(pa.int32()),
        "evaluations after which pictures on the way are kept, at images/NAME.steps/NUMBER.png; the last shows the "
        "picture itself",
    ),
    ("animation", pa.string(), "webp or gif, where images/NAME.steps/animation.webp or .gif shows them"),
    (
        "seconds",
        pa.struct([("fetch", pa.float64()), ("optimise", pa.float64()), ("write", pa.float64())]),
        "by stage; optimise is the row's share of its batch",
    ),
    ("idle_seconds", pa.float64(), "that the actor had nothing to do before the batch; the row's share"),
    (
        "retries",
        pa.int32(),
        "requests to storage that were repeated for it; those for its whole batch count with the first row of that",
    ),
    ("seed", pa.int64(), "of the white noise"),
    ("encoder", pa.string(), "name of the weights"),
    ("encoder_sha256", pa.string(), "of the weights' file"),
    ("versions", pa.string(), "of the packages that computed it, as JSON"),
    ("host", pa.string(), "where it was computed"),
    ("device", pa.string(), "what computed it, such as cpu or the name of a GPU"),
    ("precision", pa.string(), "what its convolutions were computed in: fp32, tf32 or bf16"),
    ("run", pa.int64(), "number of the run that computed it, in the order in which runs took the lock of the output"),
    ("started_at", pa.timestamp("us", tz="UTC"), "when work on its batch began"),
    ("finished_at", pa.timestamp("us", tz="UTC"), "when its picture was whole, or it had failed"),
    ("manifest", pa.string(), "file that requested it"),
    ("manifest_row", pa.int64(), "line or row number in that file"),
)


SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"doc": doc}) for name, kind, doc in _DOCUMENTED],
    metadata={"nst_results_version": str(SCHEMA_VERSION)},
)
"""The schema of the results; what a column holds is in its field's metadata under `doc`."""
