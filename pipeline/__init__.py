"""The data flow, on Ray Data: from a manifest of (content, style, params) to pictures and a table of results.

`run`, `plan`, `results` and `compare` are for notebooks and programs; `import pipeline` alone loads nothing.
"""

import os
from typing import TYPE_CHECKING

# Ray Data reads this when it is imported, so that only here is early enough. A run reserves its share of a cluster and
# renews that every ten seconds; the share of one whose driver was killed is kept for three minutes by default, and on
# a small cluster the next run would get no CPU for as long.
os.environ.setdefault("RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S", "20")

__all__ = ["compare", "plan", "results", "run"]

if TYPE_CHECKING:
    from pipeline.notebook import compare, plan, results, run
else:

    def __getattr__(name: str) -> object:
        """Return a function of the notebook, loaded when it is first used: Ray's workers never need one."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pipeline import notebook

        return getattr(notebook, name)
