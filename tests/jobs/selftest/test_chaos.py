"""The judge of the self-test finds what it is there to find; what it is given here was never near a cluster."""

import dataclasses
import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.pictures import draw
from jobs.selftest.chaos.faults import FAULTS
from jobs.selftest.chaos.hooks import CRASHES, tally_folder
from jobs.selftest.chaos.scenario import Harness, Outcome, Scenario, judge
from pipeline import images, storage
from pipeline.manifest.reader import read_manifest
from pipeline.outputs import layout, provenance, summary
from pipeline.outputs import table as result_table

IDS = ("a", "b", "c")


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """As a run without any trouble leaves it."""
    scenario = Scenario("rows.jsonl", str(tmp_path / "output"), IDS)
    commit(scenario, IDS)
    for row_id in IDS:
        begin(scenario, row_id)
    summary.write(scenario.output, {"counts": {"ok": 3, "failed": 0}, "plan": {"rows": 3}})
    return scenario


def commit(scenario: Scenario, ids: tuple[str, ...], *, status: str = "ok", later: int = 0) -> None:
    rows = []
    for row_id in ids:
        output = storage.join(layout.images_folder(scenario.output), f"{row_id}.png")
        storage.write_bytes(output, images.encode(draw("lake", 32), metadata={}))
        finished = provenance.now() + timedelta(seconds=later)
        row = {"id": row_id, "status": status, "output": output, "width": 32, "height": 32, "finished_at": finished}
        rows.append(row)
    result_table.commit(scenario.output, rows)


def begin(scenario: Scenario, *ids: str) -> None:
    name = storage.join(tally_folder(scenario.output), f"{random.random()}.json")
    storage.write_bytes(name, json.dumps({"ids": ids, "run": "r", "node": "n"}).encode())


def drop_a_row(scenario: Scenario) -> None:
    (part,) = result_table.parts(scenario.output)
    storage.remove(part)
    commit(scenario, IDS[:2])


def cut_a_picture(scenario: Scenario) -> None:
    picture = Path(layout.images_folder(scenario.output), "b.png")
    picture.write_bytes(picture.read_bytes()[:1000])


def lose_a_picture(scenario: Scenario) -> None:
    storage.remove(storage.join(layout.images_folder(scenario.output), "b.png"))


TROUBLES: dict[str, tuple[Callable[[Scenario], Any], str]] = {
    "a row is gone": (drop_a_row, "lost"),
    "a picture is cut": (cut_a_picture, "lost"),
    "a picture is gone": (lose_a_picture, "lost"),
    "a row is there twice": (lambda scenario: commit(scenario, ("a",), later=1), "duplicated"),
    "a row was done again": (lambda scenario: begin(scenario, "a", "b"), "recomputed"),
    "a row failed": (lambda scenario: commit(scenario, IDS, status="failed"), "is failed, not ok"),
    "a row of another": (lambda scenario: commit(scenario, ("x",)), "row x is ok, not None"),
    "totals do not add up": (
        lambda scenario: summary.write(scenario.output, {"counts": {"ok": 2}, "plan": {"rows": 3}}),
        "do not add up",
    ),
    "something half written": (
        lambda scenario: Path(scenario.output, "images", ".x.part").write_bytes(b"1"),
        "half written",
    ),
    "an attempt is open": (
        lambda scenario: storage.write_bytes(
            storage.join(layout.ledger_folder(scenario.output), "optimise-1-2.json"),
            json.dumps(
                {"rows": [["a", "f"]], "stage": "optimise", "run": "r", "host": "h", "pid": 1, "began_at": ""}
            ).encode(),
        ),
        "still has 1 attempts",
    ),
}


def test_without_trouble_the_contract_held(scenario: Scenario) -> None:
    assert judge(scenario) == Outcome(rows=3)
    assert judge(scenario).ok


@pytest.mark.parametrize(("spoil", "said"), TROUBLES.values(), ids=TROUBLES)
def test_the_judge_finds(spoil: Callable[[Scenario], Any], said: str, scenario: Scenario) -> None:
    spoil(scenario)
    outcome = judge(scenario)
    assert not outcome.ok
    if said in ("lost", "duplicated", "recomputed"):
        assert getattr(outcome, said)
    else:
        assert said in "; ".join(outcome.wrong)


def test_what_was_in_flight_may_be_done_again(scenario: Scenario) -> None:
    begin(scenario, "a", "b")
    assert judge(scenario, in_flight=2).ok
    assert not judge(scenario, in_flight=1).ok


def test_scenarios_are_valid_manifests_and_travel(tmp_path: Path) -> None:
    harness = Harness(str(tmp_path), "local", random.Random(0))
    harness.draw_pictures()
    first, second = (harness.scenario("x", ["a", "loop-in-fetch"], iterations=3) for _ in range(2))
    assert first.output != second.output
    assert harness.scenario("x", ["a", "loop-in-fetch"], again=True, iterations=3) == second
    assert Scenario.from_json(first.to_json()) == first
    rows = read_manifest(first.manifest, encoder_sha256="e").rows
    assert [row.id for row in rows] == ["a", "loop-in-fetch"]
    assert all(images.decode(storage.read_bytes(str(row.content))).shape == (64, 64, 3) for row in rows)
    assert first.committed() == set()
    assert first.tally() == []


def test_what_breaks_off_is_told_and_is_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Harness) -> Outcome:
        raise RuntimeError("the cluster is gone")

    monkeypatch.setattr("jobs.selftest.FAULTS", {"fine": lambda _: Outcome(3), "worse": breaks})
    monkeypatch.setattr("jobs.selftest.connect", lambda address: "local")
    command = ["selftest", "--chaos", "--json", "--output", str(tmp_path), "--repeat", "2"]
    told = CliRunner().invoke(app, [*command, "--only", "fine"])
    assert told.exit_code == 0
    assert [json.loads(line)["ok"] for line in told.stdout.splitlines()] == [True, True]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert json.loads(told.stdout.splitlines()[-1])["wrong"] == ["broke off: RuntimeError: the cluster is gone"]


def test_every_way_to_die_is_a_fault() -> None:
    assert {f"poison: {how}" for how in CRASHES if how != "hog"} <= FAULTS.keys()
    assert dataclasses.fields(Outcome)[0].name == "rows"
