"""The roles of the pictures that a row reads, and where a row names the picture of each.

A further role is entered here and read by everything that fetches, identifies, compares or shows pictures. It comes
last in its table: fingerprints hold the pictures in this order.
"""

from collections.abc import Collection, Iterable, Mapping

from nst_kernel.params import INITS

PICTURE_COLUMNS = ("content", "style")
"""Roles that have a column of their own, in manifests as in results."""

SEVERAL = "|"
"""What stands between the URIs where a role has several pictures: commas and semicolons are letters of names."""

PICTURE_PARAMETERS: Mapping[str, Collection[str]] = {"init": INITS, "content_mask": ("",), "style_mask": ("",)}
"""Roles that are named by a style parameter, with the values of it that name no picture."""

ROLES = (*PICTURE_COLUMNS, *PICTURE_PARAMETERS)
"""Every role, in the order in which a row's pictures are listed."""

_MAY_BE_SEVERAL = ("style", "content_mask", "style_mask")
"""Roles that may have several pictures."""

_NO_PICTURE: tuple[Collection[str], ...] = (*((),) * len(PICTURE_COLUMNS), *PICTURE_PARAMETERS.values())


def each_of(role: str, uris: str | None) -> tuple[str, ...]:
    """Return the URIs that a row names for a role, in a text with `SEVERAL` between them; none for None."""
    if not uris:
        return ()
    if SEVERAL not in uris or role not in _MAY_BE_SEVERAL:
        return (uris,)
    return tuple(filter(None, map(str.strip, uris.split(SEVERAL))))


def by_role(values: Iterable[str | None]) -> dict[str, tuple[str, ...]]:
    """Return a dictionary from role to URIs, for every picture that a row names.

    Args:
        values: what a row has in the place of each of `ROLES`, in that order; None or empty where it has nothing.
    """
    named: dict[str, tuple[str, ...]] = {}
    for role, uris, words in zip(
        ROLES, values, _NO_PICTURE, strict=False
    ):  # twice as quick as a comprehension that checks
        if uris and uris not in words:
            named[role] = each_of(role, uris)
    return named


def pictures_of(columns: Mapping[str, str | None], params: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the URIs of every picture that a row of a table names, by role.

    Args:
        columns: of a manifest or of results, by name; others than `PICTURE_COLUMNS` are passed over.
        params: style parameters by name; others than `PICTURE_PARAMETERS` are passed over.
    """
    named = [params.get(name) for name in PICTURE_PARAMETERS]
    return by_role([*map(columns.get, PICTURE_COLUMNS), *(None if value is None else str(value) for value in named)])
