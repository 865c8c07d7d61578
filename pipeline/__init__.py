"""The data flow, on Ray Data: from a manifest of (content, style, params) to pictures and a table of results.

`run`, `plan` and `results` are for notebooks and programs; `import pipeline` alone loads nothing.
"""

from typing import TYPE_CHECKING

__all__ = ["plan", "results", "run"]

if TYPE_CHECKING:
    from pipeline.notebook import plan, results, run
else:

    def __getattr__(name: str) -> object:
        """The notebook's functions, loaded when they are asked for: stages in Ray's workers never do."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pipeline import notebook

        return getattr(notebook, name)
