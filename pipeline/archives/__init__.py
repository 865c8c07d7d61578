"""Photo archives: which photos they have, which style each photo gets, and which are new since the last run."""

from pipeline.archives import index
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Photo, Selection, photos
from pipeline.archives.run import rows_to_do, run_archive

__all__ = [
    "Chooser",
    "Photo",
    "Selection",
    "index",
    "photos",
    "rows_to_do",
    "run_archive",
]
