"""What lies in the output folder of a run, results, pictures, summary and progress: written and read back."""

from pipeline import layout
from pipeline.outputs import grid_runs, progress, provenance, query, summary
from pipeline.outputs.as_manifest import REQUEST_COLUMNS, as_manifest, name_of
from pipeline.outputs.compact import compact, forget
from pipeline.outputs.finished import Finished, finished
from pipeline.outputs.locate import run_of
from pipeline.outputs.pair_name import file_name, pair_name
from pipeline.outputs.pairs import Pairs
from pipeline.outputs.passed_over import PassedOver
from pipeline.outputs.pictures import (
    OutputTaken,
    find_picture,
    inputs_among_pictures,
    picture_of,
    picture_or_reason,
    write_picture,
)
from pipeline.outputs.progress import Progress, ProgressFile
from pipeline.outputs.schema import SCHEMA, STATUSES
from pipeline.outputs.steps import Steps, evaluations_kept
from pipeline.outputs.table import ORDER, commit, newest, parts, places, read_part, read_parts, read_results

__all__ = [
    "ORDER",
    "REQUEST_COLUMNS",
    "SCHEMA",
    "STATUSES",
    "Finished",
    "OutputTaken",
    "Pairs",
    "PassedOver",
    "Progress",
    "ProgressFile",
    "Steps",
    "as_manifest",
    "commit",
    "compact",
    "evaluations_kept",
    "file_name",
    "find_picture",
    "finished",
    "forget",
    "grid_runs",
    "inputs_among_pictures",
    "layout",
    "name_of",
    "newest",
    "pair_name",
    "parts",
    "picture_of",
    "picture_or_reason",
    "places",
    "progress",
    "provenance",
    "query",
    "read_part",
    "read_parts",
    "read_results",
    "run_of",
    "summary",
    "write_picture",
]
