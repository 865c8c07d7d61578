"""RayJobs through the API of Kubernetes, which is played by a server on loopback."""

import secrets
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from jobs.exit_codes import ExitCode
from jobs.submit import operator
from jobs.submit.client import ClusterError
from jobs.submit.operator import Kubernetes, has_succeeded
from tests.jobs.submit.support import kubernetes_api
from tests.jobs.submit.support.kubernetes_api import Api


@pytest.fixture
def api() -> Iterator[Api]:
    with kubernetes_api.serving() as server:
        yield server


@pytest.fixture
def there(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubernetes:
    (tmp_path / "token").write_text("first\n")
    monkeypatch.setattr(operator, "LOOK_EVERY", 0.01)
    return Kubernetes(f"http://127.0.0.1:{api.server_port}", "nst", tmp_path)


def job(attempt: int, started_by: str = "") -> dict[str, Any]:
    labels = {"nst/digest": "abc"} | ({"nst/started-by": started_by} if started_by else {})
    return {"metadata": {"name": "night" + (f"-{attempt}" if attempt > 1 else ""), "labels": labels}}


def ends(api: Api, name: str, deployment: str, status: str = "SUCCEEDED") -> None:
    api.jobs[name]["status"] = {"jobDeploymentStatus": deployment, "jobStatus": status}


def test_a_job_that_runs_is_attached_to(api: Api, there: Kubernetes) -> None:
    assert there.submit(job) == ("night", True)
    for state in ("", "Initializing", "Running", "Retrying"):
        ends(api, "night", state)
        assert there.submit(job) == ("night", False)
    assert list(api.jobs) == ["night"]


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_a_job_that_is_over_is_made_again_under_another_name(end: str, api: Api, there: Kubernetes) -> None:
    there.submit(job)
    ends(api, "night", end)
    assert there.submit(job) == ("night-2", True)


def test_two_who_start_it_at_the_same_moment_make_one(api: Api, there: Kubernetes) -> None:
    api.jobs["night"] = {**job(1), "status": {}}
    api.hidden = True  # it was made after this one had looked

    def make(attempt: int) -> dict[str, Any]:
        api.hidden = attempt == 1
        return job(attempt)

    assert there.submit(make) == ("night", False)
    assert len(api.jobs) == 1


def test_a_pod_that_takes_the_place_of_another_starts_nothing_again(api: Api, there: Kubernetes) -> None:
    assert there.submit(lambda attempt: job(attempt, "monday")) == ("night", True)
    ends(api, "night", "Complete")
    assert there.submit(lambda attempt: job(attempt, "monday")) == ("night", False)
    assert there.submit(lambda attempt: job(attempt, "tuesday")) == ("night-2", True)


def test_its_end_is_waited_for_while_the_api_comes_and_goes(api: Api, there: Kubernetes, tmp_path: Path) -> None:
    there.submit(job)
    ends(api, "night", "Complete")
    api.away = 3
    (tmp_path / "token").write_text("renewed")
    assert has_succeeded(there.ended("night"))
    assert {*api.tokens[-4:]} == {"Bearer renewed"}
    ends(api, "night", "Failed", "FAILED")
    assert not has_succeeded(there.ended("night"))


def test_a_job_is_made_although_the_api_is_away_for_a_moment(api: Api, there: Kubernetes) -> None:
    """At two in the morning there is nobody who would start it again."""
    api.away = 3
    assert there.submit(job) == ("night", True)
    assert list(api.jobs) == ["night"]


@pytest.mark.parametrize("said", [b"{", b"<html>", b"", b"\xff"], ids=["half", "of a proxy", "none", "no text"])
def test_an_answer_that_is_no_json_is_none(said: bytes, api: Api, there: Kubernetes) -> None:
    api.away, api.answers_away = 3, (200, said)
    assert there.submit(job) == ("night", True)


def test_that_the_api_is_waited_for_is_said_once(
    api: Api, there: Kubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    api.away = 3
    there.submit(job)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: Kubernetes did not GET a RayJob: etcd is away. Waiting up to 10 min")


def certificate(folder: Path) -> Path:
    """Write a key and a certificate for localhost that it signs itself, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / f"{secrets.token_hex(4)}.pem"
    file.write_bytes(private + made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return file


def test_a_wrong_certificate_is_told_at_once(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever shows one is not the API, and waiting for ten minutes makes no other of it."""
    monkeypatch.setattr(operator, "PATIENCE", 0.0)
    ours, others = certificate(tmp_path), certificate(tmp_path)
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(ours)
    api.socket = secured.wrap_socket(api.socket, server_side=True)
    (tmp_path / "token").write_text("a token")
    there = Kubernetes(f"https://localhost:{api.server_port}", "nst", tmp_path)
    (tmp_path / "ca.crt").write_bytes(others.read_bytes())
    with pytest.raises(ClusterError, match=r"expected a certificate of .*ca\.crt") as refused:
        there.submit(job)
    assert not hasattr(refused.value, "exit_code")
    (tmp_path / "ca.crt").write_bytes(ours.read_bytes())
    assert there.submit(job) == ("night", True)


def test_what_the_api_refuses_is_said(api: Api, there: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="did not GET a RayJob: not found"):
        there.ended("deleted")
    monkeypatch.setattr(operator, "PATIENCE", 0.0)
    api.away = 100
    with pytest.raises(ClusterError, match="etcd is away") as away:
        there.ended("night")
    assert vars(type(away.value))["exit_code"] == ExitCode.BROKEN_OFF
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match="nst render kubernetes"):
        Kubernetes.of_this_pod("nst")
