"""What all tests share: how hypothesis searches, and one Ray cluster for those that need one."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# No deadline: a shared machine may stall, and that is no failure.
settings.register_profile("nst", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("nst")


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    import ray

    from pipeline import cluster

    cluster.connect("local")
    yield
    ray.shutdown()
