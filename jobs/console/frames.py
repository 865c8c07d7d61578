"""Keep pandas out of commands that need none of it, where it is installed: its import takes as long as they do."""

import sys
from importlib.abc import MetaPathFinder


class _Without(MetaPathFinder):
    """A finder of modules that refuses pandas and leaves all others to the next finder."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas, and leave the others to other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=fullname)


def go_without_pandas() -> None:
    """Keep pyarrow from importing pandas by itself, as it does at the first array that it makes of a list.

    It looks once whether there is pandas, so as to know its series. What asks for a data frame still gets one.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, without := _Without())
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(without)
