"""The three stages of a run, fetch, optimise and write: a batch in, a batch out.

What optimises loads torch, and is imported when its name is used, which only actors do.
"""

from typing import TYPE_CHECKING

from nst_kernel.lazy import lazily
from pipeline.stages.fetch import fetch
from pipeline.stages.frames import FrameWriter, frame_columns
from pipeline.stages.resumable import OnIteration, ResumableOptimisation
from pipeline.stages.write import UNIMPROVED, Writer, encode_result

if TYPE_CHECKING:
    from pipeline.stages.optimise import StyleActor

__all__ = [
    "UNIMPROVED",
    "FrameWriter",
    "OnIteration",
    "ResumableOptimisation",
    "StyleActor",
    "Writer",
    "encode_result",
    "fetch",
    "frame_columns",
]

__getattr__ = lazily(__name__, {"pipeline.stages.optimise": ("StyleActor",)})
