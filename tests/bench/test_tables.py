"""The benchmarks' README says what was measured."""

import pytest

from tests.bench.tables import FOLDER, requests, tables
from tests.support import REPOSITORY
from tests.support.generated import check_section


@pytest.mark.parametrize("name", tables())
def test_the_readme_says_what_was_measured(name: str) -> None:
    check_section(FOLDER / "README.md", name, tables()[name])


def test_the_readme_of_what_survives_a_crash_says_what_that_costs() -> None:
    check_section(REPOSITORY / "pipeline" / "recovery" / "README.md", "requests of a row", requests())
