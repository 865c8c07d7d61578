"""The policy of repeated requests: its environment variables, as the README lists them."""

from pathlib import Path

import pytest

from pipeline.storage import Policy
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
