"""The style parameters of rows, or what is wrong with them; each distinct set is resolved once."""

import contextlib
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, cast

from nst_kernel.params import ALIASES, PARAMETERS, ParamError, StyleParams, own_name
from pipeline import storage
from pipeline.manifest.columns import URI_EXPECTED, Complaint
from pipeline.manifest.roles import PICTURE_PARAMETERS, SEVERAL, each_of
from pipeline.manifest.row import shown
from pipeline.manifest.settings import is_given

PARAMETER_NAMES = dict.fromkeys([*PARAMETERS, *ALIASES]).keys()

KEPT = 4096
"""Sets of parameters that are kept for the next row, and characters of the words of one at most."""

_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ParameterReader:
    """Style parameters as rows give them, with what is left open as defaults say."""

    def __init__(self, defaults: Mapping[str, object]) -> None:
        """Begin with none.

        Args:
            defaults: style parameters for rows that do not give them.
        """
        self.base = ""  # the folder that relative paths start from
        self._defaults = defaults
        self._resolved: dict[tuple[str, str], StyleParams | list[Complaint]] = {}

    def read(self, columns: Mapping[str, object], nested: Mapping[str, object]) -> StyleParams | list[Complaint]:
        """Return the parameters of a row, or what is wrong with them.

        Each set that is written in the same words is resolved once, but for its seed: rows share them.

        Args:
            columns: parameters that have a column of their own.
            nested: those in the column `params`.
        """
        if "seed" in columns and "seed" not in nested:
            unseeded = self.read({name: value for name, value in columns.items() if name != "seed"}, nested)
            if isinstance(unseeded, StyleParams):
                with contextlib.suppress(ParamError):
                    return unseeded.reseeded(columns["seed"])
        try:
            key = (self.base, repr((columns, nested)))
            if (known := self._resolved.get(key)) is not None:
                return known
            resolved = self._resolve(columns, nested)
        except RecursionError:
            return [(None, "", "style parameters that are not nested so deep")]
        if len(self._resolved) >= KEPT:
            self._resolved.clear()
        if len(key[1]) < KEPT:
            self._resolved[key] = resolved
        return resolved

    def _resolve(self, columns: Mapping[str, object], nested: Mapping[str, object]) -> StyleParams | list[Complaint]:
        """Return the parameters of a row with defaults and preset, or what is wrong with them; see `read`."""
        given: dict[str, object] = {}
        written: dict[str, str] = {}  # parameter: column that gives it
        complaints: list[Complaint] = []
        everything = [(name, name, value) for name, value in columns.items()]
        everything += [(f"params.{name}", name, value) for name, value in nested.items() if name in PARAMETER_NAMES]
        for column, name, value in everything:
            own = own_name(name, value)
            if not is_given(value):
                continue
            if own not in given:
                given[own], written[own] = value, column
            elif PARAMETERS[own].parse(value) != PARAMETERS[own].parse(given[own]):
                complaints.append((column, shown(value), f"what column {written[own]} says, {shown(given[own])}"))
        try:
            params = StyleParams.of(given, defaults=self._defaults)
        except ParamError as error:
            return complaints + [(written.get(p.name, p.name), shown(p.value), p.expected) for p in error.problems]
        for role, words in PICTURE_PARAMETERS.items():
            if (named := getattr(params, role)) in words:
                continue
            if len(named) > 4096 or _UNUSABLE.search(named):
                complaints.append((written.get(role, role), shown(named), URI_EXPECTED))
            uris = SEVERAL.join(storage.resolve(uri, self.base) for uri in each_of(role, named))
            params = dataclasses.replace(params, **cast(Any, {role: uris}))
        return complaints or params
