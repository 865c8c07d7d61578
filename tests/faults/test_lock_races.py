"""Sixteen processes that want the same lock at once: one gets it, also after a crash; S3 is in test_object_store.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.support import create_only
from tests.faults.support.lock_races import check_that_one_gets_it

pytestmark = pytest.mark.slow


@pytest.fixture(params=["file system", "store that can only create"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file system":
        yield str(tmp_path)
    else:
        create_only.install()
        yield f"gs://{tmp_path}"


def test_one_gets_the_lock_and_the_others_are_refused(home: str) -> None:
    check_that_one_gets_it(home)
