"""An S3 server that fails on request, and local file systems that are full, read-only or forbidden."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from tests.faults.support.proxy import FaultyProxy

PATIENCE = {"ATTEMPTS": "12", "FIRST_DELAY": "0.001", "LONGEST_DELAY": "0.01"}
"""A request may take as long as by default: a machine that is busy for some seconds is none of the faults."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as by default, without the waiting between them."""
    for name, value in PATIENCE.items():
        monkeypatch.setenv(f"NST_STORAGE_{name}", value)


@pytest.fixture
def proxy(bucket: str, impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """What every request to the bucket goes through."""
    with FaultyProxy(os.environ["AWS_ENDPOINT_URL"]).serving() as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.url)
        s3fs.S3FileSystem.clear_instance_cache()  # connections keep the endpoint that they began with
        yield faulty
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def folder(bucket: str, proxy: FaultyProxy, tmp_path: Path) -> str:
    """A folder in the bucket, behind the proxy."""
    return f"{bucket}/{tmp_path.name}"
