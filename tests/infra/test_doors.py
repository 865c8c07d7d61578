"""Attacks on what is deployed: a job opens what its team's access file does not name, and sets all that it can."""

import json
from collections.abc import Iterator

import pytest

from pipeline import storage
from pipeline.storage import _access
from tests.infra.support.manifests import KUBERNETES

FILE = KUBERNETES / "base" / "access.json"

READS = [
    "/etc/passwd",
    "file:///proc/self/environ",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "/tmp/ray/session_latest/logs/raylet.out",
    "/jobs/../etc/passwd",
    "s3://others/a.png",
    "s3://nst-studio-2/a.png",
    "s3://nst-studio/../others/a.png",
    "gs://nst-studio/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://[fd00:ec2::254]/latest/",
    "http://127.0.0.1:8265/api/jobs/",
    "http://10.96.0.1/api",
    "https://kubernetes.default.svc/api",
    "https://photos.example.org.attacker.example/a.png",
    "https://photos.example.org@attacker.example/a.png",
    "http://photos.example.org/a.png",
    "simplecache::s3://nst-studio/a.png",
    "reference://k.png::http://attacker.example/x.json",
    "zip://a.png::s3://nst-studio/a.zip",
    "memory://a.png",
]

WRITES = [
    "s3://nst-studio/contents/a.png",
    "s3://nst-studio/output-of-others/a.png",
    "s3://nst-studio/output/../contents/a.png",
    "s3://others/a.png",
    "/weights/vgg.pth",
    "/jobs/nightly-grid.yaml",
    "/opt/nst/bin/nst",
    "https://photos.example.org/a.png",
]


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The access file is that of the manifests, and a job has set all that a job can set."""
    monkeypatch.setattr(_access, "OPERATORS_FILE", FILE)
    everything = [
        "/",
        "s3://",
        "gs://",
        "http://",
        "https://",
        "memory://",
        "http://127.0.0.1",
        "http://169.254.169.254",
    ]
    monkeypatch.setenv(_access.OPERATORS_VARIABLE, json.dumps({"allow_read": everything, "allow_write": everything}))
    with storage.allowing(storage.Allowed(tuple(everything), tuple(everything))):
        yield


@pytest.mark.parametrize("uri", READS)
def test_nothing_else_is_read(uri: str) -> None:
    with pytest.raises(storage.StorageError, match=r"not among the places|never opened"):
        storage.read_bytes(uri)


@pytest.mark.parametrize("uri", WRITES)
def test_nothing_else_is_written(uri: str) -> None:
    with pytest.raises(storage.StorageError, match="not among the places"):
        storage.write_bytes(uri, b"mine")


def test_what_is_the_teams_is_open() -> None:
    for uri in ("s3://nst-studio/contents/a.png", "/jobs/nightly-grid.yaml", "/weights/hub/checkpoints/x.pth"):
        _access.check(uri, write=False)
    _access.check("s3://nst-studio/output/nightly/images/a.png", write=True)


def test_what_is_said_travels_to_other_clusters() -> None:
    said = json.loads(storage.operators_text())
    assert json.loads(FILE.read_text("utf-8")) in said
