"""A genuine S3 server under whole runs: behind a proxy that spoils requests, killed, stopped, asked by many at once."""

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import s3fs

from jobs.selftest.chaos.scenario import Harness, Scenario, judge
from pipeline import storage
from pipeline.outputs import summary
from pipeline.outputs import table as result_table
from pipeline.recovery.run_lock import Locked, RunLock
from tests.faults.support import rgw
from tests.faults.support.lock_races import check_that_one_gets_it
from tests.faults.support.proxy import FAULTS, FaultyProxy
from tests.faults.test_table import played

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(not rgw.installed(), reason="needs Debian's radosgw, ceph-mon and ceph-osd"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rgw.Gateway]:
    with rgw.serving(tmp_path_factory.mktemp("s3") / "rgw") as server:
        yield server


@pytest.fixture
def home(gateway: rgw.Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of its own."""
    import boto3

    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"studio-{random.randrange(10**9)}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    s3fs.S3FileSystem.clear_instance_cache()  # connections keep the endpoint that they began with
    yield f"s3://{bucket}/home"
    s3fs.S3FileSystem.clear_instance_cache()


def test_one_of_many_runs_gets_the_lock(home: str) -> None:
    check_that_one_gets_it(home)


def test_a_file_is_replaced_only_by_who_knows_it(home: str) -> None:
    uri = storage.join(home, "file")
    assert not storage.write_if(uri, b"0", replaces="c4ca4238a0b923820dcc509a6f75849b")
    assert storage.write_if(uri, b"1", replaces=None)
    first = storage.identity(uri)
    assert storage.write_if(uri, b"2", replaces=first)
    assert not storage.write_if(uri, b"3", replaces=first)
    assert storage.read_bytes(uri) == b"2"


def test_a_lock_is_renewed_and_a_stale_one_taken_over(home: str) -> None:
    with RunLock(home, lease=2) as lock:
        time.sleep(4)
        with pytest.raises(Locked):
            RunLock(home).__enter__()
        lock.check()
        said = json.loads(storage.read_bytes(lock.uri)) | {"owner": "dead", "machine": "x"}
        storage.write_bytes(lock.uri, json.dumps(said).encode())  # as one whose run died elsewhere
        with RunLock(home), pytest.raises(Locked):
            lock.check()


@pytest.mark.parametrize(("fault", "times"), [("driver killed at 50 %", 2), ("two runs on one output", 1)])
def test_the_table_holds_on_a_genuine_store(fault: str, times: int, home: str) -> None:
    assert len(played(fault, times, home, os.environ)) == times


def test_with_a_third_of_requests_spoilt_on_the_way_no_row_is_lost(
    home: str, gateway: rgw.Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = rows(home, 16)
    with FaultyProxy(gateway.environment["AWS_ENDPOINT_URL"]).serving() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.share, proxy.kinds, proxy.stall = 0.3, FAULTS, 10.0
        run(scenario)
    outcome = judge(scenario)
    assert outcome.ok, outcome
    spoilt, asked = sum(proxy.faults.values()), proxy.requests.total()
    print(json.dumps({"requests": asked, "spoilt": proxy.faults, "retries": retries(scenario)}))
    assert 0.2 * asked < spoilt < 0.4 * asked
    assert 0 < retries(scenario) <= spoilt
    assert asked <= 2 * (asked - spoilt)  # a spoilt request costs about one more, never many


def down_for_a_minute(gateway: rgw.Gateway) -> None:
    gateway.kill()
    time.sleep(60)
    gateway.start()


def killed_for_some_seconds(gateway: rgw.Gateway) -> None:
    gateway.kill()
    time.sleep(20)
    gateway.start()


def standing_still(gateway: rgw.Gateway) -> None:
    with gateway.standing_still():
        time.sleep(30)


@pytest.mark.parametrize("trouble", [*[down_for_a_minute] * 3, killed_for_some_seconds, standing_still])
def test_a_run_waits_while_its_store_is_down(
    trouble: Callable[[rgw.Gateway], None], home: str, gateway: rgw.Gateway
) -> None:
    scenario = rows(home, 24)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, scenario)
        while not running.done() and not listed(scenario):
            time.sleep(0.2)
        assert not running.done()
        trouble(gateway)
        running.result()
    outcome = judge(scenario)
    assert outcome.ok, outcome
    assert summary.read(scenario.output)["retries"]


def rows(home: str, count: int) -> Scenario:
    """A scenario in a bucket."""
    harness = Harness(home, "local", random.Random(0))
    harness.draw_pictures()
    return harness.scenario("rows", [f"row-{n}" for n in range(count)], iterations=40)


def run(scenario: Scenario) -> None:
    """Run a scenario in a process and a cluster of its own, which know the endpoint from the environment."""
    driver = scenario.start_driver("local")
    said, _ = driver.communicate(timeout=900)
    assert driver.returncode == 0, said
    assert json.loads(said.splitlines()[-1])["ok"] == len(scenario.ids)


def retries(scenario: Scenario) -> int:
    return sum(row["retries"] for row in scenario.rows().values())


def listed(scenario: Scenario) -> bool:
    with contextlib.suppress(storage.StorageError):
        return bool(result_table.parts(scenario.output))
    return False
