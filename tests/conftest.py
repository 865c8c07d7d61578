"""What all tests share: how hypothesis searches, an S3 server, and a Ray cluster for those that need one."""

import gc
import logging
import os
import socket
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

# No deadline: a shared machine may stall, and that is no failure.
slow = [HealthCheck.too_slow]
examples = int(os.environ.get("NST_EXAMPLES", "25"))
settings.register_profile("nst", deadline=None, max_examples=examples, print_blob=True, suppress_health_check=slow)
settings.load_profile("nst")

# Some shells, and pytest-xdist, give a width: commands would fold their lines, which tests read whole.
os.environ.pop("COLUMNS", None)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes of tests share the CPUs already. Set before torch is loaded, and inherited by what tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Ray gives way to all other processes, and would not get on before those with tests are through.
os.environ.setdefault("RAY_worker_niceness", "0")

gc.disable()  # until there are tests


def pytest_collection_finish() -> None:
    """Search for reference cycles among the objects of tests alone.

    Hundreds of thousands come with packages and with the tests themselves, and stay: a search that looks at each of
    them, again and again while they are loaded, takes half of the time until the first test begins.
    """
    gc.freeze()
    gc.enable()
    # pytest gives each logger that passes nothing on its own handlers, thrice a test, and torch has dozens.
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the cluster of `local_ray`, and let one process of pytest-xdist have each group.

    Its scheduler reads the group behind an @ of a test's id. Its mark `xdist_group` writes that where pytest no longer
    looks: pytest 9.2 keeps ids elsewhere than pytest-xdist 3.8 knows.
    """
    for item in items:
        if isinstance(item, pytest.Function) and "local_ray" in item.fixturenames:
            item.add_marker("ray")
            item.add_marker(pytest.mark.xdist_group("local_ray"))
        group = item.get_closest_marker("xdist_group")
        if group and "PYTEST_XDIST_WORKER" in os.environ:
            item._id = type(item.id).parse(f"{item.nodeid}@{group.args[0]}")


@pytest.fixture(scope="session", autouse=True)
def memory_allowed() -> Iterator[None]:
    """memory:// besides what is allowed by default: each process has one of its own, so that runs cannot use it."""
    from pipeline import storage

    places = (storage.DEFAULT, "memory://")
    with storage.allowing(storage.Allowed(places, places)):
        yield


@pytest.fixture(autouse=True)
def manifests_are_read_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process read manifests, unless a test needs the cluster that others have left it connected to."""
    if "local_ray" not in request.fixturenames:
        monkeypatch.setattr("pipeline.manifest.on_cluster.WORTH_TASKS", 2**60)


@pytest.fixture(autouse=True)
def commands_end_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have interrupted commands raise SystemExit in the process of tests, though it may be connected to a cluster."""
    monkeypatch.setattr("jobs.ending.is_connected", lambda: False)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URI of an empty bucket, on a server of this process, on loopback."""
    import boto3
    import botocore.session
    import moto.backends
    from moto.server import ThreadedMotoServer
    from werkzeug.serving import WSGIRequestHandler

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    access = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    modules = tuple(moto.backends.list_of_moto_modules())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in access.items():
            patch.setenv(name, value)
        # Each client would read what is known of all services anew, and the server its folder for each request.
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        patch.setattr(moto.backends, "list_of_moto_modules", lambda: modules)
        patch.setattr(WSGIRequestHandler, "log_request", lambda *_, **__: None)
        boto3.client("s3").create_bucket(Bucket="studio")
        yield "s3://studio"
    server.stop()


@pytest.fixture(scope="session")
def local_ray(bucket: str) -> Iterator[None]:
    """A cluster of this machine's own, whose processes know the bucket."""
    import ray

    from pipeline.cluster import connection

    connection.connect("local")
    yield
    ray.shutdown()


@pytest.fixture
def without_ray() -> Iterator[None]:
    """Runs of this test compute in this process: which rows they take is the point, not where these are computed."""
    from tests.support import without_ray

    with without_ray.without_ray():
        yield
