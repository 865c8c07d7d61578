"""The columns of a manifest: what may stand in each, and what is wrong with a row as it is written."""

import posixpath
import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from nst_kernel.params import StyleParams
from pipeline.manifest.json_lines import parse_json
from pipeline.manifest.names import MAX_NAME
from pipeline.manifest.roles import PICTURE_COLUMNS, SEVERAL
from pipeline.manifest.row import shown

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif")
"""What the name of an output may end in; it decides the format."""


def _number_as_text(value: object) -> object:
    """Return an id that was written as a whole number as text; anything else as it is."""
    return str(value) if type(value) is int else value


def _nested(value: object) -> object:
    """Return the object that stands in a cell as JSON text; anything else as it is."""
    return parse_json(value) if isinstance(value, str) else value


_WHOLE = re.compile("[0-9]{1,9}")


def _pixels(value: object) -> object:
    """Return a whole number of pixels that was written as text or as a float; anything else as it is.

    CSV knows no numbers, and data frames make 400.0 of 400 where others of its column are missing.
    """
    if isinstance(value, str):
        whole, _, rest = value.partition(".")
        return int(whole) if _WHOLE.fullmatch(whole) and not rest.strip("0") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


MAX_SIDE = 1_000_000
"""Pixels, more than any image format can store."""

_Side = Annotated[int | None, BeforeValidator(_pixels), Field(ge=1, le=MAX_SIDE)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4096, pattern=r"^\P{Cc}*$")]


def _one_text(value: object) -> object:
    """Return several styles that were written as a list as one text with `|` between them; anything else as it is."""
    if not isinstance(value, list) or not all(isinstance(uri, str) for uri in value):
        return value
    if strange := [uri for uri in value if SEVERAL in uri]:
        raise ValueError(f"{shown(strange[0])} has a {SEVERAL}, which stands between styles")
    return SEVERAL.join(value)


_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def _trace(value: object) -> object:
    """Return a trace context as it is; ValueError for a text that is none."""
    if isinstance(value, str) and not _TRACE.fullmatch(value):
        raise ValueError("the first number is a version, and neither trace nor span are zero")
    return value


class RawRow(BaseModel):
    """A row as it is written. Further columns are style parameters, which are checked elsewhere."""

    model_config = ConfigDict(extra="allow", strict=True)

    content: _Text = ""
    style: Annotated[_Text, BeforeValidator(_one_text)] = ""
    id: Annotated[_Text, BeforeValidator(_number_as_text), StringConstraints(max_length=200)] = ""
    output: Annotated[_Text, StringConstraints(max_length=1024)] = ""
    params: Annotated[dict[str, Any], BeforeValidator(_nested)] = Field(default_factory=dict)
    width: _Side = None
    height: _Side = None
    traceparent: Annotated[str, BeforeValidator(_trace)] = ""


_SIDE_EXPECTED = f"pixels of the content picture as it is shown: a whole number from 1 to {MAX_SIDE:,}"
URI_EXPECTED = "a URI or path: text of at most 4096 characters, none of them a control character"
EXPECTED = {
    "content": URI_EXPECTED,
    "style": f"{URI_EXPECTED}; or several, as a list or with {SEVERAL} between them",
    "id": "text of at most 200 characters, none of them a control character, or a whole number",
    "output": "a file name: text of at most 1024 characters, none of them a control character",
    "params": "style parameters by name: an object, or the JSON text of one",
    "width": _SIDE_EXPECTED,
    "height": _SIDE_EXPECTED,
    "traceparent": "a trace context as W3C writes it: 00, 32, 16 and 2 digits from 0 to f, with - between them",
}

Complaint = tuple[str | None, str, str]
"""A column, or None for the whole row; its value as messages show it; what was expected there."""


def missing_pictures(raw: RawRow, params: StyleParams, bad: Collection[str]) -> Iterator[Complaint]:
    """Yield a complaint about each picture that the parameters need and the row does not have.

    Args:
        raw: the row.
        params: its style parameters, resolved.
        bad: columns that were complained of already.
    """
    if not raw.content and not raw.style and not {*PICTURE_COLUMNS} & set(bad):
        yield None, "", "a picture: a URI in column content or style, or in both"
        return
    for name, needed, weight, uri in (
        ("content", params.needs_content, params.content_weight, raw.content),
        ("style", params.needs_style, params.style_weight, raw.style),
    ):
        if needed and not uri and name not in bad:
            yield name, "", f"a URI, since {f'{name}_weight is not 0' if weight > 0 else _why(name, params)}"


def _why(name: str, params: StyleParams) -> str:
    """Return why a picture is needed that has no weight in the loss."""
    if params.init == name:
        return f"init is {name}"
    if name == "content" and params.laplacian_weight > 0:
        return "laplacian_weight is not 0"
    control = "preserve_color" if params.preserve_color != "none" else "style_color"
    return f"{control} is {getattr(params, control)}"


def bad_output(name: str) -> Iterator[Complaint]:
    """Yield what is wrong with a row's output name, a path below OUTPUT/images/; nothing if no name is given."""
    parts = name.split("/")
    if not name:
        return
    if posixpath.splitext(name)[1].lower() not in IMAGE_EXTENSIONS:
        yield "output", shown(name), f"a name that ends in {', '.join(IMAGE_EXTENSIONS)}"
    if "\\" in name or {"", ".", ".."} & set(parts):
        yield "output", shown(name), "a path below OUTPUT/images/: relative, no .., // or backslash"
    if any(len(part.encode()) > MAX_NAME for part in parts):
        yield "output", shown(name), f"names of at most {MAX_NAME} bytes"


def bad_content_shape(raw: RawRow, bad: Collection[str]) -> Iterator[Complaint]:
    """Yield what is wrong with the columns width and height: one without the other, or both without a content."""
    given = {"width": raw.width, "height": raw.height}
    if {"width", "height"} & set(bad) or given == {"width": None, "height": None}:
        return
    for name, value in given.items():
        if value is None:
            yield name, "", "a number too, since the other side of the content picture is given; or neither"
    if not raw.content and "content" not in bad:
        yield "width", shown(raw.width), "nothing: it is the content picture's, and the row has none"
