"""`nst params`."""

import json

import pytest

from jobs.exit_codes import ExitCode
from tests.jobs.test_cli import nst


def test_params_teach_every_parameter(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from nst_kernel import PARAMETERS, PRESETS

    monkeypatch.setenv("COLUMNS", "250")
    assert nst("params") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in [*PARAMETERS, *PRESETS])


def test_params_that_are_named_are_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("params", "alpha", "gatys2016") == 0
    shown = capsys.readouterr().out
    assert "content_weight" in shown
    assert "gatys2016" in shown
    assert "style_weight" not in shown.split("preset")[0]
    assert "johnson" not in shown
    assert nst("params", "--json", "size") == 0
    assert list(json.loads(capsys.readouterr().out)["parameters"]) == ["size"]


def test_a_parameter_that_there_is_not_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("params", "sizze") == ExitCode.NOTHING_STARTED
    said = capsys.readouterr().err
    assert "no parameter or preset 'sizze'" in said
    assert "did you mean size?" in said
