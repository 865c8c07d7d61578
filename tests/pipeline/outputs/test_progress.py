"""The progress file: what is written is what is read, and it says how a run ended."""

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage
from pipeline.outputs import layout, progress, provenance
from pipeline.outputs.progress import Progress, ProgressFile
from pipeline.outputs.schema import STATUSES

counts = st.integers(0, 10**9)


@given(st.builds(Progress, counts, counts, counts, st.dictionaries(st.sampled_from(STATUSES), counts).map(Counter)))
def test_what_is_written_is_what_is_read(before: Progress) -> None:
    before.seconds = 12.5
    uri = "memory://progress/progress.json"
    with ProgressFile(uri, submission="night-1", every=100) as file:
        file.update(before)
    report = progress.read(uri)
    assert report
    after = report.progress
    assert (report.state, report.submission, report.error) == ("finished", "night-1", "")
    assert (after.total, after.done_before, after.quarantined_before) == (
        before.total,
        before.done_before,
        before.quarantined_before,
    )
    assert (after.counts, after.finished, after.seconds) == (before.counts, before.finished, 12.5)


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "finished"), (KeyboardInterrupt(), "stopped"), (SystemExit(15), "stopped"), (OSError("x"), "broken off")],
)
def test_it_says_how_the_run_ended(tmp_path: Path, error: BaseException | None, state: str) -> None:
    uri = layout.progress_file(str(tmp_path))
    file = ProgressFile(uri)
    file.update(Progress(3, 0))
    file.__exit__(type(error) if error else None, error, None)
    report = progress.read(uri)
    assert report
    assert (report.state, report.error) == (state, "x" if state == "broken off" else "")


def test_a_run_that_was_refused_does_not_speak_for_the_one_at_work(tmp_path: Path) -> None:
    uri = layout.progress_file(str(tmp_path))
    with pytest.raises(storage.StorageError), ProgressFile(uri):
        raise storage.StorageError("another run writes here")
    assert progress.read(uri) is None


def test_a_living_driver_says_so_though_no_row_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, thrice = [], threading.Event()
    write = storage.write_bytes

    def note(uri: str, data: bytes) -> None:
        write(uri, data)
        written.append(data)
        if len(written) >= 3:
            thrice.set()

    monkeypatch.setattr(storage, "write_bytes", note)
    with ProgressFile(layout.progress_file(str(tmp_path)), every=0.01) as file:
        file.update(Progress(3, 0))
        assert thrice.wait(30)
    assert all(b'"running"' in data for data in written[:-1])
    assert b'"finished"' in written[-1]


def test_storage_that_is_gone_holds_no_run_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with ProgressFile(str(tmp_path / "file" / "progress.json")) as file:
        file.update(Progress(3, 0))
    assert "could not be written" in caplog.text


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"total": 1}', "\x00"])
def test_what_is_no_progress_file_is_named(tmp_path: Path, said: str) -> None:
    (tmp_path / "progress.json").write_text(said)
    with pytest.raises(storage.StorageError, match=r"progress\.json is no progress file"):
        progress.read(str(tmp_path / "progress.json"))


def test_time_left_is_weighed_by_work_and_leaves_the_start_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = Progress(0, 0, began=now[0])
    run.expect({"large": 8.0, "small": 1.0}, rows=2)
    run.expect({"other": 1.0}, rows=1)
    assert run.seconds_left is None
    row = {"id": "small", "status": "ok", "retries": 0}
    now[0] += 60.0  # of which encoders took fifty to start
    run.add({**row, "started_at": provenance.now() - timedelta(seconds=10)})
    assert run.seconds_left == pytest.approx(90, rel=0.01)  # nine times the work of what took ten seconds
    now[0] += 80.0
    run.add({**row, "id": "large"})
    assert run.seconds_left == pytest.approx(10, rel=0.01)
    run.add({**row, "id": "other"})
    assert run.seconds_left is None


@given(waited=st.floats(0, 50), rows=st.integers(1, 100))
def test_a_file_knows_the_rate_of_its_run_without_the_start(waited: float, rows: int) -> None:
    uri = "memory://progress/rate.json"
    run = Progress(200, 0, counts=Counter(ok=rows))
    run.works.began, run.seconds = run.began + waited, 60.0
    with ProgressFile(uri, every=100) as file:
        file.update(run)
    report = progress.read(uri)
    assert report
    assert report.progress.rate == pytest.approx(rows / (60 - waited), rel=0.01)


def test_time_left_is_by_rows_where_their_work_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = Progress(4, 0, began=now[0])
    now[0] += 6.0
    run.add({"id": "a", "status": "failed", "error": "", "retries": 0})
    assert (run.seconds_left, run.rate) == (None, None)  # a row that fails at once tells nothing
    run.add({"id": "b", "status": "ok", "retries": 0, "started_at": provenance.now() - timedelta(seconds=6)})
    assert run.seconds_left == pytest.approx(6, rel=0.01)
