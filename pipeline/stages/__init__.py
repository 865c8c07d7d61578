"""The three stages of a run: fetch, optimise, write; a batch in, a batch out.

What computes brings torch along and is imported when it is asked for: only actors pay for it.
"""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily
from pipeline.stages.fetch import fetch
from pipeline.stages.write import Writer, encode_result

if TYPE_CHECKING:
    from pipeline.stages.optimise import StyleActor
    from pipeline.stages.resumable import ResumableOptimisation

__all__ = ["ResumableOptimisation", "StyleActor", "Writer", "encode_result", "fetch"]

__getattr__ = lazily(
    __name__,
    {
        "pipeline.stages.optimise": ("StyleActor",),
        "pipeline.stages.resumable": ("ResumableOptimisation",),
    },
)
