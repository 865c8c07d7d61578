"""What a row asks of its store, as everybody pays for it who computes millions of them."""

import pytest

from tests.bench.requests import TOGETHER, per_row

MOST = {1: (3, 3, 1), 16: (1.3, 2.2, 0.2)}
"""By the number of rows in a batch: writes, reads and deletes of a row at most, of which listings count as both."""


@pytest.mark.parametrize("together", TOGETHER)
def test_a_row_takes_few_requests(together: int) -> None:
    asked = per_row(together)
    writes, reads, deletes = MOST[together]
    assert 0 < asked["PUT"] + asked["LIST"] <= writes
    assert 0 < asked["GET"] + asked["HEAD"] + asked["LIST"] <= reads
    assert 0 < asked["DELETE"] <= deletes
