"""The benchmarks' README says what was measured."""

import pytest

from tests.bench.tables import FOLDER, tables
from tests.support.generated import check_section


@pytest.mark.parametrize("name", tables())
def test_the_readme_says_what_was_measured(name: str) -> None:
    check_section(FOLDER / "README.md", name, tables()[name])
