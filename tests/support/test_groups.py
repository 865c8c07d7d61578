"""Tests that share a Ray cluster are one group for pytest-xdist, which lets one process have them."""

import pytest


def test_one_process_has_all_tests_that_need_the_cluster(request: pytest.FixtureRequest) -> None:
    """Else each process starts a cluster and runs anew what they share."""
    one_of_many = hasattr(request.config, "workerinput")
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    needy = {item.nodeid for item in items if "local_ray" in item.fixturenames}
    grouped = {item.nodeid for item in items if item.nodeid.endswith("@local_ray")}
    assert grouped == (needy if one_of_many else set())
