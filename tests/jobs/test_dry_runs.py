"""`--dry-run` of commands that plan nothing else: what would be done is said, and nothing is started or written."""

import json
from pathlib import Path
from typing import NoReturn

import pytest

from jobs.exit_codes import ExitCode
from pipeline import flow
from pipeline.options import RunOptions
from tests.jobs.test_cli import QUICK, nst, pair

__all__ = ["pair"]


def test_a_dry_run_of_one_pair_writes_nothing(pair: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stylize", "photo.png", "painting.png", "-o", "new/out.png", *QUICK, "--rate", "1e9", "--price", "3600"]
    before = sorted(pair.rglob("*"))
    assert nst(*words) == ExitCode.NOTHING_STARTED
    assert "--rate, --price: expected --dry-run with it" in capsys.readouterr().err
    assert nst(*words, "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["rows"], planned["batches"], planned["actors"], planned["buckets"][0]["shape"]) == (
        1,
        1,
        1,
        [21, 32],
    )
    assert planned["dollars"] == pytest.approx(planned["device_seconds"])
    assert nst(*words, "--dry-run") == 0
    assert "1 row to do in 1 batch" in capsys.readouterr().out
    for lost in (["gone.png", "painting.png"], ["photo.png", "gone.png"]):
        assert nst("stylize", *lost, *words[3:], "--dry-run") == ExitCode.NOTHING_STARTED
        assert "gone.png: it does not exist" in capsys.readouterr().err
    assert nst("stylize", "photo.png", "painting.png", "-o", "photo.png", "--dry-run") == ExitCode.NOTHING_STARTED
    assert sorted(pair.rglob("*")) == before


def test_a_retry_is_planned_with_dry_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("pipeline.outputs.run_of", lambda output: output)

    def planned(statuses: object, options: RunOptions, *, rate: float) -> NoReturn:
        asked.append((statuses, options.output, rate))
        raise ValueError("planned")

    monkeypatch.setattr(flow, "estimate_retry", planned)
    monkeypatch.setattr(flow, "retry", lambda *_, **__: pytest.fail("it is computed"))
    assert nst("retry", "out", "--failed", "--dry-run", "--rate", "1e9", "--json") == 2
    assert asked == [(("failed",), str(Path("out").absolute()), 1e9)]
    assert nst("retry", "out", "--failed", "--price", "2") == 2
    assert "--price: expected --dry-run with it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--override", "--overwrite", "--depth"])
def test_a_retry_has_no_option_of_which_its_results_decide(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst("retry", "out", "--failed", name, *(["16"] if name == "--depth" else [])) == 2
    assert f"No such option: {name}" in capsys.readouterr().err
