"""Metrics of a run: their names and tags, and that they add up to what became of the rows."""

import contextlib
import time
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.util.metrics import Counter, Gauge, Histogram, Metric

from pipeline.flow import metrics
from pipeline.flow.metrics import OF_RUN, RunMetrics
from pipeline.outputs.provenance import now
from pipeline.outputs.schema import STATUSES
from pipeline.planning.batch import Batch, Fetched, Optimised
from tests.bench.stub import StubKernel

Recorded = dict[tuple[str, str], list[float]]
"""Values by the name of a metric and of its tag's value."""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    return record(monkeypatch)


def record(patch: pytest.MonkeyPatch) -> Recorded:
    values: Recorded = defaultdict(list)

    def note(metric: Metric, value: float, tags: dict[str, str] | None = None) -> None:
        assert set({**metric.info["default_tags"], **(tags or {})}) == set(metric.info["tag_keys"])
        values[metric.info["name"], "".join((tags or {}).values())].append(value)

    patch.setattr(Metric, "_record", note)
    return values


def test_names_kinds_and_tags() -> None:
    of_run = [metric for metric in vars(RunMetrics(int)).values() if isinstance(metric, Metric)]
    found = {metric.info["name"]: (type(metric), metric.info["tag_keys"]) for metric in of_run}
    assert found == {
        "nst_rows_total": (Counter, ("status", *OF_RUN)),
        "nst_seconds_total": (Counter, ("stage", *OF_RUN)),
        "nst_batch_size": (Histogram, OF_RUN),
        "nst_loss": (Histogram, OF_RUN),
        "nst_storage_retries_total": (Counter, OF_RUN),
        "nst_rows_left": (Gauge, OF_RUN),
        "nst_rows_planned": (Gauge, OF_RUN),
        "nst_last_row_age_seconds": (Gauge, OF_RUN),
        "nst_last_success_timestamp_seconds": (Gauge, OF_RUN),
        "nst_batches_total": (Counter, OF_RUN),
    }
    assert all(metric.info["description"] for metric in of_run)


seconds = st.floats(0, 1e4)
row = st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "seconds": st.fixed_dictionaries({"fetch": seconds, "optimise": seconds, "write": seconds}),
        "total_loss": st.one_of(st.none(), st.floats(min_value=0)),
        "retries": st.integers(0, 5),
    }
)


@given(st.lists(st.lists(row, min_size=1, max_size=5), max_size=5))
def test_they_add_up_to_what_became_of_the_rows(batches: list[list[dict[str, Any]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        left = [*range(sum(map(len, batches)) + 1)]
        recorded, of_run = record(patch), RunMetrics(left.pop)
        for batch in batches:
            for n, one in enumerate(batch):
                loss = one["total_loss"] if one["status"] in ("ok", "diverged") else None
                loss = 1.0 if one["status"] == "ok" and loss is None else loss
                of_run.add({**one, "total_loss": loss, "batch_size": 0 if n else len(batch)})
    rows = [one for batch in batches for one in batch]
    assert recorded["nst_rows_left", ""] == [*range(len(rows), -1, -1)]  # after each row anew
    assert sum(recorded["nst_storage_retries_total", ""]) == sum(one["retries"] for one in rows)
    for status in STATUSES:
        assert sum(recorded["nst_rows_total", status]) == sum(one["status"] == status for one in rows)
    for stage in ("fetch", "optimise", "write"):
        assert sum(recorded["nst_seconds_total", stage]) == pytest.approx(sum(one["seconds"][stage] for one in rows))
    assert recorded["nst_batch_size", ""] == [len(batch) for batch in batches]
    assert sum(recorded["nst_batches_total", ""]) == len(batches)
    assert len(recorded["nst_loss", ""]) <= sum(one["status"] == "ok" for one in rows)


def test_a_run_that_has_stopped_waits_for_nothing(recorded: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt), RunMetrics(lambda: 5):
        raise KeyboardInterrupt
    assert set(recorded["nst_rows_left", ""][:-1]) == {5}
    assert recorded["nst_rows_left", ""][-1] == 0


def test_a_run_tells_that_it_lives_until_it_is_over(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HEARTBEAT_SECONDS", 0.01)
    told = recorded["nst_rows_left", ""]
    until = time.monotonic() + 30
    with RunMetrics(lambda: 5):
        while len(told) < 4 and time.monotonic() < until:
            time.sleep(0.01)
    assert told[:4] == [5, 5, 5, 5]
    time.sleep(0.05)
    assert told[-1] == 0


def test_series_say_whose_they_are() -> None:
    one = RunMetrics(int, run="me", output="https://host/out?token=secret")
    for metric in (value for value in vars(one).values() if isinstance(value, Metric)):
        assert metric.info["default_tags"] == {"run": "me", "output": "https://host/out?token=***"}
    share = metrics.BusyShare(StubKernel(""), run="me", output="/out").share
    assert share.info["default_tags"] == {"run": "me", "output": "/out"}


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_run_tells_how_it_is_getting_on(ends_well: bool, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HEARTBEAT_SECONDS", 0.01)
    ages, until = recorded["nst_last_row_age_seconds", ""], time.monotonic() + 30
    with contextlib.suppress(KeyboardInterrupt), RunMetrics(lambda: 5, lambda: 7, last_success=123.0):
        while len(ages) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        if not ends_well:
            raise KeyboardInterrupt
    assert set(recorded["nst_rows_planned", ""]) == {7}
    assert 0 <= ages[0] < ages[2]
    *before, last = recorded["nst_last_success_timestamp_seconds", ""]
    assert set(before) == {123.0}
    assert (last > time.time() - 60) is ends_well


def test_an_actor_tells_how_busy_its_device_is(recorded: Recorded) -> None:
    def optimise(fetched: Fetched) -> Optimised:
        return Optimised(fetched, (), "cpu", "fp32", seconds=fetched.seconds, waited=1.0)

    watched = metrics.BusyShare(optimise)
    for took in (3.0, 1.0):
        fetched = Fetched(Batch(()), (), now(), took, ())
        assert watched(fetched) == optimise(fetched)
    assert recorded == {("nst_device_busy_share", "cpu"): [0.75, 0.5]}


def test_a_device_that_starves_is_seen_while_it_does(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HEARTBEAT_SECONDS", 0.01)

    def optimise(fetched: Fetched) -> Optimised:
        return Optimised(fetched, (), "cpu", "fp32", seconds=0.1, waited=0.0)

    metrics.BusyShare(optimise)(Fetched(Batch(()), (), now(), 0.1, ()))
    told, until = recorded["nst_device_busy_share", "cpu"], time.monotonic() + 30
    while told[-1] > 0.5 and time.monotonic() < until:
        time.sleep(0.01)
    assert told[0] == 1.0
    assert told[-1] <= 0.5


def test_boundaries_are_what_ray_takes() -> None:
    for boundaries in (metrics.BATCH_SIZES, metrics.LOSSES):
        assert list(boundaries) == sorted(set(boundaries))
        assert min(boundaries) > 0
