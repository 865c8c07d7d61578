"""Storage that fails: what is transient is survived, what is final is said at once, and no byte is lost or wrong."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline import storage
from pipeline.outputs import provenance
from pipeline.outputs import table as result_table
from pipeline.storage import Policy, StorageError
from tests.faults.conftest import PATIENCE
from tests.faults.support.proxy import FAULTS, Fault, FaultyProxy

MOST = Policy().attempts


def repeated(before: dict[str, int]) -> Counter[str]:
    return Counter(storage.retries()) - Counter(before)


def test_with_a_third_of_requests_failing_nothing_is_lost(folder: str, proxy: FaultyProxy) -> None:
    files = {storage.join(folder, f"{n}.bin"): random.Random(n).randbytes(1 + 997 * n) for n in range(30)}
    before = storage.retries()
    proxy.share = 0.3
    proxy.kinds = tuple(kind for kind in FAULTS if kind != "stalled")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(storage.write_bytes, files, files.values()))
        assert dict(zip(files, pool.map(storage.read_bytes, files), strict=True)) == files
    assert storage.list_files(folder) == sorted(files)
    marks = storage.identities(list(files))
    assert all(isinstance(mark, str) for mark in marks.values())
    # Identities are one listing more, of the folder.
    spoilt, wanted = sum(proxy.faults.values()), 2 * len(files) + 3
    assert spoilt > 0.2 * proxy.requests.total()
    assert proxy.requests.total() == wanted + spoilt  # a spoilt request costs one more
    assert 0.5 * spoilt < repeated(before).total() <= spoilt  # the rest aiohttp repeats, see below
    proxy.share = 0
    assert {uri: storage.read_bytes(uri) for uri in files} == files


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_survived_and_counted(
    kind: Fault, folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "stalled":  # for others silence would be a fault of this machine, of a kind that is not expected
        monkeypatch.setenv("NST_STORAGE_TIMEOUT", "0.5")
    proxy.share, proxy.kinds, proxy.stall, before = 0.5, (kind,), 1.5, storage.retries()
    files = {storage.join(folder, str(n)): bytes([n]) * 5000 for n in range(6)}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(storage.write_bytes, files, files.values()))
        assert dict(zip(files, pool.map(storage.read_bytes, files), strict=True)) == files
    reasons = {
        "unavailable": {"ServiceUnavailable"},
        "slow_down": {"SlowDown"},
        "truncated": {"truncated", "connection"},
        "corrupted": {"checksum", "connection"},
        "stalled": {"timeout"},
    }
    assert repeated(before)
    assert set(repeated(before)) <= reasons.get(kind, {"connection"})


@pytest.mark.parametrize(("kind", "times"), [("slow_down", 1), ("lost_answer", 2)])
def test_attempts_do_not_multiply(
    kind: Fault, times: int, folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp sends what is idempotent once more, at once, when a connection breaks; botocore and s3fs try once."""
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "3")
    proxy.share, proxy.kinds = 1, (kind,)
    verbs: list[Callable[[str], object]] = [
        storage.read_bytes,
        lambda uri: storage.write_bytes(uri, b"1"),
        storage.remove,
        storage.list_files,
        storage.identity,
        storage.check_no_folder,
    ]
    for verb in verbs:
        proxy.requests.clear()
        with pytest.raises(StorageError, match=r"attempt 3 of 3, the last.*Start the same command again"):
            verb(storage.join(folder, "a"))
        assert 3 <= proxy.requests.total() <= times * 3


def test_a_batch_is_committed_and_read_back_through_faults(folder: str, proxy: FaultyProxy) -> None:
    proxy.share, proxy.kinds = 0.3, tuple(kind for kind in FAULTS if kind != "stalled")
    asked = [{"id": f"{n:02}", "fingerprint": "f", "status": "ok", "finished_at": provenance.now()} for n in range(12)]
    for n in range(0, 12, 2):
        result_table.commit(folder, asked[n : n + 2])
    assert result_table.read_results(folder, columns=["id"])["id"].to_pylist() == [row["id"] for row in asked]
    assert proxy.faults


@pytest.mark.parametrize("verb", [storage.read_bytes, storage.identity])
def test_what_is_not_there_is_asked_for_once(verb: Callable[[str], object], folder: str, proxy: FaultyProxy) -> None:
    before = storage.retries()
    with pytest.raises(StorageError, match="does not exist"):
        verb(storage.join(folder, "nowhere"))
    assert proxy.requests.total() == 1
    assert not repeated(before)


def test_what_is_forbidden_is_asked_for_once(folder: str, proxy: FaultyProxy) -> None:
    proxy.refuse_key, before = "test", storage.retries()
    verbs: list[tuple[Callable[[str], object], int]] = [
        (storage.read_bytes, 1),
        (storage.identity, 1),
        (storage.check_writable, 1),
        (storage.list_files, 2),  # a file that may not be looked at, then a folder that may not be listed
    ]
    for verb, times in verbs:
        proxy.requests.clear()
        with pytest.raises(StorageError, match=r"no permission.*(AccessDenied|403)"):
            verb(storage.join(folder, "a"))
        assert proxy.requests.total() == times
    assert not repeated(before)


def test_a_store_that_is_down_for_a_moment_is_survived(
    folder: str, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    uri = storage.join(folder, "a")
    proxy.down = MOST - 1
    with caplog.at_level(logging.WARNING, logger="pipeline.storage._retry"):
        storage.write_bytes(uri, b"here")
    assert storage.read_bytes(uri) == b"here"
    said = [record.getMessage() for record in caplog.records if record.name == "pipeline.storage._retry"]
    assert (MOST - 1) // 2 <= len(said) < MOST
    assert f"cannot write {uri}: connection (attempt 1 of {MOST}" in said[0]


def test_a_store_that_stays_down_is_a_clear_error(folder: str, proxy: FaultyProxy) -> None:
    uri = storage.join(folder, "a")
    proxy.down = 1000
    with pytest.raises(StorageError, match=f"cannot write {uri}: .*connection, attempt {MOST} of {MOST}, the last"):
        storage.write_bytes(uri, b"lost")
    proxy.down = 0
    with pytest.raises(StorageError, match="does not exist"):
        storage.read_bytes(uri)


@pytest.mark.slow
def test_a_minute_down_and_stalls_of_ten_seconds_are_survived_by_default(
    folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PATIENCE:
        monkeypatch.delenv(f"NST_STORAGE_{name}")
    uris = [storage.join(folder, str(n)) for n in range(8)]
    proxy.down = 10**9
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(storage.write_bytes, uri, uri.encode()) for uri in uris]
        time.sleep(60)
        proxy.down = 0
        for write in writing:
            write.result()
        proxy.share, proxy.kinds, proxy.stall = 0.3, ("stalled",), 10.0
        assert list(pool.map(storage.read_bytes, uris)) == [uri.encode() for uri in uris]


def test_patience_ends_at_its_deadline(folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_STORAGE_DEADLINE", "0")
    proxy.down = 1000
    with pytest.raises(StorageError, match=f"attempt 1 of {MOST}, the last"):
        storage.read_bytes(storage.join(folder, "a"))


def test_a_broken_page_of_a_listing_is_one_request_more(folder: str, proxy: FaultyProxy) -> None:
    """With a listing repeated as a whole, one of many pages would never come to its end."""
    from moto.s3.models import s3_backends

    bucket, _, prefix = folder.removeprefix("s3://").partition("/")
    for n in range(1001):
        s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}/{n:04}", b"")
    proxy.share, proxy.kinds = 0.5, ("unavailable",)
    assert len(storage.list_files(folder)) == 1001
    assert proxy.requests.total() == 3 + proxy.faults.total()  # whether it is a file, and two pages


def test_requests_at_once_are_few(folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_STORAGE_CONCURRENCY", "2")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: storage.write_bytes(storage.join(folder, str(n)), b"1" * 10_000), range(40)))
    assert proxy.busiest <= 2 + 1  # a connection may end a moment after its answer


def test_credentials_that_expire_are_renewed(folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = storage.join(folder, "a")
    storage.write_bytes(uri, b"1")
    proxy.refuse_key, proxy.refusal, before = "test", "expired", storage.retries()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
    assert storage.read_bytes(uri) == b"1"
    assert repeated(before) == {"ExpiredToken": 1}
    assert storage.identity(uri)  # with the new ones at once
    assert repeated(before).total() == 1


def test_an_answer_without_a_body_expires_too(folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = storage.join(folder, "a")
    storage.write_bytes(uri, b"1")
    proxy.refuse_key, proxy.refusal = "test", "expired"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
    assert storage.identity(uri)


def test_credentials_that_expire_under_many_threads_are_renewed(
    folder: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = [storage.join(folder, str(n)) for n in range(32)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda uri: storage.write_bytes(uri, uri.encode()), uris))
        proxy.refuse_key, proxy.refusal = "test", "expired"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
        assert list(pool.map(storage.read_bytes, uris)) == [uri.encode() for uri in uris]


def test_credentials_that_stay_expired_are_a_clear_error(folder: str, proxy: FaultyProxy) -> None:
    proxy.refuse_key, proxy.refusal = "test", "expired"
    with pytest.raises(StorageError, match=r"no permission.*ExpiredToken"):
        storage.read_bytes(storage.join(folder, "a"))
    assert proxy.requests.total() == 2


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ATTEMPTS", "0", "expected 1 or more"),
        ("ATTEMPTS", "many", "invalid literal"),
        ("DEADLINE", "-1", "expected 0 or more"),
        ("VERIFY", "yes", "expected 0 or 1"),
    ],
)
def test_a_policy_that_is_none_is_a_clear_error(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NST_STORAGE_{variable}", value)
    with pytest.raises(StorageError, match=f"NST_STORAGE_{variable}={value}: .*{said}"):
        storage.read_bytes("/nowhere")
