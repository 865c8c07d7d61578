"""What a run leaves out of an archive: files by extension, folders by name, each with the reason."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.manifest import shown
from pipeline.words import counted

NAMED = 5
"""Files or folders that are named for one reason; the others are only counted."""

_EXTENSION = re.compile(r"\.\w{1,8}", re.ASCII)
_NO_EXTENSION, _OTHER = "no extension", "other"


@dataclass
class Reason:
    """What is left out for one reason.

    Attributes:
        files: how many, by extension in small letters.
        folders: how many, with all that is in them.
        named: paths of the first ones, below the archive's root, where it matters which they are.
    """

    files: dict[str, int] = field(default_factory=dict)
    folders: int = 0
    named: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        most_first = sorted(self.files.items(), key=lambda item: (-item[1], item[0]))
        counts = [f"{count:,} {extension}" for extension, count in most_first]
        counts += [counted(self.folders, "folder")] if self.folders else []
        names = [name if name.isprintable() else shown(name) for name in self.named]
        more = self.folders + sum(self.files.values()) - len(names)
        names += ["…"] if names and more > 0 else []
        return ", ".join(counts) + (f" ({', '.join(names)})" if names else "")


@dataclass
class PassedOver:
    """What a run leaves out of an archive, by reason, such as "hidden" or "unreadable"."""

    reasons: dict[str, Reason] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def file(self, reason: str, path: str, *, named: bool = False) -> None:
        """Count a file that is left out.

        Args:
            reason: why.
            path: of the file, below the archive's root.
            named: whether it matters which one it is.
        """
        extension = posixpath.splitext(path)[1].lower()
        kind = extension if _EXTENSION.fullmatch(extension) else _OTHER if extension else _NO_EXTENSION
        files = self._of(reason, path if named else None).files
        files[kind] = files.get(kind, 0) + 1

    def folder(self, reason: str, path: str) -> None:
        """Count a folder that is left out with all that is in it."""
        self._of(reason, path).folders += 1

    def _of(self, reason: str, named: str | None) -> Reason:
        """Return what is left out for a reason, with one more name where there is room for it."""
        entry = self.reasons.setdefault(reason, Reason())
        if named is not None and len(entry.named) < NAMED:
            entry.named.append(named)
        return entry

    @property
    def count(self) -> str:
        """How many files and folders there are, in words such as `3 files and 1 folder`."""
        files = sum(sum(reason.files.values()) for reason in self.reasons.values())
        folders = sum(reason.folders for reason in self.reasons.values())
        counts = ((files, "file"), (folders, "folder"))
        return " and ".join(counted(count, word) for count, word in counts if count)

    def __str__(self) -> str:
        return "; ".join(f"{reason}: {entry}" for reason, entry in sorted(self.reasons.items()))

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return by reason `files`, `folders` and `named`, as JSON types."""
        return {reason: dict(vars(entry)) for reason, entry in sorted(self.reasons.items())}

    @classmethod
    def of(cls, contents: object) -> "PassedOver":
        """Return what `to_json` made JSON of; nothing where that was not written, or by another version."""
        reasons: Mapping[str, Any] = contents if isinstance(contents, Mapping) else {}
        try:
            return cls({str(reason): Reason(**entry) for reason, entry in reasons.items()})
        except TypeError:
            return cls()
