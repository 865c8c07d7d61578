"""The report of many rows, made by a task, and that of few, made in the process itself."""

import logging
import os
from pathlib import Path

import pytest

from pipeline.report import beside
from pipeline.report.beside import write_report_beside
from pipeline.storage import StorageError
from tests.pipeline.report.support import samples


@pytest.mark.parametrize(("rows", "is_here"), [(beside.WORTH_A_TASK - 1, True), (beside.WORTH_A_TASK, False)])
def test_a_report_of_many_rows_is_made_by_another_process(
    rows: int, is_here: bool, local_ray: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Said by a warning, which comes through: there was no time for any thumbnail."""
    output = str(samples.make(tmp_path))
    with caplog.at_level(logging.WARNING):
        page = write_report_beside(output, rows=rows, hourly_price=None, thumbnail_seconds=0)
    assert Path(page.removeprefix("file://")).read_text("utf-8")
    (warning,) = [one for one in caplog.records if "no time for" in one.getMessage()]
    assert warning.process == os.getpid()
    assert (warning.module == "page") == is_here


def test_what_goes_wrong_there_is_said_in_our_words(local_ray: None, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^no results in") as raised:
        write_report_beside(str(tmp_path), rows=beside.WORTH_A_TASK, hourly_price=None, thumbnail_seconds=0)
    assert raised.type is StorageError


def test_without_a_cluster_it_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_in_a_task", lambda write: pytest.fail("there is no cluster"))
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    assert write_report_beside(
        str(samples.make(tmp_path)), rows=beside.WORTH_A_TASK, hourly_price=None, thumbnail_seconds=0
    )
