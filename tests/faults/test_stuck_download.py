"""A picture whose download hangs: its row fails, in bounded time, and its batch-mates do not."""

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from pipeline import storage
from pipeline.planning.batch import Failure, Pictures
from pipeline.stages.fetch import fetch
from tests.faults.support.proxy import FaultyProxy
from tests.pipeline.stages.test_optimise import batch_of, rows
from tests.support import draw


def test_a_stuck_download_fails_its_row_alone(
    folder: str, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("a.png", 1), ("s.png", 2)):
        Image.fromarray(draw(seed, 32, 32)).save(tmp_path / name)
    stuck = storage.join(folder, "stuck.png")
    storage.write_bytes(stuck, (tmp_path / "a.png").read_bytes())
    asked = rows(tmp_path, "a.png", "a.png")
    batch = batch_of([asked[0], dataclasses.replace(asked[1], content=stuck)])
    monkeypatch.setenv("NST_STORAGE_TIMEOUT", "0.3")
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "3")
    proxy.share, proxy.kinds, proxy.stall = 1, ("stalled",), 600
    proxy.requests.clear()
    fine, failed = fetch(batch).pictures
    assert isinstance(fine, Pictures)
    assert isinstance(failed, Failure)
    assert stuck in failed.error
    assert "timeout, attempt 3 of 3, the last" in failed.error
    assert proxy.requests.total() <= 2 * 3


def test_a_download_that_trickles_in_for_ever_fails(
    folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte every tenth of a second is no silence of half a second."""
    uri = storage.join(folder, "slow.png")
    storage.write_bytes(uri, bytes(10_000))
    monkeypatch.setenv("NST_STORAGE_TIMEOUT", "0.5")
    monkeypatch.setenv("NST_STORAGE_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "2")
    proxy.share, proxy.kinds = 1, ("trickled",)
    proxy.requests.clear()
    with pytest.raises(storage.StorageError, match=r"slow.png: TimeoutError.*\(timeout, attempt 2 of 2, the last\)"):
        storage.read_bytes(uri)
    assert set(proxy.requests) == {"GET"}
    assert proxy.requests.total() <= 2
    proxy.share = 0
    monkeypatch.setenv("NST_STORAGE_TIMEOUT", "20")
    monkeypatch.setenv("NST_STORAGE_REQUEST_TIMEOUT", "300")
    assert storage.read_bytes(uri) == bytes(10_000)
