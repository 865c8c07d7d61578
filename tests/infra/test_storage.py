"""The rights that a bucket gives: those that the code needs, and no others."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs

from jobs.pictures import draw
from pipeline import storage
from pipeline.images import encode
from pipeline.outputs import read_results
from pipeline.recovery import RunLock
from tests.faults.support import rgw
from tests.infra.support import manifests
from tests.support import REPOSITORY

FOLDER = REPOSITORY / "infra" / "storage"
POLICY: dict[str, Any] = json.loads((FOLDER / "policy.json").read_text("utf-8"))
BUCKET = "nst-studio"

ACTIONS = {
    "head_object": {"s3:GetObject"},
    "get_object": {"s3:GetObject", "s3:GetObjectVersion"},
    "put_object": {"s3:PutObject"},
    "delete_object": {"s3:DeleteObject"},
    "delete_objects": {"s3:DeleteObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
}
"""By request of S3's API, the actions that it takes."""


def test_the_policy_allows_what_the_code_does_and_no_more() -> None:
    files = sorted((REPOSITORY / "pipeline" / "storage").glob("_s3*.py"))
    source = "".join(file.read_text("utf-8") for file in files)
    requests = set(re.findall(r'\b_?call\w*\(\s*"(\w+)"', source))
    assert requests <= set(ACTIONS)
    needed = set().union(*(ACTIONS[request] for request in requests))
    assert {action for one in POLICY["Statement"] for action in one["Action"]} == needed
    assert {one["Effect"] for one in POLICY["Statement"]} == {"Allow"}
    # Actions on a bucket are not given by what is said of its objects, nor the other way round.
    for one in POLICY["Statement"]:
        is_of_bucket = {action.startswith("s3:ListBucket") for action in one["Action"]}
        assert is_of_bucket == {"/" not in one["Resource"]}, one["Sid"]


def test_the_policy_and_the_operators_file_say_the_same() -> None:
    said = manifests.access()
    written = {
        f"s3://{one['Resource'].removeprefix('arn:aws:s3:::').removesuffix('/*')}"
        for one in POLICY["Statement"]
        if "s3:PutObject" in one["Action"]
    }
    assert written == set(said["allow_write"])
    assert f"s3://{BUCKET}" in said["allow_read"]


def test_a_store_takes_the_life_cycle(bucket: str) -> None:
    client, rules = boto3.client("s3"), json.loads((FOLDER / "lifecycle.json").read_text("utf-8"))
    name = bucket.removeprefix("s3://").split("/")[0]
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=rules)
    assert len(client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]) == len(rules["Rules"])
    client.delete_bucket_lifecycle(Bucket=name)
    # A rule for what runs delete themselves would take work in progress.
    expired = [rule["Filter"]["Prefix"] for rule in rules["Rules"] if "Expiration" in rule]
    assert expired == ["output/scratch/"]


def test_what_nobody_deletes_otherwise_is_deleted() -> None:
    rules = {rule["ID"]: rule for rule in json.loads((FOLDER / "lifecycle.json").read_text("utf-8"))["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    unfinished = rules["uploads-that-were-never-finished"]
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert unfinished["Filter"] == {"Prefix": ""}  # a store that knows prefixes alone takes no empty filter
    older = rules["older-versions-of-results"]
    assert older["NoncurrentVersionExpiration"] == {"NoncurrentDays": 14}  # two weeks, as the operations guide says
    assert older["Filter"] == {"Prefix": "output/"}
    assert rules["scratch-of-self-tests"]["Expiration"] == {"Days": 3}


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The credentials of a user who has the rights of the policy, in a bucket of somebody else."""
    with rgw.serving(tmp_path / "rgw") as gateway:
        for name, value in gateway.environment.items():
            monkeypatch.setenv(name, value)
        owner = boto3.Session().client("s3")  # the usual one keeps credentials of earlier tests
        owner.create_bucket(Bucket=BUCKET)
        owner.create_bucket(Bucket="others")
        owner.put_object(Bucket=BUCKET, Key="contents/a.png", Body=b"a picture")
        for name in ("lake", "night"):
            owner.put_object(Bucket=BUCKET, Key=f"contents/{name}.png", Body=encode(draw(name, 48), metadata={}))
        rows = "id,content,style\ngood,lake.png,night.png\nmissing,none.png,night.png\n"
        owner.put_object(Bucket=BUCKET, Key="contents/rows.csv", Body=rows.encode())
        gateway.add_user("member", "membersaccesskey", "memberssecretkey")
        statements = [{**one, "Principal": {"AWS": "arn:aws:iam:::user/member"}} for one in POLICY["Statement"]]
        owner.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({**POLICY, "Statement": statements}))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "membersaccesskey")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "memberssecretkey")
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()


genuine = pytest.mark.skipif(not rgw.installed(), reason="needs Debian's radosgw, ceph-mon and ceph-osd")


@pytest.mark.slow
@genuine
def test_these_rights_are_enough_and_hold(member: None) -> None:
    output = f"s3://{BUCKET}/output/night"
    assert storage.read_bytes(f"s3://{BUCKET}/contents/a.png") == b"a picture"
    with RunLock(output):
        storage.check_writable(f"{output}/images")
        storage.write_bytes(f"{output}/images/a.png", b"new")
        assert storage.exists(f"{output}/images/a.png")
        assert not storage.exists(f"{output}/images/b.png")  # and not: forbidden
        storage.remove(f"{output}/images/a.png")
    for place in (f"s3://{BUCKET}/contents/a.png", "s3://others/x"):
        with pytest.raises(storage.StorageError):
            storage.write_bytes(place, b"mine now")
    with pytest.raises(storage.StorageError):
        storage.remove(f"s3://{BUCKET}/contents/a.png")
    with pytest.raises(storage.StorageError):
        storage.read_bytes("s3://others/x")


def nst(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.ray
@genuine
def test_a_whole_run_needs_no_more(member: None) -> None:
    output, manifest = f"s3://{BUCKET}/output/night", f"s3://{BUCKET}/contents/rows.csv"
    words = ("run", manifest, "--set", "size=48", "--set", "iterations=5", "--num-actors", "1", "--output")
    elsewhere = nst(*words, f"s3://{BUCKET}/contents/night")
    assert elsewhere.returncode == 2, elsewhere.stderr
    assert "AccessDenied" in elsewhere.stderr
    done = nst(*words, output)
    assert done.returncode == 1, done.stderr
    rows = {row["id"]: row for row in read_results(output).to_pylist()}
    assert {id: row["status"] for id, row in rows.items()} == {"good": "ok", "missing": "failed"}
    assert "does not exist" in rows["missing"]["error"]  # and not: forbidden
    assert storage.read_bytes(rows["good"]["output"])
    for name in ("report/index.html", "run.json", "progress.json"):
        assert storage.exists(f"{output}/{name}"), name
    assert [uri for uri in storage.list_files(output) if "run.lock" in uri or "/ledger/" in uri] == []
    again = nst(*words, output)
    assert "1 done before" in again.stdout, again.stderr
