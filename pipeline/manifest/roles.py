"""The roles of the pictures that a row reads, and where a row names the picture of each.

A further role is entered here and read by everything that fetches, identifies, compares or shows pictures. It comes
last in its table: fingerprints hold the pictures in this order.
"""

from collections.abc import Collection, Iterable, Mapping

from nst_kernel.params import INITS

PICTURE_COLUMNS = ("content", "style")
"""Roles that have a column of their own, in manifests as in results."""

PICTURE_PARAMETERS: Mapping[str, Collection[str]] = {"init": INITS}
"""Roles that are named by a style parameter, with the values of it that name no picture."""

ROLES = (*PICTURE_COLUMNS, *PICTURE_PARAMETERS)
"""Every role, in the order in which a row's pictures are listed."""

_NO_PICTURE: tuple[Collection[str], ...] = (*((),) * len(PICTURE_COLUMNS), *PICTURE_PARAMETERS.values())


def by_role(values: Iterable[str | None]) -> dict[str, str]:
    """Return a dictionary from role to URI, for every picture that a row names.

    Args:
        values: what a row has in the place of each of `ROLES`, in that order; None or empty where it has nothing.
    """
    named: dict[str, str] = {}
    for role, uri, words in zip(
        ROLES, values, _NO_PICTURE, strict=False
    ):  # twice as quick as a comprehension that checks
        if uri and uri not in words:
            named[role] = uri
    return named


def pictures_of(columns: Mapping[str, str | None], params: Mapping[str, object]) -> dict[str, str]:
    """Return the URI of every picture that a row of a table names, by role.

    Args:
        columns: of a manifest or of results, by name; others than `PICTURE_COLUMNS` are passed over.
        params: style parameters by name; others than `PICTURE_PARAMETERS` are passed over.
    """
    named = [params.get(name) for name in PICTURE_PARAMETERS]
    return by_role([*map(columns.get, PICTURE_COLUMNS), *(None if value is None else str(value) for value in named)])
