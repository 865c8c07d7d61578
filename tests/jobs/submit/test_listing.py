"""Jobs of a cluster, listed over HTTP from a job server on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.jobs.test_cli import nst


class JobServer(ThreadingHTTPServer):
    """A job server with one job of this project; `asked` has the path of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the list of jobs."""

    server: JobServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        notes = {"nst_name": "night", "nst_digest": "d", "nst_kind": "grid", "nst_attempt": "1", "nst_output": "/none"}
        body = json.dumps([{"submission_id": "night-d", "status": "RUNNING", "metadata": notes}]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[JobServer]:
    found = JobServer()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.mark.parametrize("words", [["status"], ["status", "night"], ["jobs"]])
def test_a_command_lists_the_jobs_once(words: list[str], server: JobServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert nst(*words, "--address", f"http://127.0.0.1:{server.server_port}") == 0
    assert "night-d" in capsys.readouterr().out
    assert server.asked == ["/api/jobs/"]
