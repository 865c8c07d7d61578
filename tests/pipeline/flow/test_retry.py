"""Rows computed again without their manifest: which, and as their run computed them."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.encoder import outline_of
from pipeline.flow import estimate_retry, retry
from pipeline.manifest import ManifestError, Row
from pipeline.options import Encoding, RunOptions
from pipeline.outputs import commit, layout, provenance, read_results
from pipeline.planning import fingerprint


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], RunOptions]]:
    """The ids and options with which rows are computed again, of a run that has one row of each kind."""
    caught: list[tuple[list[str], RunOptions]] = []
    monkeypatch.setattr(
        import_module("pipeline.flow.retry"),
        "run_rows",
        lambda rows, options, **_: caught.append(([row.id for row in rows], options)),
    )
    encoder = outline_of("embedded")
    row: dict[str, Any] = {"content": "/c.png", "style": "/s.png", "params": json.dumps(StyleParams(seed=7).to_json())}
    row |= {"encoder": encoder.name, "encoder_sha256": encoder.sha256, "finished_at": provenance.now()}
    statuses = ("ok", "failed", "quarantined")
    commit(
        str(tmp_path), [row | {"id": status, "status": status, "output_name": f"{status}.png"} for status in statuses]
    )
    return caught


@pytest.mark.parametrize("statuses", [["failed"], ["quarantined"], ["failed", "quarantined"]])
def test_rows_of_the_wanted_statuses_are_asked_for_again(
    statuses: list[str], asked: list[tuple[list[str], RunOptions]], tmp_path: Path
) -> None:
    retry(statuses, RunOptions(output=str(tmp_path)))
    ((ids, options),) = asked
    assert ids == statuses
    assert options.release == ("quarantined" in statuses)
    assert options.source == {"retry": sorted(statuses)}


@pytest.mark.parametrize("encoding", [Encoding(quality=50), Encoding(keep_exif=True), Encoding(depth=16)], ids=str)
def test_pictures_are_written_as_the_run_wrote_them(
    encoding: Encoding, asked: list[tuple[list[str], RunOptions]], tmp_path: Path
) -> None:
    said: dict[str, Any] = {"job": {"encoding": encoding.model_dump()}}
    Path(layout.summary_file(str(tmp_path))).write_text(json.dumps(said))
    retry(["failed"], RunOptions(output=str(tmp_path)))
    ((_, options),) = asked
    assert options.encoding == encoding


@pytest.mark.parametrize("statuses", [["failed"], ["quarantined"], ["failed", "quarantined"]])
def test_what_a_retry_would_come_to_starts_and_writes_nothing(
    statuses: list[str], asked: list[tuple[list[str], RunOptions]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.png").write_bytes(b"no picture")
    table = read_results(str(tmp_path)).to_pylist()
    params, encoder = StyleParams(seed=7), outline_of("embedded")
    for row in table:
        row |= {"content": str(tmp_path / "c.png"), "run": 2}
        again = Row(row["id"], row["content"], "/s.png", f"{row['id']}.png", params, "", 1)
        row["fingerprint"] = fingerprint(again, encoder.sha256, storage.identities(again.uris()))
    commit(str(tmp_path), table)
    monkeypatch.setattr("ray.init", lambda *_, **__: pytest.fail("Ray is started"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = estimate_retry(statuses, RunOptions(output=str(tmp_path)), rate=1e9)
    assert [id for id, _ in found.failures] == statuses  # since none of them has a picture
    assert (found.rows, found.done) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert asked == []


def test_rows_that_were_asked_of_other_weights_are_refused(
    asked: list[tuple[list[str], RunOptions]], tmp_path: Path
) -> None:
    row = {"id": "x", "status": "failed", "params": "{}", "encoder": "imagenet", "encoder_sha256": "another"}
    commit(str(tmp_path), [row | {"finished_at": provenance.now()}])
    with pytest.raises(ValueError, match=r"other weights \(imagenet\) than embedded: give them with --weights"):
        retry(["failed"], RunOptions(output=str(tmp_path)))
    assert asked == []


def test_names_in_results_that_lead_out_of_the_output_are_refused(
    asked: list[tuple[list[str], RunOptions]], tmp_path: Path
) -> None:
    row = {"id": "x", "status": "failed", "params": "{}", "output_name": "../victim.png"}
    commit(str(tmp_path), [row | {"finished_at": provenance.now()}])
    with pytest.raises(ManifestError, match="output_name of row 'x'"):
        retry(["failed"], RunOptions(output=str(tmp_path)))
    assert asked == []
