"""Canaries: secrets in URIs, in the environment and in a job file are in nothing that a run writes or prints."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from jobs.jobfile import load
from jobs.runner import run
from nst_kernel.encoder.outline import embedded_file
from pipeline import storage
from pipeline.notebook import results
from pipeline.outputs import commit, read_results
from pipeline.specs import options_of
from pipeline.storage import Store
from pipeline.storage._fsspec import AnyStore
from tests.e2e.conftest import as_jsonl
from tests.jobs.test_cli import nst
from tests.support import draw
from tests.support.without_ray import without_ray

CANARY, HOST = "CANARY", "pictures.test"
SIGNED = "https://{host}/{name}?X-Amz-Credential={secret}%2Feu&X-Amz-Date=20261101T000000Z&X-Amz-Signature={secret}"
PASSWORD = "https://{secret}:{secret}@{host}/{name}"
KEY = "https://{host}/{name}?alt=media&token={secret}"


class Forbidden(Exception):
    """What a client of HTTP raises for a signature that has expired."""

    status = 403


class Web(AnyStore):
    """A host of pictures and weights in the place of the web: what is at a path does not depend on who asks."""

    def __init__(self) -> None:
        super().__init__(None, seconds=1)
        self.files = {"weights.safetensors": embedded_file()}
        for number, name in enumerate(("photo.png", "other.png", "style.png", "start.png", "refused.png")):
            buffer = io.BytesIO()
            Image.fromarray(draw(number, 32, 40)).save(buffer, "PNG")
            self.files[name] = buffer.getvalue()

    def serve(self, uri: str, store: Store) -> Store:
        return self if f"{HOST}/" in uri else store

    def _found(self, path: str) -> bytes:
        name = path.rpartition(f"{HOST}/")[2].partition("?")[0]
        if name == "refused.png":
            raise Forbidden(f"403, message='Forbidden', url='{path}'")
        if name not in self.files:
            raise FileNotFoundError(path)
        return self.files[name]

    def read(self, path: str, start: int, end: int | None) -> bytes:
        return self._found(path)[start:end]

    def size(self, path: str) -> int:
        return len(self._found(path))

    def identity(self, path: str) -> str:
        return f"{len(self._found(path))}-1"

    def is_file(self, path: str) -> bool:
        return bool(self._found(path))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "HF_TOKEN", "SOME_PASSWORD"):
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    web = Web()
    undo = storage.intercept(web.serve)
    yield web
    undo()


def furnish(folder: Path, *, secret: str = CANARY, key: str = CANARY) -> Path:
    """A job with secrets wherever a URI may be, and rows of which three can be computed."""

    def signed(name: str) -> str:
        return SIGNED.format(host=HOST, name=name, secret=secret)

    password = PASSWORD.format(host=HOST, name="style.png", secret=secret)
    rows: list[dict[str, object]] = [
        {"id": "one", "content": signed("photo.png"), "style": password},
        {"content": KEY.format(host=HOST, name="photo.png", secret=key), "style": signed("style.png")},
        {"id": signed("other.png"), "content": signed("other.png"), "style": password, "init": signed("start.png")},
        {"id": "gone", "content": signed("gone.png"), "style": password},
        {"id": "refused", "content": signed("photo.png"), "style": signed("refused.png")},
    ]
    (folder / "rows.jsonl").write_text(as_jsonl(rows))
    said: dict[str, Any] = {
        "kind": "manifest",
        "name": "night",
        "manifest": "rows.jsonl",
        "output": str(folder / "out"),
        "weights": signed("weights.safetensors"),
        "defaults": {"size": 32, "iterations": 2, "scales": "", "precision": "fp32"},
        "cluster": {"env": {"TOKEN": secret}},
    }
    file = folder / "night.yaml"
    file.write_text(yaml.safe_dump(said))
    return file


def traces(folder: Path) -> list[str]:
    """Files below a folder that have a canary in them, packed or not."""
    found = []
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        data = file.read_bytes()
        if file.suffix == ".parquet":
            data += str(pq.read_table(file).to_pylist()).encode()
        if file.suffix in (".png", ".webp", ".jpg"):
            with Image.open(file) as picture:
                picture.load()
                data += str(picture.info).encode()
        if CANARY.encode() in data:
            found.append(str(file))
    return found


def test_the_search_finds_canaries(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [CANARY] * 3}), tmp_path / "a.parquet", compression="zstd")
    (tmp_path / "b.json").write_text(json.dumps({"a": CANARY}))
    assert len(traces(tmp_path)) == 2


def test_no_secret_is_written_or_printed(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    job = load(furnish(tmp_path))
    output = str(tmp_path / "out")
    with without_ray(), caplog.at_level(logging.DEBUG, logger="pipeline"):
        assert run(job, options_of(job)) == 1
        rows = {row["id"]: row for row in read_results(output).to_pylist()}
        assert sorted(row["status"] for row in rows.values()) == ["failed", "failed", "ok", "ok", "ok"]
        assert rows["one"]["content"] == f"https://{HOST}/photo.png"
        assert rows["one"]["style"] == f"https://{HOST}/style.png"
        assert rows["gone"]["error"] == f"cannot read https://{HOST}/gone.png: it does not exist"
        assert "results keep neither signatures nor passwords" in rows["refused"]["error"]
        assert f"https://{HOST}/other.png" in rows
        assert nst("results", output, "--json", "--columns", "id,content,style,params,error") == 0
        assert nst("results", output) == 0
        assert nst("results", output, "--as-manifest", str(tmp_path / "out" / "again.jsonl")) == 0
        assert nst("compare", output, output, "--json") == 0
        assert nst("validate", str(tmp_path / "night.yaml")) == 0
        assert nst("retry", output, "--failed", "--weights", f"{job.weights}") == 1
        shown = results(output)
        texts = [repr(shown), shown._repr_html_(), *map(repr, shown), *(row._repr_html_() for row in shown)]
    printed = capsys.readouterr()
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("pipeline"))
    assert "gone.png" in printed.out
    assert [text for text in (printed.out, printed.err, logged, *texts) if CANARY in text] == []
    assert (tmp_path / "out" / "report" / "index.html").is_file()
    assert traces(tmp_path / "out") == []


def test_no_secret_is_written_while_a_run_goes_on(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of results, markers, progress, locks: each version of each file, also of those that are gone afterwards."""
    written = tmp_path / "written"
    written.mkdir()

    def watched(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(uri: str, data: bytes, *args: Any, **options: Any) -> Any:
            place = uri.removeprefix(str(tmp_path / "out")).strip("/").replace("/", "--")
            (written / f"{len(list(written.iterdir()))}-{place}").write_bytes(data)
            return write(uri, data, *args, **options)

        return call

    for name in ("write_bytes", "write_if"):
        monkeypatch.setattr(storage, name, watched(getattr(storage, name)))
    job = load(furnish(tmp_path))
    with without_ray():
        assert run(job, options_of(job)) == 1
    names = " ".join(file.name for file in written.iterdir())
    assert all(kind in names for kind in ("part-", "progress.json", "run.json", "lock", "images--")), names
    assert traces(written) == []


def test_another_signature_is_the_same_work(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for secret in (CANARY, "ANOTHER"):
        job = load(furnish(tmp_path, secret=secret, key="as-before"))
        with without_ray():
            run(job, options_of(job), report=False)
    assert "2 failed; 3 were done before" in capsys.readouterr().out


def test_secrets_that_older_results_have_are_left_out_when_they_are_read(tmp_path: Path) -> None:
    uri = SIGNED.format(host=HOST, name="photo.png", secret=CANARY)
    part = Path(commit(str(tmp_path), [{"id": "a", "status": "failed", "content": uri, "error": f"see {uri}"}]))
    table = pq.read_table(part)
    for name in ("content", "error"):
        table = table.set_column(table.column_names.index(name), name, pa.array([f"see {uri}"]))
    pq.write_table(table, part)
    (row,) = read_results(str(tmp_path)).to_pylist()
    assert row["error"] == row["content"] == f"see https://{HOST}/photo.png"


@pytest.mark.parametrize("bad", [{"content": "", "style": ""}, {"seed": "x"}, {"output": "a.gif"}, {"width": "3"}])
def test_problems_of_a_manifest_have_no_secrets(
    web: Web, tmp_path: Path, bad: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    uri = SIGNED.format(host=HOST, name="photo.png", secret=CANARY)
    lines: list[dict[str, object]] = [
        {"content": uri, "style": uri, "id": "a", **bad},
        {"id": "a", "content": uri, "style": uri},
    ]
    lines.append({"style": uri, "contents": uri, "params": uri})
    web.files["rows.jsonl"] = as_jsonl(lines).encode()
    assert nst("validate", SIGNED.format(host=HOST, name="rows.jsonl", secret=CANARY)) == 2
    printed = capsys.readouterr()
    assert CANARY not in printed.out + printed.err
