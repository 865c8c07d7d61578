"""Crashes are counted in storage: a row that crashes its process is quarantined alone, and the others get through."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline import layout, storage
from pipeline.manifest.row import Row
from pipeline.outputs import provenance
from pipeline.planning.batch import Failure, PlannedRow
from pipeline.planning.crashes import NO_CRASHES, Crashes, row_keys
from pipeline.planning.fingerprint import fingerprint
from pipeline.planning.history import History
from pipeline.planning.plan import plan
from pipeline.recovery import ledger
from pipeline.recovery.guard import isolate_crashes
from pipeline.recovery.ledger import Ledger

_numbers = itertools.count()


def new_output() -> str:
    return f"memory://ledger-{next(_numbers)}"


def rows(count: int) -> list[PlannedRow]:
    return [
        PlannedRow(Row(f"r{n}", f"/{n}.png", "/s.png", f"{n}.png", StyleParams(), "rows.csv", n), f"mark{n}", (8, 8))
        for n in range(count)
    ]


def refuse(_: int, failure: Failure) -> list[str]:
    return [failure.status]


class Crashed(BaseException):
    """A process ended in the middle."""


class CrashingLedger(Ledger):
    """A ledger whose process ends without a word when `Crashed` is raised."""

    @contextlib.contextmanager
    def during(self, stage: str, rows: Sequence[PlannedRow], record: str | None) -> Iterator[None]:
        yield
        if record:
            storage.remove(record)


@dataclasses.dataclass
class Process:
    """What Ray runs again and again until it ends by itself."""

    notes: Ledger
    poison: frozenset[str]
    deaths: int = 0
    done_at_once: list[int] = dataclasses.field(default_factory=list)

    def once(self, planned: Sequence[PlannedRow]) -> list[str]:
        def work(places: Sequence[int]) -> list[str]:
            if any(planned[place].row.id in self.poison for place in places):
                self.deaths += 1
                raise Crashed
            self.done_at_once.append(len(places))
            return ["ok" for _ in places]

        parts = isolate_crashes(self.notes, "optimise", planned, work=work, refuse=refuse)
        return list(itertools.chain.from_iterable(parts))

    def until_it_ends(self, planned: Sequence[PlannedRow]) -> list[str]:
        for _ in range(100):
            with contextlib.suppress(Crashed):
                return self.once(planned)
        raise AssertionError("it never ends")


@given(st.integers(1, 8), st.frozensets(st.integers(0, 7)), st.integers(1, 4))
def test_poison_is_quarantined_alone_and_the_rest_is_done(count: int, bad: frozenset[int], most: int) -> None:
    planned = rows(count)
    process = Process(CrashingLedger(new_output(), "run", most), frozenset(f"r{n}" for n in bad))
    outcomes = process.until_it_ends(planned)
    poison = len(bad & set(range(count)))
    assert outcomes == ["quarantined" if n in bad else "ok" for n in range(count)]
    together = 1 if poison and count > 1 else 0
    assert process.deaths == together + poison * max(1, most - together)


def test_without_a_crash_a_batch_stays_together_and_nothing_is_left() -> None:
    output = new_output()
    process = Process(Ledger(output), frozenset())
    assert process.once(rows(5)) == ["ok"] * 5
    assert process.done_at_once == [5]
    assert ledger.read_attempts(output) == []


def test_rows_that_get_through_after_a_crash_by_chance_are_not_suspected_any_more() -> None:
    output, planned = new_output(), rows(3)
    with contextlib.suppress(Crashed):
        Process(CrashingLedger(output), frozenset(["r1"])).once(planned)
    assert Process(CrashingLedger(output), frozenset()).once(planned) == ["ok"] * 3
    assert ledger.read_attempts(output) == []


def test_records_in_folders_below_are_nobodys(tmp_path: Path) -> None:
    """A link in the ledger may lead to another output's: what is settled here would be deleted there."""
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    uri = Ledger(there).record("fetch", rows(2))
    folder = Path(layout.ledger_folder(here))
    folder.mkdir(parents=True)
    (folder / "deeper").symlink_to(Path(uri).parent)
    assert ledger.read_attempts(here) == []
    assert Ledger(here).open_attempts("fetch", rows(2)) == []
    assert [attempt.uri for attempt in ledger.read_attempts(there)] == [uri]


def test_an_error_is_no_crash() -> None:
    output = new_output()
    with pytest.raises(ValueError, match="oops"), Ledger(output).attempt("optimise", rows(2)):
        raise ValueError("oops")
    assert ledger.read_attempts(output) == []


def test_an_observer_hears_of_each_attempt_once_it_is_recorded() -> None:
    output, planned = new_output(), rows(2)
    heard: list[tuple[str, int, int]] = []
    undo = ledger.observe_attempts(
        lambda notes, stage, rows: heard.append((stage, len(rows), len(ledger.read_attempts(notes.output))))
    )
    try:
        with Ledger(output).attempt("fetch", planned):
            assert heard == [("fetch", 2, 1)]
    finally:
        undo()
    undo()
    with Ledger(output).attempt("fetch", planned):
        assert len(heard) == 1


def test_another_photo_under_the_same_id_has_no_crashes() -> None:
    output, (planned,) = new_output(), rows(1)
    with contextlib.suppress(Crashed):
        Process(CrashingLedger(output), frozenset(["r0"])).once([planned])
    notes = Ledger(output)
    assert len(notes.open_attempts("optimise", [planned])) == 1
    assert notes.open_attempts("fetch", [planned]) == []
    assert notes.open_attempts("optimise", [dataclasses.replace(planned, fingerprint="new")]) == []


def test_an_attempt_says_who_when_and_what() -> None:
    output, planned = new_output(), rows(2)
    with Ledger(output, run="tuesday").attempt("optimise", planned):
        (attempt,) = ledger.read_attempts(output)
    assert attempt.rows == (("r0", "mark0"), ("r1", "mark1"))
    assert (attempt.stage, attempt.run) == ("optimise", "tuesday")
    assert (attempt.host, attempt.pid) == (provenance.host(), os.getpid())
    assert attempt.began_at.endswith("+00:00")
    storage.write_bytes(f"{output}/ledger/other.json", b"{}")
    assert ledger.read_attempts(output) == []


@given(st.lists(st.sets(st.integers(0, 4), min_size=1), max_size=8), st.sets(st.integers(0, 4)))
def test_crashes_add_up_and_are_removed_with_their_rows(died: list[set[int]], settled: set[int]) -> None:
    output, planned = new_output(), rows(5)
    for group in died:
        with (
            contextlib.suppress(Crashed),
            CrashingLedger(output).attempt("optimise", [planned[n] for n in sorted(group)]),
        ):
            raise Crashed
    found = ledger.crashes_by_row(ledger.read_attempts(output))
    for n, row in enumerate(planned):
        mine = [group for group in died if n in group]
        alone = sum(len(group) == 1 for group in mine)
        assert found.get(row_keys([row])[0], NO_CRASHES) == Crashes(len(mine) - alone, alone)
    ledger.remove_settled(output, ledger.read_attempts(output), set(row_keys([planned[n] for n in settled])))
    assert len(ledger.read_attempts(output)) == sum(not group <= settled for group in died)


def test_of_a_stopped_run_only_the_last_attempts_are_withdrawn() -> None:
    output, planned = new_output(), rows(2)
    for run in ("old", "new", "new"):
        with contextlib.suppress(Crashed), CrashingLedger(output, run).attempt("optimise", planned):
            raise Crashed
    CrashingLedger(output, "old").record("optimise", planned[:1])  # of other rows, which only that run had
    ledger.withdraw_run(output, "new", seconds=0)
    assert sorted(attempt.run for attempt in ledger.read_attempts(output)) == ["new", "old", "old"]


def test_what_a_worker_records_after_its_driver_was_stopped_is_withdrawn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    output = new_output()
    dead, late = rows(2)
    for _ in range(2):
        Ledger(output, "run").record("write", [dead])
    while_it_waits = SimpleNamespace(sleep=lambda _: Ledger(output, "run").record("write", [late]))
    monkeypatch.setattr(ledger, "time", while_it_waits)
    ledger.withdraw_run(output, "run")
    assert [attempt.rows for attempt in ledger.read_attempts(output)] == [row_keys([dead])]


def test_a_run_plans_suspected_rows_alone_and_leaves_quarantined_ones_out() -> None:
    asked = [p.row for p in rows(6)]
    same: dict[str, str | storage.StorageError] = dict.fromkeys((uri for row in asked for uri in row.uris()), "1")
    marks = [fingerprint(row, "e", same) for row in asked]
    work = plan(
        asked,
        encoder_sha256="e",
        history=History(
            finished={"r5": marks[5]},
            quarantined={"r4": marks[4], "r3": "asked otherwise"},
            crashes={("r0", marks[0]): Crashes(1, 0), ("r1", marks[1]): Crashes(1, 1)},
        ),
        shape_of=lambda todo: [(8, 8) for _ in todo],
        identify=lambda _: same,
    )
    planned = {tuple(p.row.id for p in batch.rows): batch.rows[0] for batch in work.batches}
    assert set(planned) == {("r0",), ("r1",), ("r2", "r3")}
    assert planned[("r0",)].crashes_together == 1
    failure = planned[("r1",)].failure
    assert isinstance(failure, Failure)
    assert failure.status == "quarantined"
    assert "died 2 times" in failure.error
    assert (work.done, work.quarantined, work.rows) == (1, 1, 4)


def test_rows_of_runs_that_were_killed_are_suspected_and_not_quarantined_at_once() -> None:
    output, planned = new_output(), rows(3)
    for run in ("first", "second", "second"):  # the second one's process died, was started again, and died with the run
        with contextlib.suppress(Crashed), CrashingLedger(output, run).attempt("optimise", planned[:1]):
            raise Crashed
    attempts = ledger.collect_crashes(output)
    assert len(attempts) == 3
    assert {attempt.uri for attempt in ledger.collect_crashes(output)} == {attempt.uri for attempt in attempts}
    (died,) = ledger.crashes_by_row(attempts).values()
    assert died == Crashes(alone=1, with_run=2)
    assert not died.should_quarantine(2)
    assert Crashes(with_run=4).should_quarantine(2)
    assert len(Ledger(output).open_attempts("optimise", planned[:1])) == 1


@given(st.integers(1, 5), st.frozensets(st.integers(0, 4)), st.integers(1, 3))
def test_crashes_count_across_runs_too(count: int, bad: frozenset[int], most: int) -> None:
    """As if the driver died with every worker: each run plans anew from what the last one left."""
    output, poison = new_output(), frozenset(f"r{n}" for n in bad)
    todo, ended, runs = rows(count), dict[str, str](), 0
    while todo:
        deaths = ledger.crashes_by_row(ledger.collect_crashes(output))
        groups: list[list[PlannedRow]] = [[]]
        for planned in todo:
            died = deaths.get(row_keys([planned])[0], NO_CRASHES)
            if died.should_quarantine(most):
                ended[planned.row.id] = "quarantined"
            elif died != NO_CRASHES:
                groups.append([dataclasses.replace(planned, crashes_together=died.together)])
            else:
                groups[0].append(planned)
        for group in filter(None, groups):
            with contextlib.suppress(Crashed):
                outcomes = Process(CrashingLedger(output, f"{runs}", most), poison).once(group)
                ended.update({p.row.id: outcome for p, outcome in zip(group, outcomes, strict=True)})
        todo = [planned for planned in todo if planned.row.id not in ended]
        runs += 1
        assert runs <= 2 * most + 2
    assert ended == {f"r{n}": "quarantined" if n in bad else "ok" for n in range(count)}


@pytest.mark.parametrize(("states", "together"), [(True, [3]), (False, [1, 1, 1])])
def test_a_batch_that_can_go_on_has_a_second_chance_together(states: bool, together: list[int]) -> None:
    output, planned = new_output(), rows(3)
    process = Process(CrashingLedger(output), frozenset(["r1"]))
    with contextlib.suppress(Crashed):
        process.once(planned)
    process.poison = frozenset()
    worked: list[int] = []

    def work(places: Sequence[int]) -> list[str]:
        worked.append(len(places))
        return ["ok"] * len(places)

    parts = isolate_crashes(process.notes, "optimise", planned, work=work, refuse=refuse, resumable=lambda: states)
    assert (list(itertools.chain.from_iterable(parts)), worked) == (["ok"] * 3, together)
    assert ledger.read_attempts(output) == []


@given(st.integers(2, 5), st.integers(0, 4))
def test_poison_in_a_batch_that_can_go_on_is_found_too(count: int, bad: int) -> None:
    planned, poison, deaths = rows(count), f"r{bad % count}", 0
    notes = CrashingLedger(new_output(), "run", 2)

    def work(places: Sequence[int]) -> list[str]:
        nonlocal deaths
        if any(planned[place].row.id == poison for place in places):
            deaths += 1
            raise Crashed
        return ["ok"] * len(places)

    for _ in range(10):
        with contextlib.suppress(Crashed):
            parts = isolate_crashes(notes, "optimise", planned, work=work, refuse=refuse, resumable=lambda: True)
            break
    assert list(itertools.chain.from_iterable(parts)) == [
        "quarantined" if row.row.id == poison else "ok" for row in planned
    ]
    assert deaths == 3  # twice together, once alone


def test_a_first_crash_with_the_whole_run_leaves_a_batch_together() -> None:
    asked = [planned.row for planned in rows(4)]

    def batches(deaths: Crashes) -> list[int]:
        work = plan(
            asked,
            encoder_sha256="e",
            history=History(
                crashes={(asked[0].id, mark): deaths for mark in [fingerprint(asked[0], "e", dict.fromkeys(uris, "1"))]}
            ),
            shape_of=lambda todo: [(64, 64) for _ in todo],
            identify=lambda uris: dict.fromkeys(uris, "1"),
        )
        return sorted(len(batch.rows) for batch in work.batches)

    uris = ["/s.png", *(f"/{n}.png" for n in range(4))]
    assert batches(Crashes(with_run=1)) == [4]
    assert batches(Crashes(with_run=2)) == batches(Crashes(together=1)) == batches(Crashes(alone=1)) == [1, 3]
