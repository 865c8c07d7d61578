"""Which pictures a row reads: declared once, the same for rows of a manifest and of results."""

import dataclasses

import pytest

from nst_kernel import StyleParams
from pipeline.manifest import PICTURE_COLUMNS, PICTURE_PARAMETERS, ROLES, Row, pictures_of
from pipeline.outputs import SCHEMA
from pipeline.planning import Pictures


@pytest.mark.parametrize("content", ["/c.png", None])
@pytest.mark.parametrize("style", ["/s.png", None])
@pytest.mark.parametrize("init", ["/i.png", "noise", "content", "style"])
def test_a_row_names_its_pictures_by_role(content: str | None, style: str | None, init: str) -> None:
    params = dataclasses.replace(StyleParams(), init=init)
    named = {"content": content, "style": style, "init": init if init == "/i.png" else None}
    expected = [(role, (uri,)) for role, uri in named.items() if uri]
    assert list(Row("r", content, style, "r.png", params, "rows.csv", 1).pictures().items()) == expected
    in_results = {"id": "r", "content": content, "style": style}
    assert list(pictures_of(in_results, params.to_json()).items()) == expected


def test_every_role_has_its_places() -> None:
    assert set(PICTURE_COLUMNS) <= {field.name for field in dataclasses.fields(Row)} & set(SCHEMA.names)
    assert set(PICTURE_PARAMETERS) <= {field.name for field in dataclasses.fields(StyleParams)}
    assert [field.name for field in dataclasses.fields(Pictures)] == list(ROLES)
