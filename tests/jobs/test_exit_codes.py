"""Exit codes: the numbers that scripts rely on, and that help texts have the sentences."""

import pytest

from jobs.exit_codes import ExitCode, explained
from tests.jobs.test_cli import nst


def test_the_numbers_stay() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "PROBLEMS": 1,
        "NOTHING_STARTED": 2,
        "BROKEN_OFF": 3,
        "NO_INTERPRETER": 127,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "retry",
        "archive",
        "plan",
        "validate",
        "compare",
        "stylize",
        "weights check",
        "doctor",
        "selftest",
        "submit",
    ],
)
def test_help_has_the_sentences(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst(*command.split(), "--help") == 0
    assert explained(command) in " ".join(capsys.readouterr().out.split())
