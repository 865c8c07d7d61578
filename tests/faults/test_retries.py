"""How often storage was asked again is told with the row for which it was."""

import dataclasses
import threading
from pathlib import Path

import pytest
from PIL import Image

from pipeline import storage
from pipeline.outputs import table as result_table
from pipeline.planning.batch import Failure, Optimised, Pictures
from pipeline.recovery.guard import guarded_fetch
from pipeline.recovery.ledger import Ledger
from pipeline.stages.fetch import fetch
from pipeline.stages.write import Writer
from tests.faults.support.proxy import FaultyProxy
from tests.pipeline.stages.test_optimise import batch_of, rows
from tests.support import draw


@pytest.mark.parametrize("died_before", [False, True])
def test_each_row_has_its_own_count(died_before: bool, folder: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("s.png", 2)):
        Image.fromarray(draw(seed, 32, 32)).save(tmp_path / name)
    far = storage.join(folder, "far.png")
    storage.write_bytes(far, (tmp_path / "a.png").read_bytes())
    asked = rows(tmp_path, "a.png", "a.png", "a.png")
    batch = batch_of([asked[0], dataclasses.replace(asked[1], content=far), asked[2]])
    notes = Ledger(str(tmp_path / "out"), wary=died_before)
    if died_before:  # then rows are fetched one by one
        notes.record("fetch", batch.rows)
    before = sum(storage.retries().values())
    proxy.down = 5  # connections; aiohttp makes a second one by itself
    fetched = guarded_fetch(fetch, notes)(batch)
    assert all(isinstance(pictures, Pictures) for pictures in fetched.pictures)
    assert fetched.row_retries == (0, sum(storage.retries().values()) - before, 0)
    assert 2 <= fetched.row_retries[1] <= 5
    assert fetched.batch_retries == 0  # the markers of attempts lie on this machine

    failed = tuple(Failure("Oops", "it failed") for _ in batch.rows)
    told = Writer(str(tmp_path / "out"), encoder="e", encoder_sha256="f")(
        Optimised(fetched, failed, "cpu", "fp32", 1.0)
    )
    assert [row["retries"] for row in told] == list(fetched.row_retries)
    stored = {row["id"]: row["retries"] for row in result_table.read_results(str(tmp_path / "out")).to_pylist()}
    assert [stored[planned.row.id] for planned in batch.rows] == list(fetched.row_retries)

    of_batch = dataclasses.replace(fetched, batch_retries=3)  # they are told with the batch's first row
    writer = Writer(str(tmp_path / "out"), encoder="e", encoder_sha256="f")
    told = [*writer(Optimised(of_batch, failed, "cpu", "fp32", 1.0), [1, 2])]
    told += writer(Optimised(of_batch, failed, "cpu", "fp32", 1.0), [0])
    assert [row["retries"] for row in told] == [*fetched.row_retries[1:], fetched.row_retries[0] + 3]

    proxy.down, before = 5, sum(storage.retries().values())  # a row cannot tell of its own commit, but the run can
    optimised = Optimised(dataclasses.replace(fetched, row_retries=(0, 0, 0)), failed, "cpu", "fp32", 1.0)
    told = Writer(folder, encoder="e", encoder_sha256="f")(optimised)
    assert sum(row["retries"] for row in told) == sum(storage.retries().values()) - before > 0


def test_threads_count_for_themselves(folder: str, proxy: FaultyProxy) -> None:
    uri = storage.join(folder, "a")
    storage.write_bytes(uri, b"1")
    proxy.down, before = 5, storage.repeated()
    other = threading.Thread(target=storage.read_bytes, args=[uri])
    other.start()
    other.join()
    assert proxy.down == 0
    assert storage.repeated() == before
