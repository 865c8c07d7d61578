"""Whole machines that die, and new ones that come, in the middle of runs on a cluster of several raylets."""

import sys
from pathlib import Path

import pytest

from tests.faults.test_table import outcomes


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("then", ["leave", "join"])
def test_nothing_is_lost_with_a_node(then: str, tmp_path: Path) -> None:
    found = outcomes([sys.executable, "-m", "tests.faults.support.nodes", str(tmp_path), "5", then])
    assert len(found) == 5
