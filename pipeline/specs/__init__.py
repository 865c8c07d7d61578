"""What a job file may say: manifests, photo archives and parameter grids, with options, patterns and a cluster."""

from pipeline.specs import axes, conditions, globs
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.axes import Axis, Draw
from pipeline.specs.fields import gather, is_file_name, problems_of
from pipeline.specs.globs import stem
from pipeline.specs.grid import GridSpec, Keep, Samples
from pipeline.specs.job import (
    ArchiveJob,
    ClusterSection,
    GridJob,
    JobFile,
    JobFileError,
    JobProblem,
    ManifestJob,
    ReportSection,
    job_of,
    schema,
)
from pipeline.specs.kubernetes import MAX_CLUSTER_NAME, KubernetesSection
from pipeline.specs.run_options import fields_with_options, options_of, with_options

__all__ = [
    "MAX_CLUSTER_NAME",
    "ArchiveJob",
    "ArchiveSpec",
    "Axis",
    "ClusterSection",
    "Draw",
    "GridJob",
    "GridSpec",
    "JobFile",
    "JobFileError",
    "JobProblem",
    "Keep",
    "KubernetesSection",
    "ManifestJob",
    "ReportSection",
    "Samples",
    "axes",
    "conditions",
    "fields_with_options",
    "gather",
    "globs",
    "is_file_name",
    "job_of",
    "options_of",
    "problems_of",
    "schema",
    "stem",
    "with_options",
]
