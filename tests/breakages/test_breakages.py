"""The list of breakages is in order: each edit fits the code, and each test that is to notice it exists."""

from functools import cache
from pathlib import Path

import pytest

from tests.breakages import breakages as lists
from tests.breakages.breakages import Breakage, breakages, caught, functions_of
from tests.support import REPOSITORY

EVERY = breakages()


@cache
def text_of(file: str) -> str:
    return (REPOSITORY / file).read_text("utf-8")


@cache
def names_in(file: str) -> set[str]:
    return set(functions_of(text_of(file)))


def test_every_breakage_has_an_id_of_its_own() -> None:
    ids = [breakage.id for breakage in EVERY]
    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize("breakage", EVERY, ids=lambda breakage: breakage.id)
def test_a_breakage_fits_the_code_and_its_test_exists(breakage: Breakage) -> None:
    """Where the code has moved on: give `old` and `new` in the .toml file its new words, or the test its new name."""
    assert text_of(breakage.file).count(breakage.old) == 1
    assert breakage.old != breakage.new
    assert breakage.effect
    file, _, name = breakage.test.partition("::")
    assert name.partition("[")[0] in names_in(file)


def test_every_breakage_was_caught() -> None:
    """`make breakages`, or with ONLY=ID for a new one, tries them."""
    assert {breakage.id for breakage in EVERY} - caught() == set()


def test_what_was_tried_is_kept_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "CAUGHT", tmp_path / "caught.json")
    first, second, third = (breakage.id for breakage in EVERY[:3])
    assert caught() == set()
    lists.keep([first, second], [first, second])
    lists.keep([second, third], [third, "unknown"])
    assert caught() == {first, third}
