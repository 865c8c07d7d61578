"""Parameter grids: contents × styles × parameters as rows, whose names say what they are and never change."""

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
from pipeline.manifest import ManifestError, Row, RowProblem
from pipeline.specs import Axis, Draw, GridSpec, Samples, axes, conditions, gather, globs

MAX_ROWS = 1_000_000
"""Of one grid; whoever asks for more has likely mistyped."""


@dataclass(frozen=True)
class Expansion:
    """The rows of a grid.

    Attributes:
        rows: in the order of contents, styles and parameters.
        combinations: of which they are what is left.
        excluded: combinations that each condition leaves out, the first that fits counts.
        repeated: combinations that draws by chance made twice.
    """

    rows: list[Row]
    combinations: int
    excluded: list[int]
    repeated: int


def expand(spec: GridSpec, *, defaults: Mapping[str, object] | None = None, file: str = "grid") -> Expansion:
    """Every combination of a grid that no condition leaves out.

    Args:
        spec: the grid.
        defaults: parameters that it does not vary.
        file: where it stands, for messages and the results.

    Raises:
        ManifestError: with every combination that contradicts itself, or if there are too many or none.
        ValueError: if a pattern finds no picture, or two have one name.
        StorageError: if a folder cannot be listed.
    """
    contents, styles = _pictures(spec.contents), _pictures(spec.styles)
    found, _ = axes.parse(spec.parameters)
    listed, drawn = _sizes(found, spec.samples)
    combinations = len(contents) * len(styles) * listed * drawn
    if combinations > MAX_ROWS:
        _refuse(file, f"at most {MAX_ROWS:,} combinations, these are {combinations:,}")
    tests = [conditions.parse(condition)[0] for condition in spec.exclude]
    rows: dict[str, Row] = {}
    excluded, repeated = Counter[int](), 0
    wrong: dict[str, RowProblem] = {}
    settings = _settings(found, spec.samples, defaults or {})
    for (content, content_uri), (style, style_uri) in itertools.product(contents, styles):
        for given, params in settings:
            names = {"content": content, "style": style}
            values = {name: getattr(params, name) for name in PARAMETERS} if isinstance(params, StyleParams) else given
            out = next((place for place, test in enumerate(tests) if test(names, values)), None)
            if out is not None:
                excluded[out] += 1
                continue
            id = combination_id(content, style, given)
            if id in rows:
                repeated += 1
                continue
            if isinstance(params, ParamError):
                wrong[said(given)] = RowProblem(file, None, said(given), "", f"parameters that agree; {params}")
                continue
            if (params.needs_content and not content_uri) or (params.needs_style and not style_uri):
                wrong[said(given)] = RowProblem(file, None, said(given), "", "both contents and styles for it")
            name = output_name(content, style, given, id)
            rows[id] = Row(id, content_uri, style_uri, name, params, file, len(rows) + 1)
    if wrong:
        raise ManifestError(list(wrong.values()))
    if not rows:
        _refuse(file, f"a combination that is left: the conditions leave out all {combinations:,}")
    return Expansion(list(rows.values()), combinations, [excluded[place] for place in range(len(tests))], repeated)


def _pictures(named: Mapping[str, str] | None) -> list[tuple[str, str] | tuple[None, None]]:
    """Names and URIs; a single nothing where a grid has no such pictures."""
    return list(gather(named).items()) if named else [(None, None)]


def _refuse(file: str, expected: str) -> None:
    raise ManifestError([RowProblem(file, None, None, "", expected)])


def _sizes(found: Sequence[Axis | Draw], samples: Samples | None) -> tuple[int, int]:
    """Combinations of listed values, and draws."""
    return math.prod(len(each.values) for each in found if isinstance(each, Axis)), samples.count if samples else 1


_Setting = tuple[Mapping[str, Any], StyleParams | ParamError]


def _settings(found: Sequence[Axis | Draw], samples: Samples | None, defaults: Mapping[str, object]) -> list[_Setting]:
    """What the grid gives of each combination of parameters, with all parameters resolved, or why they cannot be."""
    listed = [each for each in found if isinstance(each, Axis)]
    drawn = list(_draws([each for each in found if isinstance(each, Draw)], samples))
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
    if not samples:
        yield {}
        return
    columns = [axes.shares(each.parameter, samples.count, method=samples.method, seed=samples.seed) for each in drawn]
    for shares in zip(*columns, strict=True):
        yield {each.parameter: each.at(float(share)) for each, share in zip(drawn, shares, strict=True)}


def combination_id(content: str | None, style: str | None, given: Mapping[str, Any]) -> str:
    """A combination as 16 hex digits, of its pictures' names and what the grid gives, whatever else the grid has."""
    named = {name: globs.stem(value) if name == "init" else value for name, value in given.items()}
    meaning = {"content": content, "style": style, "parameters": named}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]


def said(given: Mapping[str, Any]) -> str:
    """A combination's parameters in words: `size=256,style_weight=2`."""
    return ",".join(f"{name}={_word(value)}" for name, value in given.items())


def output_name(content: str | None, style: str | None, given: Mapping[str, Any], id: str) -> str:
    """`cat/starry/size=256,style_weight=2-1f0c….png`: content, style and parameters, and what makes it unique."""
    words = re.sub(r"[^\w.,=+-]", "_", said(given), flags=re.ASCII)[:200]
    return f"{content or 'texture'}/{style or 'reconstruction'}/{words}{'-' if words else ''}{id}.png"


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value).rpartition("/")[2]
