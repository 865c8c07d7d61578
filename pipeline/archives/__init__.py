"""Photo archives: which photos they have, which style each photo gets, and which are new since the last run."""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily
from pipeline.archives import index
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Photo, Selection, photos
from pipeline.archives.todo import rows_to_do

if TYPE_CHECKING:  # Ray comes along
    from pipeline.archives.gone import Leftover, leftovers, prune
    from pipeline.archives.run import run_archive

__all__ = [
    "Chooser",
    "Leftover",
    "Photo",
    "Selection",
    "index",
    "leftovers",
    "photos",
    "prune",
    "rows_to_do",
    "run_archive",
]

__getattr__ = lazily(
    __name__,
    {
        "pipeline.archives.gone": ("Leftover", "leftovers", "prune"),
        "pipeline.archives.run": ("run_archive",),
    },
)
