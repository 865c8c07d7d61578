"""What will run: fingerprints, output shapes, what fails already, costs and batches, from metadata alone."""

from pipeline.planning import cost
from pipeline.planning.batch import Batch, Failure, Fetched, Masks, Optimised, Picture, Pictures, PlannedRow
from pipeline.planning.batches import Batches, BatchRange, Planned
from pipeline.planning.crashes import NO_CRASHES, Crashes, RowKey, quarantine_failure, row_keys
from pipeline.planning.fingerprint import Identities, fingerprint
from pipeline.planning.headers import Shape
from pipeline.planning.history import History
from pipeline.planning.kept import kept_batches
from pipeline.planning.limits import ASSUMED_MEMORY, ROWS_AT_MOST, Limits
from pipeline.planning.look import Look, look_at_pictures
from pipeline.planning.masks import aspect_fault
from pipeline.planning.plan import Plan, plan
from pipeline.planning.shapes import mask_problems, output_shapes
from pipeline.planning.validated import validated

__all__ = [
    "ASSUMED_MEMORY",
    "NO_CRASHES",
    "ROWS_AT_MOST",
    "Batch",
    "BatchRange",
    "Batches",
    "Crashes",
    "Failure",
    "Fetched",
    "History",
    "Identities",
    "Limits",
    "Look",
    "Masks",
    "Optimised",
    "Picture",
    "Pictures",
    "Plan",
    "Planned",
    "PlannedRow",
    "RowKey",
    "Shape",
    "aspect_fault",
    "cost",
    "fingerprint",
    "kept_batches",
    "look_at_pictures",
    "mask_problems",
    "output_shapes",
    "plan",
    "quarantine_failure",
    "row_keys",
    "validated",
]
