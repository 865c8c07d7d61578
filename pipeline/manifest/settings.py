"""Style parameters that somebody asks for now, and rows that give them too."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from nst_kernel.params import PRESETS, by_name, own_name

Given = Mapping[str, object]


@dataclass(frozen=True)
class Settings:
    """Parameters of `--set`, and how many rows give them themselves.

    Attributes:
        values: by name.
        override: whether they outrank what rows give.
        own: by parameter, how many rows give it; counted while rows are read.
    """

    values: Given = field(default_factory=dict)
    override: bool = False
    own: Counter[str] = field(default_factory=Counter)

    def applied(self, columns: Given, nested: Given) -> tuple[Given, Given]:
        """Return the parameters that a row gives, after counting those that were asked for, or replacing them.

        A preset that a row names gives parameters as well.

        Args:
            columns: parameters that have a column of their own, without cells that are blank.
            nested: those in the column `params`.
        """
        if not self.values:
            return columns, nested
        requested, twice = by_name(self.values), self.repeated(columns, nested)
        self.own.update(twice)
        if not self.override or not twice:
            return columns, nested
        kept, below = (
            {name: value for name, value in part.items() if own_name(name, value) not in requested}
            for part in (columns, nested)
        )
        return {**kept, **{name: requested[name] for name in twice}}, below

    def repeated(self, columns: Given, nested: Given) -> set[str]:
        """Return which of the parameters that were asked for a row gives itself; arguments are those of `applied`."""
        requested = by_name(self.values)
        given = {own_name(name, value) for part in (columns, nested) for name, value in part.items() if is_given(value)}
        preset = PRESETS.get(str(columns.get("preset") or nested.get("preset")))
        return (given | (preset.values.keys() if preset else set())) & requested.keys()

    def remarks(self, rows: int) -> tuple[str, ...]:
        """Return what is to be said of parameters that were asked for and that rows give themselves."""
        if self.override:
            return ()
        requested = by_name(self.values)
        return tuple(
            f"--set {name}={requested[name]} is for rows that leave {name} open: {count:,} of {rows:,} give it "
            f"themselves and keep theirs; --override gives it to all"
            for name, count in sorted(self.own.items())
        )


def is_given(value: object) -> bool:
    """Return whether a value of a row gives a parameter, and is not left blank."""
    return value is not None and not (isinstance(value, str) and not value.strip())
