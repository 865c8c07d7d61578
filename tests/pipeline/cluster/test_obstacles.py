"""Errors of Ray's start, with the types and texts that Ray has for them: what is wrong, and what to do."""

import socket
from pathlib import Path

import pytest
import ray
from ray._private import services
from ray._private.utils import validate_socket_filepath

from jobs.cli import main
from jobs.exit_codes import ExitCode
from pipeline.cluster import connect
from pipeline.cluster.obstacles import Target, obstacle

LOCAL = Target("local")


@pytest.fixture(autouse=True)
def nobody_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def dead_address() -> str:
    """An address of this machine at which nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{nobody.getsockname()[1]}"


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_long_folder_for_temporary_files(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "/tmp/" + "long" * 25
    monkeypatch.setenv(variable, folder)

    def init(*_: object, **__: object) -> None:
        validate_socket_filepath(f"{folder}/ray/session_2026-11-26_03-25-03_913831_9676/sockets/plasma_store")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ValueError, match=rf"^{variable}={folder}: .* 107 are allowed: set RAY_TMPDIR .* at most 42 by"):
        connect("local")


def test_a_long_folder_of_another_cluster_is_not_laid_to_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/short")
    error = OSError(f"validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /{'a' * 120}/s")
    said = obstacle(error, Target("head:6379"))
    assert said == f"Ray cannot start: its socket /{'a' * 120}/s has a path of 123 bytes, and 107 are allowed"


@pytest.mark.parametrize("given", [None, "auto"])
def test_nobody_at_the_address_of_the_environment(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address := dead_address())
    with pytest.raises(ValueError, match=rf"^RAY_ADDRESS={address}: no Ray cluster answers .*start.*or unset RAY_ADD"):
        connect(given)


def test_an_address_that_is_given_outranks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "nowhere:1")
    assert Target.of("head:6379") == Target("head:6379")
    assert Target.of("local") == LOCAL
    assert Target.of(None) == Target("nowhere:1", from_environment=True)


def test_no_cluster_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: None)
    with pytest.raises(ValueError, match=r"^address auto: .*Could not find any running Ray instance.*ray start --head"):
        connect("auto")


def test_the_address_that_a_cluster_has_left_behind_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    address = dead_address()
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: address)
    with pytest.raises(ValueError, match=rf"^address auto: no Ray cluster answers there \({address}: "):
        connect("auto")


@pytest.mark.parametrize(
    "error",
    [
        Exception(
            "The current node timed out during startup. This could happen because some of the raylet failed to startup "
            "or the GCS has become overloaded."
        ),
        RuntimeError(
            "Failed to start GCS.  Last 0 lines of error files:\n\n.Please check /x/gcs_server.out for details"
        ),
        TimeoutError("Timed out after 30 seconds while waiting for node to startup. Did not find socket name s"),
        ConnectionError("Could not read 'session_name' from GCS. Did GCS start successfully?"),
        Exception("Node temp_dir was not found in NodeInfo. did the node's raylet start successfully?"),
    ],
)
def test_a_cluster_of_our_own_that_does_not_come_up(error: Exception, tmp_path: Path) -> None:
    said = obstacle(error, LOCAL)
    assert said is not None
    assert "started on this machine" in said
    assert "out of memory, or busy" in said
    assert "/tmp/ray/session_latest/logs" in said
    assert " ".join(str(error).split())[:200] in said
    assert "no Ray cluster answers there" in str(obstacle(error, Target("head:6379")))


def test_the_address_of_a_dashboard() -> None:
    error = RuntimeError("Module: http does not exist.\nThis module was parsed from Address: http://head:8265")
    said = obstacle(error, Target("http://head:8265", from_environment=True))
    assert said is not None
    assert said.startswith("RAY_ADDRESS=http://head:8265: Ray knows no such scheme")
    assert "nst submit" in said


def test_other_errors_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(*_: object, **__: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(RuntimeError, match=r"^something else$"):
        connect("local")


def test_a_command_ends_with_nothing_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", dead_address())
    (tmp_path / "rows.csv").write_text("content,style\na.png,b.png\n")
    monkeypatch.setattr("sys.argv", ["nst", "run", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.NOTHING_STARTED
    assert "Error: RAY_ADDRESS=127.0.0.1:" in capsys.readouterr().err
