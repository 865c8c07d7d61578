"""What kind of file a URI names is told by its path alone, whatever signature or version stands behind that."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import jobfile
from jobs.jobfile import is_job_file
from pipeline import storage
from pipeline.manifest import read_manifest
from pipeline.specs import globs
from pipeline.storage import Store
from pipeline.storage._fsspec import AnyStore

SIGNED = "?X-Amz-Credential=A/eu/s3&X-Amz-Signature=a.b/c[0]#part.x"
VERSION = "?versionId=a.b/c"
PLACES = [f"https://pictures.test/deep/{{}}{SIGNED}", f"s3://bucket/deep/{{}}{VERSION}", f"s3a://b/{{}}{VERSION}"]


class Files(AnyStore):
    """Files by name, on every host and in every bucket."""

    def __init__(self) -> None:
        super().__init__(None, seconds=1)
        self.files: dict[str, bytes] = {}

    def _info(self, path: str) -> dict[str, Any]:
        name = storage.without_query(path).partition(VERSION)[0].rpartition("/")[2]
        if name not in self.files:
            raise FileNotFoundError(path)
        return {"type": "file", "size": len(self.files[name]), "name": name}

    def read(self, path: str, start: int, end: int | None) -> bytes:
        return self.files[self._info(path)["name"]][start:end]


@pytest.fixture
def files() -> Iterator[dict[str, bytes]]:
    store = Files()

    def serve(_: str, __: Store) -> Store:
        return store

    undo = storage.intercept(serve)
    yield store.files
    undo()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (f"https://host/a.csv{SIGNED}", "https://host/a.csv"),
        ("HTTP://host/a%3Fb.csv#x?y", "HTTP://host/a%3Fb.csv"),
        (f"s3://bucket/a.csv{VERSION}", "s3://bucket/a.csv"),
        ("s3://bucket/what?.csv", "s3://bucket/what?.csv"),
        ("gs://bucket/a?b#c.csv", "gs://bucket/a?b#c.csv"),
        ("/data/a?versionId=b.csv", "/data/a?versionId=b.csv"),
        ("file:///data/a#b?c.csv", "file:///data/a#b?c.csv"),
    ],
)
def test_queries_are_none_of_a_name_where_there_are_any(uri: str, path: str) -> None:
    assert storage.without_query(uri) == path
    assert storage.parent(uri) == path.rpartition("/")[0]


def manifests() -> dict[str, bytes]:
    rows = [{"content": "photo.png", "style": "https://host/style.png"}]
    csv, json = (
        b"content,style\nphoto.png,https://host/style.png\n",
        b'{"content":"photo.png","style":"https://host/style.png"}',
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return {
        "rows.csv": csv,
        "rows.csv.gz": gzip.compress(csv),
        "rows.JSONL": json,
        "rows.ndjson.gz": gzip.compress(json),
        "rows.parquet": buffer.getvalue(),
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", manifests())
def test_a_manifest_may_have_a_signature_behind_its_name(place: str, name: str, files: dict[str, bytes]) -> None:
    files[name] = manifests()[name]
    (row,) = read_manifest(place.format(name), encoder_sha256="").rows
    assert (row.content, row.style) == (f"{place.partition('{}')[0]}photo.png", "https://host/style.png")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["manifest", "archive"])
def test_a_job_file_may_have_a_signature_behind_its_name(place: str, kind: str, files: dict[str, bytes]) -> None:
    uri, base = place.format("night.YAML"), place.partition("{}")[0]
    said = {"manifest": "manifest: rows.csv", "archive": f"photos: photos\nstyles: ['{place.format('night.png')}']"}
    files["night.YAML"] = f"kind: {kind}\nname: night\noutput: out\n{said[kind]}\n".encode()
    assert is_job_file(uri)
    assert not is_job_file(place.format("night.csv"))
    job: Any = jobfile.load(uri)
    assert job.output == f"{base}out"
    if kind == "archive":
        assert job.styles == {"night": place.format("night.png")}


@pytest.mark.parametrize("place", PLACES)
def test_a_picture_may_have_a_signature_behind_its_name(place: str) -> None:
    uri = place.format("Night.JPG")
    assert globs.is_picture(uri)
    assert not globs.is_picture(place.format("night.csv"))
    assert globs.is_raw(place.format("night.dng"))
    assert globs.extension(uri) == ".JPG"
    assert globs.stem(uri) == "Night"
    assert not globs.is_glob(uri)
    assert globs.split(uri) == (uri, None)
    assert globs.is_glob(place.format("*.jpg"))
    assert globs.is_glob("s3://bucket/IMG_?.jpg")
