"""Batches that are interrupted: at their deadline, to be saved, and on SIGTERM; without Ray."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from nst_kernel import StyleParams, StylizeResult
from nst_kernel.encoder.weights import Weights
from pipeline import storage
from pipeline.options.interruptions import Interruptions
from pipeline.planning.batch import Batch, Failure
from pipeline.process import Preemption
from pipeline.recovery import saved_states
from pipeline.stages import optimise as actor_module
from pipeline.stages.fetch import fetch
from pipeline.stages.optimise import StyleActor
from pipeline.stages.resumable import ResumableOptimisation
from pipeline.stages.write import Writer
from tests.pipeline.stages.test_optimise import QUICK, batch_of, rows
from tests.support import draw, random_weights

LONG = dataclasses.replace(QUICK, iterations=(20,))
Make = Callable[..., StyleActor]


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def takes(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def home(tmp_path: Path) -> Path:
    furnish(tmp_path)
    return tmp_path


def furnish(folder: Path) -> None:
    for name, seed in (("a.png", 1), ("b.png", 2), ("s.png", 3)):
        Image.fromarray(draw(seed, 32, 32)).save(folder / name)


@pytest.fixture
def make(home: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Actors whose states go below `out`, and whose clock goes a second for every iteration."""
    monkeypatch.setattr(actor_module, "load_encoder", small_encoder)
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(signal, "signal", lambda *_: handler)  # of no concern here

    def actor(on_iteration: Callable[[int], object] | None = None, **interruptions: float) -> StyleActor:
        made = 0

        def told(done: int, total: int, loss: float | None) -> None:
            nonlocal made
            made = done
            clock.takes(1)
            if on_iteration:
                on_iteration(done)

        clock = Clock()
        monkeypatch.setattr("pipeline.stages.resumable.monotonic", clock)
        return StyleActor(
            "any",
            on_iteration=told,
            resumable=ResumableOptimisation(Interruptions(**interruptions), output=str(home / "out")),
        )

    return actor


def small_encoder(_: str) -> Weights:
    return random_weights(0, "conv2_2", narrower=8)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[StylizeResult]:
    """What two rows come to where nothing interrupts them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actor_module, "load_encoder", small_encoder)
        return pictures(StyleActor("any"), batch_of(rows(folder, "a.png", "b.png", params=LONG)))


def pictures(actor: StyleActor, batch: Batch) -> list[StylizeResult]:
    outcomes = actor(fetch(batch)).outcomes
    assert all(isinstance(outcome, StylizeResult) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, StylizeResult)]


def same(ours: list[StylizeResult], theirs: list[StylizeResult]) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(a.image, b.image) and np.array_equal(a.curve["total"], b.curve["total"])
        for a, b in zip(ours, theirs, strict=True)
    )


def states(home: Path) -> list[Path]:
    return sorted((home / "out" / "preempted").glob("*"))


def test_a_row_over_its_deadline_fails_and_says_how_far_it_came(home: Path, make: Make) -> None:
    (outcome,) = make(row_timeout=7)(fetch(batch_of(rows(home, "a.png", params=LONG)))).outcomes
    assert outcome == Failure(
        "DeadlineExceeded", "optimising took longer than 7 s a row: 7.0 s; reached iteration 7 of 20"
    )
    assert not states(home)


def test_each_iteration_is_told_with_its_loss(home: Path, make: Make) -> None:
    seen: list[float | None] = []
    actor = make()
    actor.on_iteration = lambda _done, _total, loss: seen.append(loss)
    [made] = pictures(actor, batch_of(rows(home, "a.png", params=LONG)))
    assert seen == pytest.approx(made.curve["total"])


def test_rows_of_a_batch_have_the_sum_of_their_time(home: Path, make: Make) -> None:
    batch = batch_of(rows(home, "a.png", "b.png", "a.png", params=LONG))
    assert len(pictures(make(row_timeout=6.7), batch)) == 3
    outcomes = make(row_timeout=6)(fetch(batch)).outcomes
    assert {o.error_class for o in outcomes if isinstance(o, Failure)} == {"DeadlineExceeded"}
    assert "reached iteration 18 of 20" in str(outcomes[0])


def test_a_row_of_the_batch_that_had_reached_its_end_keeps_its_picture(home: Path, make: Make) -> None:
    quick = StyleParams.of({**LONG.to_json(), "min_improvement": 0.4, "window": 3})
    slow = StyleParams.of({**LONG.to_json(), "min_improvement": 1e-9, "window": 3})
    asked = rows(home, "a.png", "b.png", params=slow)
    batch = batch_of([asked[0], dataclasses.replace(asked[1], params=quick)])
    over, fine = make(row_timeout=9)(fetch(batch)).outcomes
    assert isinstance(over, Failure)
    assert isinstance(fine, StylizeResult)
    (undisturbed,) = pictures(make(), batch_of([dataclasses.replace(asked[1], params=quick)]))
    assert fine.iterations == undisturbed.iterations < 18


def test_periodic_saving_does_not_change_the_picture(home: Path, make: Make, undisturbed: list[StylizeResult]) -> None:
    batch = batch_of(rows(home, "a.png", "b.png", params=LONG))
    seen: list[int] = []
    actor = make(lambda done: seen.append(len(states(home))), save_every=7)
    optimised = actor(fetch(batch))
    assert same([outcome for outcome in optimised.outcomes if isinstance(outcome, StylizeResult)], undisturbed)
    assert seen == [0] * 7 + [1] * 13
    assert [storage.absolute(uri) for uri in optimised.saved_states] == [str(path) for path in states(home)]
    Writer(str(home / "out"), encoder="random", encoder_sha256="e")(optimised)
    assert not states(home)


class Killed(BaseException):
    """As a process that is gone."""


def killed_at(iteration: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done == iteration:
            raise Killed

    return tell


def test_another_actor_goes_on_from_what_was_saved(home: Path, make: Make, undisturbed: list[StylizeResult]) -> None:
    batch = batch_of(rows(home, "a.png", "b.png", params=LONG))
    with pytest.raises(Killed):
        make(killed_at(14), save_every=4)(fetch(batch))
    told: list[int] = []
    assert same(pictures(make(told.append), batch), undisturbed)
    assert told == list(range(13, 21))


def test_time_before_an_interruption_counts(home: Path, make: Make) -> None:
    batch = batch_of(rows(home, "a.png", params=LONG))
    with pytest.raises(Killed):
        make(killed_at(10), save_every=4)(fetch(batch))
    actor = make(row_timeout=12)
    optimised = actor(fetch(batch))
    assert "12.0 s; reached iteration 12 of 20" in str(optimised.outcomes[0])
    assert optimised.saved_states


@pytest.mark.parametrize("iteration", [1, 9, 19])
def test_on_sigterm_it_saves_within_an_iteration_and_leaves(
    home: Path, make: Make, undisturbed: list[StylizeResult], iteration: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise Killed

    monkeypatch.setattr("pipeline.process.preemption.Preemption.leave", gone)
    batch = batch_of(rows(home, "a.png", "b.png", params=LONG))

    def tell(done: int) -> None:
        if done == iteration:
            assert actor.resumable.preemption
            actor.resumable.preemption.requested = True

    actor = make(tell)
    with pytest.raises(Killed):
        actor(fetch(batch))
    with pytest.raises(Killed):  # it begins nothing new
        actor(fetch(batch))
    told: list[int] = []
    assert same(pictures(make(told.append), batch), undisturbed)
    assert told == list(range(iteration + 1, 21))


@pytest.mark.parametrize("change", ["pixels", "bytes", "request", "a tensor lacks", "another shape", "a name too many"])
def test_a_state_of_no_use_is_deleted_and_work_starts_anew(
    home: Path, make: Make, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    batch = batch_of(rows(home, "a.png", params=LONG))
    with pytest.raises(Killed):
        make(killed_at(8), save_every=3)(fetch(batch))
    (path,) = states(home)
    if change == "pixels":
        (home / "a.png").write_bytes((home / "b.png").read_bytes())
    elif change == "bytes":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        state = saved_states.load(str(path))
        assert state is not None
        tensors = dict(state.tensors)
        changed = {
            "request": dataclasses.replace(state, request="of an older version"),
            "a tensor lacks": dataclasses.replace(state, tensors=dict(list(tensors.items())[1:])),
            "another shape": dataclasses.replace(
                state, tensors={name: t[..., :1].contiguous() for name, t in tensors.items()}
            ),
            "a name too many": dataclasses.replace(state, tensors={**tensors, "scale/0/other": torch.ones(1)}),
        }
        saved_states.save(str(path), changed[change])
    seen: list[tuple[int, int]] = []
    pictures(make(lambda done: seen.append((done, len(states(home))))), batch)
    assert seen == [(k, 0) for k in range(1, 21)]
    assert change == "pixels" or f"{path} is of no use" in caplog.text


def test_an_error_that_is_not_the_states_fails_the_row_as_without_one(home: Path, make: Make) -> None:
    batch = batch_of(rows(home, "a.png", params=LONG))
    with pytest.raises(Killed):
        make(killed_at(10), save_every=4)(fetch(batch))

    tried: list[int] = []

    def fails(done: int) -> None:
        tried.append(done)
        if done == 14:
            raise RuntimeError("a fault of the device")

    (outcome,) = make(fails, save_every=4)(fetch(batch)).outcomes
    assert isinstance(outcome, Failure)
    assert "a fault of the device" in outcome.error
    assert len(tried) < 40  # not for ever


def test_a_state_that_cannot_be_saved_is_gone_without(home: Path, make: Make) -> None:
    (home / "out").mkdir()
    (home / "out" / "preempted").write_bytes(b"a file is in its place")
    batch = batch_of(rows(home, "a.png", params=LONG))
    optimised = make(save_every=5)(fetch(batch))
    assert isinstance(optimised.outcomes[0], StylizeResult)
    assert optimised.saved_states == ()


def test_a_sweep_leaves_no_old_state(home: Path, make: Make) -> None:
    with pytest.raises(Killed):
        make(killed_at(8), save_every=3)(fetch(batch_of(rows(home, "a.png", params=LONG))))
    assert states(home)
    saved_states.delete_old(str(home / "out"))
    saved_states.delete_old(str(home / "nowhere"))
    (state,) = states(home)  # somebody may come back for it
    mine = state.with_name("mine.safetensors")  # a link in the place of the folder would lead to a user's own files
    mine.write_bytes(b"1")
    for path in (state, mine):
        os.utime(path, times=(time.time() - 8 * 86400,) * 2)
    saved_states.delete_old(str(home / "out"))
    assert states(home) == [mine]


@pytest.mark.parametrize("name", ["row_timeout", "worth_saving", "save_every"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_seconds_that_are_none(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} = .*expected seconds"):
        Interruptions(**{name: value})


PROCESS = """
import os, signal, sys, threading, time
from pipeline.process.preemption import Preemption
preemption = Preemption(worth_saving=float(sys.argv[1]))

def work():
    with preemption.working():
        print("working", flush=True)
        while not preemption.requested:
            time.sleep(0.01)
        print("saving", flush=True)
        preemption.leave()

if sys.argv[2] == "busy":
    threading.Thread(target=work, daemon=True).start()
else:
    print("idle", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("worth_saving", "what", "said", "code"),
    [("0", "busy", "working saving", 1), ("100", "busy", "working", 1), ("0", "idle", "idle", 1)],
)
def test_what_a_process_does_on_sigterm(worth_saving: str, what: str, said: str, code: int) -> None:
    command = [sys.executable, "-c", PROCESS, worth_saving, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
    assert (first + rest).split() == said.split()
    assert process.returncode == code


def test_each_iteration_is_a_sign_of_life(home: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a batch of more than ten minutes is ended as one that stands still, and its rows are quarantined."""
    signs: list[None] = []
    monkeypatch.setattr("pipeline.process.watchdog.alive", lambda: signs.append(None))
    batch = batch_of(rows(home, "a.png", params=LONG))
    fetched = fetch(batch)
    signs.clear()
    pictures_of = make()(fetched).outcomes
    assert len(signs) == 20
    assert len(pictures_of) == 1


def test_each_picture_that_is_read_is_a_sign_of_life(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[None] = []
    watchdog = SimpleNamespace(alive=lambda: signs.append(None))  # not that of the children, which have signs of theirs
    monkeypatch.setattr("pipeline.stages.read_ahead.watchdog", watchdog)
    fetch(batch_of(rows(home, "a.png", "b.png")))
    assert len(signs) == 3


def test_saving_to_a_slow_store_takes_a_small_share_of_the_time(
    home: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = dataclasses.replace(QUICK, iterations=(40,), min_improvement=0.0)
    actor = make(save_every=6)
    clock = import_module("pipeline.stages.resumable").monotonic
    saved_at: list[float] = []

    def slowly(uri: str, state: object) -> bool:
        saved_at.append(clock())
        clock.takes(1)
        return True

    monkeypatch.setattr(saved_states, "save", slowly)
    actor(fetch(batch_of(rows(home, "a.png", params=long))))
    assert saved_at == [6.0, 6 + 1 + 20]  # a second is a twentieth of 20


@pytest.mark.parametrize("succeeds", [True, False])
def test_what_was_saved_is_not_unsaved_work(
    succeeds: bool, home: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[None] = []
    monkeypatch.setattr("pipeline.process.preemption.Preemption.saved", lambda _: saved.append(None))
    monkeypatch.setattr(saved_states, "save", lambda *_: succeeds)
    make(save_every=12)(fetch(batch_of(rows(home, "a.png", params=LONG))))
    assert len(saved) == succeeds


def test_unsaved_work_counts_from_the_last_save(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("pipeline.process.preemption.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    preemption = Preemption(worth_saving=10)
    preemption.on_draining()
    with preemption.working():
        now[0] += 9
        assert not preemption.wanted
        now[0] += 1
        assert preemption.wanted
        preemption.saved()
        now[0] += 9
        assert not preemption.wanted
        now[0] += 1
        assert preemption.wanted
    assert not preemption.wanted
