"""What this process may open now: what a run's options allow, narrowed by what an operator allows."""

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

from pipeline.storage.allowed import Allowed, split
from pipeline.storage.errors import Barred, StorageError
from pipeline.storage.uris import WEB

P = ParamSpec("P")
R = TypeVar("R")

OPERATORS_FILE = Path("/etc/nst/access.json")
"""The operator's file. Whoever starts a run cannot change it, unlike a variable."""

OPERATORS_VARIABLE = "NST_ACCESS"
"""The operator's variable: what stands in the file, as text, or a list of several."""

_FIELDS = {"allow_read": "read", "allow_write": "write", "max_file_bytes": "max_bytes"}
"""Names of what an operator may say, the same as those of the run's options, and the fields of `Allowed`."""

_STORES = ("s3", "gs", "abfs")

_given: tuple[Allowed, ...] = (Allowed(),)


def allow(*allowed: Allowed) -> Callable[[], None]:
    """Let this process open, from now on, what each of these allows, in the place of what was allowed before.

    None stands for the defaults. It holds for all threads. What an operator says holds besides.

    Returns:
        A function that restores what was allowed before.
    """
    global _given
    before, _given = _given, allowed or (Allowed(),)

    def undo() -> None:
        global _given
        _given = before

    return undo


@contextlib.contextmanager
def allowing(*allowed: Allowed) -> Iterator[None]:
    """Let this process open, within the block, what each of these allows; see `allow`."""
    undo = allow(*allowed)
    try:
        yield
    finally:
        undo()


def in_force() -> tuple[Allowed, ...]:
    """Return what has been allowed to this process and what operators say; a URI must be covered by each.

    Raises:
        StorageError: if what an operator says cannot be read; nothing may be opened then.
    """
    return tuple(dict.fromkeys((*operators(), *_given)))  # an operator's refusal is the one that counts


class Carried(Generic[P, R]):
    """A function that opens, in whatever process it is called, what the process that made it may open."""

    def __init__(self, function: Callable[P, R]) -> None:
        self.function, self.allowed = function, in_force()

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Call the function. What it allows holds on: its process may go on reading and writing in threads."""
        allow(*self.allowed)
        return self.function(*arguments, **named)


def operators() -> tuple[Allowed, ...]:
    """Return what the operators of this machine say, in their file and in their variable."""
    return (*_from_file(OPERATORS_FILE), *_from_text(os.environ.get(OPERATORS_VARIABLE, ""), OPERATORS_VARIABLE))


def operators_text(*others: str) -> str:
    """Return the variable that says elsewhere what operators say here; empty where they say nothing.

    Args:
        *others: values of the variable that shall hold there besides.
    """
    said = [*operators(), *(one for text in others for one in _from_text(text, OPERATORS_VARIABLE))]
    fields = [{name: getattr(one, field) for name, field in _FIELDS.items()} for one in said]
    given = [{name: value for name, value in each.items() if value is not None} for each in fields]
    return json.dumps(given) if given else ""


def max_bytes() -> int:
    """Return how many bytes a file may have to be read."""
    return min((one.max_bytes for one in in_force() if one.max_bytes is not None), default=sys.maxsize)


def check(uri: str, *, write: bool) -> None:
    """Check that a URI may be opened, as far as its text tells; connections check addresses themselves.

    Raises:
        Barred: if not.
    """
    for allowed in in_force():
        if not allowed.covers(uri, write=write):
            raise Barred(_advice(allowed, _origin(uri), write=write, uri=uri))


def who_wants_public(allowed: Sequence[Allowed], scheme: str, host: str, port: int | None) -> Barred | None:
    """Return the error for a host of the web that has no public address; None for one that may have any address.

    Raises:
        Barred: if the host may not be read at all.
    """
    place = _web_place(scheme, host, port)
    not_naming = [one for one in allowed if one.read is not None and not one.names_host(scheme, host, port)]
    for one in not_naming:
        if not one.has_public(scheme):
            raise Barred(_advice(one, place, write=False))
    for one in not_naming:
        why = f"{place} has a loopback, private or link-local address, which only a host may have that is named"
        return Barred(f"{why}: {_remedy(one, place, write=False)}")
    return None


def _web_place(scheme: str, host: str, port: int | None) -> str:
    """Return scheme, host and port as a place that may be named."""
    bracketed = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{bracketed}" + ("" if port in (None, usual) else f":{port}")


def _advice(allowed: Allowed, place: str, *, write: bool, uri: str = "") -> str:
    """Return why a URI may not be opened, and what to do about it."""
    what = "written" if write else "read"
    if "::" in uri and split(uri)[0] not in ("", *WEB, *_STORES):
        return "chains of file systems (::) are never opened: give the address of the file itself"
    return f"it is not among the places that may be {what}: {_remedy(allowed, place, write=write)}"


def _remedy(allowed: Allowed, place: str, *, write: bool) -> str:
    """Return what to do so that a place is allowed."""
    option = "write" if write else "read"
    if allowed.by:
        return f"ask whoever runs this machine to add {place} to allow_{option} in {allowed.by}"
    places = (allowed.write if write else allowed.read) or ()
    words = " ".join(f"--allow-{option} {one}" for one in (*places, place))
    return f"to allow it, give {words}, or allow_{option} in the access section of a job file"


def _origin(uri: str) -> str:
    """Return the place that would allow a URI: its folder, bucket or host, or its scheme; without user or password."""
    scheme, rest = split(uri)
    authority = rest.partition("/")[0]
    if not scheme:
        return str(Path(os.path.realpath(rest)).parent)
    if scheme == "abfs":  # a container, and the account that it is in
        return f"abfs://{authority}"
    return f"{scheme}://{authority.rpartition('@')[2]}" if scheme in (*WEB, *_STORES) else f"{scheme}://"


@functools.cache
def _from_file(file: Path) -> tuple[Allowed, ...]:
    """Return what an operator's file says; nothing where there is none."""
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError) as error:
        raise StorageError(f"{file}: cannot be read ({error}), so that nothing may be opened") from None
    return _from_text(text, str(file))


@functools.cache
def _from_text(text: str, by: str) -> tuple[Allowed, ...]:
    """Return what an operator says as a JSON object, or as a list of several."""
    if not text.strip():
        return ()
    try:
        said = json.loads(text)
        return tuple(_from_fields(fields, by) for fields in (said if isinstance(said, list) else [said]))
    except ValueError as error:
        example = '{"allow_read": ["/photos", "s3://bucket"], "allow_write": ["/out"], "max_file_bytes": 100000000}'
        raise StorageError(f"{by}: {error}; expected JSON such as {example}. Until then nothing is opened") from None


def _from_fields(fields: object, by: str) -> Allowed:
    """Return what one JSON object says."""
    if not isinstance(fields, dict) or fields.keys() - _FIELDS.keys():
        raise ValueError(f"{fields!r}: expected an object with some of {', '.join(_FIELDS)}")
    places, most = {"read": fields.get("allow_read"), "write": fields.get("allow_write")}, fields.get("max_file_bytes")
    for value in places.values():
        if value is not None and not (isinstance(value, list) and all(isinstance(place, str) for place in value)):
            raise ValueError(f"{value!r}: expected a list of places")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int)):
        raise ValueError(f"max_file_bytes = {most!r}: expected a number of bytes")
    read, write = (None if value is None else tuple(value) for value in places.values())
    return Allowed(read, write, most, by)
