"""What tests of several rooms share."""

import pytest

from tests.pipeline.support.in_process import compute_here


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this test compute in this process."""
    compute_here(monkeypatch)
