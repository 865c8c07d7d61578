"""The policy of repeated requests: how long a store is waited for, and its environment variables."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.storage import Policy, _retry
from pipeline.storage.errors import GaveUp
from pipeline.storage.policy import variables
from tests.support import REPOSITORY
from tests.support.generated import check_section, table

README: Path = REPOSITORY / "pipeline" / "storage" / "README.md"


def test_the_readme_has_every_variable() -> None:
    rows = [(f"`{variable.name}`", variable.default, variable.doc) for variable in variables()]
    check_section(README, "storage policy", table(["variable", "default", "meaning"], rows))


def test_each_variable_reaches_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variables():
        monkeypatch.setenv(variable.name, variable.default)
    assert Policy.from_environment() == Policy()


def waits(patch: pytest.MonkeyPatch, policy: Policy, *, longest: bool) -> list[float]:
    """The seconds for which a store that stays down is waited for, at the shortest or the longest by chance."""
    slept: list[float] = []

    def down() -> None:
        raise ConnectionResetError("reset")

    patch.setattr("tenacity.nap.time", SimpleNamespace(sleep=slept.append))
    patch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: sum(slept)))
    patch.setattr(_retry, "random", SimpleNamespace(uniform=lambda *ends: ends[longest]))
    with pytest.raises(GaveUp):
        _retry.persist("read a", down, policy=policy)
    return slept


def test_the_defaults_outlast_a_minute_and_end_before_their_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    shortest, longest = (waits(monkeypatch, Policy(), longest=which) for which in (False, True))
    assert len(shortest) == len(longest) == Policy().attempts - 1
    assert 60 < sum(shortest) < sum(longest) < Policy().deadline


def test_delays_grow_up_to_the_longest_and_differ_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(attempts=8, first_delay=1, factor=3, longest_delay=50, deadline=1e6)
    shortest, longest = (waits(monkeypatch, policy, longest=which) for which in (False, True))
    assert shortest == [0.75 * seconds for seconds in (1, 3, 9, 27, 50, 50, 50)]
    assert longest == [1.25 * seconds for seconds in (1, 3, 9, 27, 50, 50, 50)]


def test_no_attempt_begins_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = waits(monkeypatch, Policy(deadline=30), longest=True)
    assert sum(slept) <= 30
    assert all(later >= sooner for sooner, later in pairwise(slept))
    assert len(slept) < Policy().attempts - 1
