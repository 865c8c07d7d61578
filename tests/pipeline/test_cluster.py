"""How devices are shared out among actors: by arithmetic, for clusters that no test machine has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cluster import FETCH_CPUS, WRITE_CPUS, Actors


@given(st.integers(1, 512), st.integers(0, 64), st.none() | st.integers(1, 100))
def test_a_pool_always_leaves_room_for_the_stages_around_it(cpus: int, gpus: int, count: int | None) -> None:
    pool = Actors.on(cpus=cpus, gpus=gpus, count=count)
    assert pool.count * pool.num_cpus + FETCH_CPUS + WRITE_CPUS <= cpus
    assert pool.count * pool.num_gpus <= gpus + 1e-9
    assert pool.count == (count or gpus or cpus)
    assert (pool.num_gpus > 0) == (gpus > 0)


def test_by_default_an_actor_for_each_device() -> None:
    assert Actors.on(cpus=16, gpus=4) == Actors(4, num_cpus=2.0, num_gpus=1.0, threads=None)
    assert Actors.on(cpus=2, gpus=0) == Actors(2, num_cpus=0.5, num_gpus=0, threads=1)


def test_actors_share_what_there_is() -> None:
    assert Actors.on(cpus=8, gpus=0, count=2).threads == 4
    assert Actors.on(cpus=2, gpus=0, count=5).threads == 1
    assert Actors.on(cpus=8, gpus=1, count=2).num_gpus == 0.5


def test_a_pool_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="num_actors = 0: expected at least 1"):
        Actors.on(cpus=2, gpus=0, count=0)
