"""Manifests: their file formats, columns, rows and ids, and their validation."""

from pipeline.manifest.columns import IMAGE_EXTENSIONS, bad_output
from pipeline.manifest.formats import Records, Source, described
from pipeline.manifest.ids import derive_id, is_derived
from pipeline.manifest.names import MAX_NAME, former_output, name_in_fingerprint
from pipeline.manifest.originals import check_originals, same_file
from pipeline.manifest.reader import iter_rows, read_manifest
from pipeline.manifest.roles import PICTURE_COLUMNS, PICTURE_PARAMETERS, ROLES, SEVERAL, each_of, pictures_of
from pipeline.manifest.row import Duplicate, Manifest, ManifestError, Row, RowProblem, place, shown
from pipeline.manifest.rows import EARLIER, SCHEMA, Kind, Origin, Rows, joined
from pipeline.manifest.settings import Settings
from pipeline.manifest.styles import resolved_styles
from pipeline.manifest.validate import check_covered, check_formats, unheld, validate

__all__ = [
    "EARLIER",
    "IMAGE_EXTENSIONS",
    "MAX_NAME",
    "PICTURE_COLUMNS",
    "PICTURE_PARAMETERS",
    "ROLES",
    "SCHEMA",
    "SEVERAL",
    "Duplicate",
    "Kind",
    "Manifest",
    "ManifestError",
    "Origin",
    "Records",
    "Row",
    "RowProblem",
    "Rows",
    "Settings",
    "Source",
    "bad_output",
    "check_covered",
    "check_formats",
    "check_originals",
    "derive_id",
    "described",
    "each_of",
    "former_output",
    "is_derived",
    "iter_rows",
    "joined",
    "name_in_fingerprint",
    "pictures_of",
    "place",
    "read_manifest",
    "resolved_styles",
    "same_file",
    "shown",
    "unheld",
    "validate",
]
