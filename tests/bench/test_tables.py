"""The benchmarks' README says what was measured."""

import pytest

from tests.bench.tables import FOLDER, TARGETS, against, how_far, requests, tables
from tests.support import REPOSITORY
from tests.support.generated import check_section


@pytest.mark.parametrize("name", tables())
def test_the_readme_says_what_was_measured(name: str) -> None:
    check_section(FOLDER / "README.md", name, tables()[name])


def test_the_readme_of_what_survives_a_crash_says_what_that_costs() -> None:
    check_section(REPOSITORY / "pipeline" / "recovery" / "README.md", "requests of a row", requests())


def test_the_readme_of_planning_says_how_far_it_goes() -> None:
    check_section(REPOSITORY / "pipeline" / "planning" / "README.md", "how far it goes", how_far())


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_is_missed_is_said_to_be(name: str) -> None:
    assert against(name, TARGETS[name]) == f"{TARGETS[name]:g}"
    assert against(name, 1.01 * TARGETS[name]) == f"{TARGETS[name]:g}, missed"
