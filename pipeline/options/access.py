"""What a run may open."""

import functools
from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

from pydantic import AfterValidator, BeforeValidator

from pipeline import storage
from pipeline.options.model import Options, option

P = ParamSpec("P")
R = TypeVar("R")


def _checked(places: tuple[str, ...]) -> tuple[str, ...]:
    """Return places that may be opened, after checking how each is written."""
    for place in places:
        storage.check_place(place)
    return places


Places = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    AfterValidator(_checked),
]
"""Beginnings of URIs, as a tuple or a list."""

_PLACES = "`default`, absolute paths, or beginnings of URIs such as s3://bucket/folder or https://host:8443"


class Access(Options):
    """What a run may open: places, and how large a file may be. Operators can narrow it (`pipeline/storage`)."""

    allow_read: Places = option(
        (storage.DEFAULT,),
        f"Places that may be read, in the place of the usual ones: {_PLACES}; repeatable. default: regular files of "
        "this machine, s3, gs, abfs, and http(s) at public addresses. A host that is named may have any address.",
        metavar="PLACE",
    )
    allow_write: Places = option(
        (storage.DEFAULT,),
        "Places that may be written, and read too, as for --allow-read. default: this machine, s3, gs and abfs.",
        metavar="PLACE",
    )
    max_file_bytes: int = option(
        storage.MAX_BYTES, "Bytes that a file may have to be read, unpacked if its server packs it.", unit="bytes", ge=1
    )

    @property
    def allowed(self) -> storage.Allowed:
        """The places and the limit in the form that storage checks."""
        return storage.Allowed(self.allow_read, self.allow_write, self.max_file_bytes)


def under_access(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that takes the options of a run: while it works, what they allow may be opened."""

    @functools.wraps(function)
    def admitted(*arguments: P.args, **named: P.kwargs) -> R:
        values = (getattr(value, "access", None) for value in (*arguments, *named.values()))
        access = next(value for value in values if isinstance(value, Access))
        with storage.allowing(access.allowed):
            return function(*arguments, **named)

    return admitted
