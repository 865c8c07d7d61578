"""Errors of a notebook in our words: what is wrong, without the frames between the cell and where it was noticed."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Words = ParamSpec("Words")
Result = TypeVar("Result")


def in_words(function: Callable[Words, Result]) -> Callable[Words, Result]:
    """Return a function whose expected errors IPython shows as one message.

    They are the same errors for programs; elsewhere than in IPython their tracebacks are as ever.
    """

    @functools.wraps(function)
    def called(*words: Words.args, **named: Words.kwargs) -> Result:
        try:
            return function(*words, **named)
        except Exception as error:
            if _is_expected(error):
                lines = [f"{type(error).__name__}: {error}"]
                shown: Any = error
                shown._render_traceback_ = lambda: lines  # IPython asks an error for it
            raise

    return called


def _is_expected(error: Exception) -> bool:
    """Return whether an error tells somebody what to do, rather than us what is broken."""
    from pipeline.recovery import Locked
    from pipeline.storage import StorageError

    kinds = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, ValueError | StorageError | Locked) or bool(kinds & {"UnknownOption", "RunBroken"})
