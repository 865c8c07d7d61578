"""What a run may open holds in its workers too: a refused row fails alone, and says how to allow it."""

import os
from pathlib import Path

from pipeline.options.access import Access
from tests.bench.stub import StubKernel
from tests.e2e.conftest import QUICK, Studio, as_jsonl
from tests.pipeline.storage.support.web import Server


def test_workers_open_what_the_run_allows(studio: Studio) -> None:
    named, other = (Server(Path(studio.folder, "photo.png").read_bytes()) for _ in range(2))
    os.mkfifo(studio.folder / "pipe.png")
    os.mkfifo(studio.folder / "style.png")
    contents = {
        "local": "photo.png",
        "named": f"{named.url}/file?.png",
        "led away": f"{named.url}/redirect?{other.url}/file",
        "not named": f"{other.url}/file?.png",
        "a pipe": "pipe.png",
        "a device": "/dev/zero",
        "a chain": f"reference://k.png::{other.url}/evil.json",
    }
    rows: list[dict[str, object]] = [
        {"id": name, "content": uri, "style": "painting.png", "width": 64, "height": 48}
        for name, uri in contents.items()
    ]
    rows.append({"id": "a pipe as style", "content": "photo.png", "style": "style.png"})
    access = Access(allow_read=("default", named.url), max_file_bytes=10**9)
    try:
        manifest = studio.write("rows.jsonl", as_jsonl(rows))
        progress = studio.run(manifest, access=access, defaults=QUICK, kernel=StubKernel)
    finally:
        named.close()
        other.close()
    results = studio.results()
    assert {name: row["status"] for name, row in results.items() if row["status"] == "ok"}.keys() == {"local", "named"}
    assert progress.counts["failed"] == 6
    errors = {name: row["error"] for name, row in results.items() if row["error"]}
    for name in ("led away", "not named"):
        assert "loopback, private or link-local address" in errors[name]
        assert f"--allow-read {other.url}" in errors[name]
    assert "it is a pipe, expected a regular file" in errors["a pipe"]
    assert "it is a pipe, expected a regular file" in errors["a pipe as style"]
    assert "it is a device, expected a regular file" in errors["a device"]
    assert "chains of file systems (::) are never opened" in errors["a chain"]
    assert {row["error_class"] for row in results.values()} == {None, "StorageError"}
    assert other.seen == []
