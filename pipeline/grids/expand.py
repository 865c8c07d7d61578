"""The expansion of a parameter grid: contents × styles × parameters as rows, with names that never change."""

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_kernel.params import PARAMETERS, ParamError, StyleParams
from pipeline.manifest import PICTURE_PARAMETERS, SEVERAL, ManifestError, Row, RowProblem, each_of
from pipeline.specs import Axis, Draw, GridSpec, Samples, axes, conditions, gather, globs

MAX_ROWS = 1_000_000
"""Rows of one grid; a grid with more is likely a typing error."""


@dataclass(frozen=True)
class Expansion:
    """The rows of a grid.

    Attributes:
        rows: in the order of contents, styles and parameters.
        combinations: before any was left out.
        excluded: how many combinations each condition leaves out, where the first that fits counts.
        repeated: how many combinations random draws made a second time.
    """

    rows: list[Row]
    combinations: int
    excluded: list[int]
    repeated: int


def expand(spec: GridSpec, *, defaults: Mapping[str, object] | None = None, file: str = "grid") -> Expansion:
    """Return every combination of a grid that no condition leaves out, as rows.

    Args:
        spec: the grid.
        defaults: parameters that it does not vary.
        file: where the grid is written, for messages and the results.

    Raises:
        ManifestError: with every combination that contradicts itself, or if there are too many or none.
        ValueError: if a pattern matches no picture, or two pictures have one name.
        StorageError: if a folder cannot be listed.
    """
    contents, styles = _pictures(spec.contents), _pictures(spec.styles)
    parameters, _ = axes.parse(spec.parameters)
    listed, drawn = _sizes(parameters, spec.samples)
    combinations = len(contents) * len(styles) * listed * drawn
    if combinations > MAX_ROWS:
        _refuse(file, f"at most {MAX_ROWS:,} combinations, these are {combinations:,}")
    tests = [conditions.parse(condition)[0] for condition in spec.exclude]
    rows: dict[str, Row] = {}
    excluded, repeated = Counter[int](), 0
    wrong: dict[str, RowProblem] = {}
    settings = _settings(parameters, spec.samples, defaults or {})
    for (content, content_uri), (style, style_uri) in itertools.product(contents, styles):
        for given, params in settings:
            out = _first_that_fits(tests, {"content": content, "style": style}, given, params)
            id = combination_id(content, style, given)
            if out is not None:
                excluded[out] += 1
            elif id in rows:
                repeated += 1
            elif (why := _unusable(params, content_uri, style_uri)) or isinstance(params, ParamError):
                wrong[in_words(given)] = RowProblem(file, None, in_words(given), "", why)
            else:
                name = output_name(content, style, given, id)
                rows[id] = Row(id, content_uri, style_uri, name, params, file, len(rows) + 1)
    if wrong:
        raise ManifestError(list(wrong.values()))
    if not rows:
        _refuse(file, f"a combination that is left: the conditions leave out all {combinations:,}")
    return Expansion(list(rows.values()), combinations, [excluded[place] for place in range(len(tests))], repeated)


def _first_that_fits(
    tests: Sequence[conditions.Condition],
    names: Mapping[str, str | None],
    given: Mapping[str, Any],
    params: StyleParams | ParamError,
) -> int | None:
    """Return the index of the first condition that excludes a combination; None if none does."""
    values = {name: getattr(params, name) for name in PARAMETERS} if isinstance(params, StyleParams) else given
    return next((place for place, test in enumerate(tests) if test(names, values)), None)


def _unusable(params: StyleParams | ParamError, content: str | None, style: str | None) -> str:
    """Return what is expected of a combination that cannot be computed; empty if it can."""
    if isinstance(params, ParamError):
        return f"parameters that agree; {params}"
    lacks_picture = (params.needs_content and not content) or (params.needs_style and not style)
    if lacks_picture:
        return "both contents and styles for it"
    return "; ".join(map(str, params.misfits(len(each_of("style", style)))))


def _pictures(named: Mapping[str, str] | None) -> list[tuple[str, str] | tuple[None, None]]:
    """Return names and URIs of pictures; one (None, None) where a grid has no such pictures."""
    return list(gather(named).items()) if named else [(None, None)]


def _refuse(file: str, expected: str) -> None:
    """Raise ManifestError with one problem of a whole grid."""
    raise ManifestError([RowProblem(file, None, None, "", expected)])


def _sizes(parameters: Sequence[Axis | Draw], samples: Samples | None) -> tuple[int, int]:
    """Return how many combinations of listed values there are, and how many draws."""
    return math.prod(len(each.values) for each in parameters if isinstance(each, Axis)), samples.count if samples else 1


_Setting = tuple[Mapping[str, Any], StyleParams | ParamError]


def _settings(
    parameters: Sequence[Axis | Draw], samples: Samples | None, defaults: Mapping[str, object]
) -> list[_Setting]:
    """Return each combination of parameters: those that the grid gives, and all of them resolved, or the error."""
    listed = [each for each in parameters if isinstance(each, Axis)]
    drawn = list(_draws([each for each in parameters if isinstance(each, Draw)], samples))
    settings: list[_Setting] = []
    for values, sample in itertools.product(itertools.product(*(axis.values for axis in listed)), drawn):
        chosen = {axis.parameter: value for axis, value in zip(listed, values, strict=True)} | sample
        given = {name: chosen[name] for name in PARAMETERS if name in chosen}
        try:
            settings.append((given, StyleParams.of(given, defaults=defaults)))
        except ParamError as error:
            settings.append((given, error))
    return settings


def _draws(drawn: Sequence[Draw], samples: Samples | None) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each draw by name."""
    if not samples:
        yield {}
        return
    columns = [axes.shares(each.parameter, samples.count, method=samples.method, seed=samples.seed) for each in drawn]
    for shares in zip(*columns, strict=True):
        yield {each.parameter: each.at(float(share)) for each, share in zip(drawn, shares, strict=True)}


def combination_id(content: str | None, style: str | None, given: Mapping[str, Any]) -> str:
    """Return the id of a combination: 16 hex digits of its pictures' names and the parameters that the grid gives.

    It does not depend on what else the grid has.

    Args:
        content: name of the content picture.
        style: name of the style picture.
        given: parameters that the grid gives.
    """
    named = {
        name: SEVERAL.join(map(globs.stem, each_of(name, value))) if name in PICTURE_PARAMETERS else value
        for name, value in given.items()
    }
    combination = {"content": content, "style": style, "parameters": named}
    return hashlib.sha256(json.dumps(combination, sort_keys=True).encode()).hexdigest()[:16]


def in_words(given: Mapping[str, Any]) -> str:
    """Return the parameters of a combination in words: `size=256,style_weight=2`."""
    return ",".join(f"{name}={_word(value)}" for name, value in given.items())


def output_name(content: str | None, style: str | None, given: Mapping[str, Any], id: str) -> str:
    """Return the name of a combination's picture, such as `cat/starry/size=256,style_weight=2-1f0c….png`."""
    words = re.sub(r"[^\w.,=+-]", "_", in_words(given), flags=re.ASCII)[:200]
    return f"{content or 'texture'}/{style or 'reconstruction'}/{words}{'-' if words else ''}{id}.png"


def _word(value: object) -> str:
    """Return the value of a parameter as part of a file's name."""
    if isinstance(value, tuple):
        return "+".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value).rpartition("/")[2]
