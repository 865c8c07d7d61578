"""Fingerprints and ids against those that runs of earlier releases have written: an equal one means done."""

from importlib import import_module

import pytest

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import Row, derive_id
from pipeline.planning import fingerprint

RECORDED = [
    ("/c.png", "/s.png", {}, "fc0c6303f4e413dc", "74831f94857fe3fc", "74831f948f6bdb9d"),
    (
        *("/c.png", None, {"style_weight": 0, "init": "content"}),
        *("c1b93eea82653975", "c61d8ff6c73b05ac", "c61d8ff6a69f50ee"),
    ),
    (
        *(None, "/s.png", {"content_weight": 0, "init": "noise"}),
        *("d7de5eb14f8e4de4", "066ea4cccae6b2e2", "066ea4cca69f50ee"),
    ),
    (
        *("s3://b/c.png", "s3://b/s.png", {"init": "s3://b/start.png", "seed": 7}),
        *("e3cec179102adf3c", "0923619bbc669e03", "0923619bd5bf44da"),
    ),
    (
        *("/c.png", "/s.png", {"init": "style", "size": 300, "pooling": "avg"}),
        *("7e6e45b9b23c249e", "382babaf857fe3fc", "382babaf8f6bdb9d"),
    ),
]
"""Content, style, parameters; the id, the fingerprint, and the fingerprint where no picture can be identified.

Written by version 3 of the algorithm. A new parameter changes all of them, and so does a new default.
"""


@pytest.mark.parametrize(("content", "style", "given", "id", "known", "unknown"), RECORDED)
def test_what_was_done_before_is_recognised(
    content: str | None, style: str | None, given: dict[str, object], id: str, known: str, unknown: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(import_module("pipeline.planning.fingerprint"), "ALGORITHM_VERSION", 3)
    params = StyleParams.of(given)
    row = Row("id", content, style, "out.png", params, "rows.csv", 1)
    uris = row.pictures().values()
    assert derive_id(content, style, params, "e") == id
    assert fingerprint(row, "e", {uri: f"etag of {uri}" for uri in uris}) == known
    assert fingerprint(row, "e", dict.fromkeys(uris, storage.StorageError("gone"))) == unknown
