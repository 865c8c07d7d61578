"""Style parameters that somebody asks for now, and rows that give them too."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from nst_kernel.params import ALIASES

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
        """Return the parameters that a row gives, after counting those that were asked for, or taking them out.

        Args:
            columns: parameters that have a column of their own.
            nested: those in the column `params`.
        """
        if not self.values:
            return columns, nested
        asked = {ALIASES.get(name, name) for name in self.values}
        given = {name for part in (columns, nested) for name, value in part.items() if value not in (None, "")}
        twice = {name for name in given if ALIASES.get(name, name) in asked}
        self.own.update({ALIASES.get(name, name) for name in twice})
        if not self.override or not twice:
            return columns, nested
        kept = ({name: value for name, value in part.items() if name not in twice} for part in (columns, nested))
        return next(kept), next(kept)

    def remarks(self, rows: int) -> tuple[str, ...]:
        """Return what is to be said of parameters that were asked for and that rows give themselves."""
        if self.override:
            return ()
        return tuple(
            f"--set {name}={self.text(name)} is for rows that leave {name} open: {count:,} of {rows:,} give it "
            f"themselves and keep theirs; --override gives it to all"
            for name, count in sorted(self.own.items())
        )

    def text(self, name: str) -> object:
        """Return the value of a parameter that was asked for, by whichever of its names."""
        return next(value for written, value in self.values.items() if ALIASES.get(written, written) == name)
