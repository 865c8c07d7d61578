"""The choice of the style that each photo gets."""

from collections.abc import Callable, Collection, Mapping

from pipeline.archives.rows import digest
from pipeline.specs import ArchiveSpec


class Chooser:
    """The choice among several styles, by the `choose` of an archive.

    `random` makes a number of the seed, the photo's path and each style's name, and takes the style with the highest:
    other photos have no influence, and a new style takes its share from all others without moving the rest.
    `round-robin` gives a photo the style that it had before, where that is known; a new one gets the style that was
    given least often so far.
    """

    def __init__(
        self,
        spec: ArchiveSpec,
        styles: Collection[str],
        *,
        before: Callable[[str], str | None] = lambda path: None,
        given: Mapping[str, int] | None = None,
    ) -> None:
        """Take what the choice depends on.

        Args:
            spec: the archive.
            styles: names of its styles.
            before: returns the style that the photo at a path had, or None.
            given: how many photos have each style.
        """
        self._choose, self._seed, self._styles, self._before = spec.choose, spec.seed, tuple(styles), before
        self._given = {name: (given or {}).get(name, 0) for name in styles}

    def __call__(self, path: str) -> tuple[str, ...]:
        """Return the names of the styles that the photo at this path gets."""
        match self._choose:
            case "all":
                return self._styles
            case "random":
                return (max(self._styles, key=lambda name: digest(self._seed, path, name)),)
            case "round-robin":
                name = self._before(path)
                if name is None or name not in self._given:
                    name = min(self._styles, key=self._given.__getitem__)
                    self._given[name] += 1
                return (name,)
