"""What a listing tells about a file, without a request for the file itself, and what it passes over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a listing.

    Attributes:
        uri: of the file.
        size: bytes; None where the store does not tell.
        modified: time of the last change, UTC; None where the store does not tell.
        identity: a string that changes whenever the file does, equal to what `storage.identity` returns.
    """

    uri: str
    size: int | None
    modified: datetime | None
    identity: str

    @classmethod
    def of(cls, uri: str, info: Mapping[str, Any]) -> "Entry":
        """Make an entry from the properties that fsspec has of a file."""
        return cls(uri, info.get("size"), _as_time(made(info)), identity_of(info))


@dataclass(frozen=True, slots=True)
class Omitted:
    """A file or folder that a listing passes over.

    Attributes:
        uri: of it.
        reason: in words, such as "broken link".
        is_folder: whether files below it are passed over too.
        error: by which it refused to be listed or looked at; None where it did not.
    """

    uri: str
    reason: str
    is_folder: bool = False
    error: OSError | None = None


def identity_of(info: Mapping[str, Any]) -> str:
    """Return the ETag among the properties that fsspec has of a file, else its size and time of change."""
    tag = info.get("ETag") or info.get("etag")
    # A listing may spell the time as a number where a look at the file gives a date.
    return str(tag).strip('"') if tag else f"{info.get('size')}-{_as_time(made(info)) or made(info)}"


def made(info: Mapping[str, Any]) -> Any:
    """Return when a file was last written, as its store spells it; an empty string where it does not tell."""
    return info.get("mtime") or info.get("LastModified") or info.get("updated") or info.get("created") or ""


def _as_time(value: object) -> datetime | None:
    """Return a time, given as a number of seconds, as ISO 8601 or as a datetime, in UTC; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return None
