"""Small copies are made in child processes, within limits, and never of what only quarantined rows read."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import images, storage
from pipeline.options import Decoding
from pipeline.outputs import table as result_table
from pipeline.report import write_report
from pipeline.report.thumbs import SECONDS, Shelf
from tests.pipeline.report.support.samples import bad, data, make, picture


def test_what_only_quarantined_rows_read_is_not_opened(tmp_path: Path) -> None:
    output = make(tmp_path, good=2, failed=0)
    poison, shared = tmp_path / "content" / "poison.png", tmp_path / "style" / "paint0.png"
    picture(poison, 3)
    quarantined = bad(output, 7, status="quarantined", content=str(poison), style=str(shared))
    result_table.commit(str(output), [quarantined])
    requested: list[str] = []

    def noted(uri: str, store: Any) -> Any:
        requested.append(uri)
        return store

    undo = storage.intercept(noted)
    try:
        page = write_report(str(output))
    finally:
        undo()
    assert str(shared) in requested
    assert str(poison) not in requested
    (sources,) = data(page, "sources")
    assert str(poison) in str(sources), "it is named all the same"


def test_a_copy_takes_the_limits_of_the_run_and_little_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Decoding] = []

    def refuse(_data: bytes, _size: Any, *, limits: Decoding, **_: Any) -> None:
        given.append(limits)
        raise images.ImageError("no")

    monkeypatch.setattr(images, "decode_to", refuse)
    picture(tmp_path / "a.png", 1)
    for decode_timeout in (1.5, 3600.0):
        shelf = Shelf(str(tmp_path / "copies"))
        shelf.want(str(tmp_path / "a.png"), "1", side=64)
        limits = Decoding(decode_timeout=decode_timeout, max_megapixels=5)
        assert shelf.make(limits=limits) == (set(), 0)
    assert [(each.decode_timeout, each.max_megapixels) for each in given] == [(1.5, 5), (SECONDS, 5)]
