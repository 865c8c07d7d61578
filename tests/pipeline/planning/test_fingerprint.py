"""Fingerprints and ids against those that runs of earlier releases have written: an equal one means done."""

import dataclasses
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import Row, Rows, derive_id
from pipeline.planning import fingerprint
from pipeline.planning.fingerprint import same_request

TO_THE_END: dict[str, object] = {"min_improvement": 0}
"""Was the default."""

RECORDED = [
    ("/c.png", "/s.png", TO_THE_END, "fc0c6303f4e413dc", "74831f94857fe3fc", "74831f948f6bdb9d"),
    (
        *("/c.png", None, {**TO_THE_END, "style_weight": 0, "init": "content"}),
        *("c1b93eea82653975", "c61d8ff6c73b05ac", "c61d8ff6a69f50ee"),
    ),
    (
        *(None, "/s.png", {**TO_THE_END, "content_weight": 0, "init": "noise"}),
        *("d7de5eb14f8e4de4", "066ea4cccae6b2e2", "066ea4cca69f50ee"),
    ),
    (
        *("s3://b/c.png", "s3://b/s.png", {**TO_THE_END, "init": "s3://b/start.png", "seed": 7}),
        *("e3cec179102adf3c", "0923619bbc669e03", "0923619bd5bf44da"),
    ),
    (
        *("/c.png", "/s.png", {**TO_THE_END, "init": "style", "size": 300, "pooling": "avg"}),
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
    uris = row.uris()
    assert derive_id(content, style, params, "e") == id
    assert fingerprint(row, "e", {uri: f"etag of {uri}" for uri in uris}) == known
    assert fingerprint(row, "e", dict.fromkeys(uris, storage.StorageError("gone"))) == unknown


ASKED = Row("id", "/c.png", "/s.png", "out.png", StyleParams(init="/start.png"), "rows.csv", 1)
KNOWN: dict[str, str | storage.StorageError] = {"/c.png": "1", "/s.png": "2", "/start.png": "3"}

CHANGES: dict[str, dict[str, Any]] = {
    "content": {"content": "/d.png"},
    "style": {"style": "/t.png"},
    "picture to start from": {"params": StyleParams(init="/end.png")},
    "a parameter": {"params": StyleParams(init="/start.png", seed=1)},
    "name of the output": {"output": "new.png"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_part_of_a_request_takes_part(change: dict[str, Any]) -> None:
    changed = dataclasses.replace(ASKED, **change)
    known = KNOWN | dict.fromkeys(set(changed.uris()) - KNOWN.keys(), "4")
    assert not same_request(fingerprint(changed, "e", known), fingerprint(ASKED, "e", KNOWN))


@pytest.mark.parametrize("uri", KNOWN)
def test_each_picture_as_it_is_takes_part(uri: str) -> None:
    before, after = fingerprint(ASKED, "e", KNOWN), fingerprint(ASKED, "e", {**KNOWN, uri: "edited"})
    assert before != after
    assert same_request(before, after)


def test_the_encoder_and_the_version_of_the_algorithm_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(ASKED, "e", KNOWN)
    assert not same_request(fingerprint(ASKED, "f", KNOWN), before)
    module = import_module("pipeline.planning.fingerprint")
    monkeypatch.setattr(module, "ALGORITHM_VERSION", module.ALGORITHM_VERSION + 1)
    assert not same_request(fingerprint(ASKED, "e", KNOWN), before)


def test_what_does_not_change_the_picture_takes_no_part() -> None:
    elsewhere = dataclasses.replace(ASKED, id="another", file="other.csv", number=7, content_shape=(3, 4))
    assert fingerprint(elsewhere, "e", KNOWN) == fingerprint(ASKED, "e", KNOWN)


def test_each_picture_is_identified_once_whatever_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("pipeline.planning.fingerprint")
    monkeypatch.setattr(module, "_AT_ONCE", 4)
    contents = ["/c.png", None, "/s.png", *(f"/{number}.png" for number in range(7)), "/gone.png"] * 5
    rows = [dataclasses.replace(ASKED, id=str(place), content=content) for place, content in enumerate(contents)]
    asked: list[str] = []

    def identify(uris: Sequence[str]) -> dict[str, str | storage.StorageError]:
        asked.extend(uris)
        return {uri: storage.StorageError(uri) if uri == "/gone.png" else f"etag of {uri}" for uri in uris}

    found = module.fingerprints(Rows.of(rows, "e"), identify)
    assert sorted(asked) == sorted({uri for row in rows for uri in row.uris()})
    assert found.texts.to_pylist() == [fingerprint(row, "e", identify(row.uris())) for row in rows]
    assert found.uncertain.tolist() == [content == "/gone.png" for content in contents]
