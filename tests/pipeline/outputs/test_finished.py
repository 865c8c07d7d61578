"""What is known of the rows that are done, and how little memory that takes."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.outputs import table as result_table
from pipeline.outputs.finished import finished
from pipeline.process import garbage

ROWS = 20_000


def test_memory_is_given_back_once_only_what_is_told_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": f"{n:016x}", "fingerprint": f"{n:016x}", "status": "ok", "output_name": f"{n}.png"} for n in range(ROWS)
    ]
    result_table.commit(str(tmp_path), rows)
    held: list[int] = []
    before = pa.total_allocated_bytes()
    monkeypatch.setattr(garbage, "give_back", lambda: held.append(pa.total_allocated_bytes() - before))
    done = finished(str(tmp_path))
    assert len(done.fingerprints) == ROWS
    (at_that_time,) = held
    assert 0 < at_that_time <= pa.total_allocated_bytes() - before
