"""The API of Kubernetes, as far as RayJobs of one namespace go, played by a server on loopback."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

JOBS = "/apis/ray.io/v1/namespaces/nst/rayjobs"


class Api(ThreadingHTTPServer):
    """A server of RayJobs.

    Attributes:
        jobs: that it has, by name.
        tokens: with which it was asked.
        away: number of answers that are errors, before it answers.
        answers_away: what it answers as long: a code and a body.
        hidden: whether it lists no jobs, as one that was asked before they were made.
        becomes: what the operator makes of each new job.
        refuses: with what code it answers whoever would make one; 0: it does not refuse.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.tokens: list[str] = []
        self.away = 0
        self.answers_away: tuple[int, bytes] = (503, b'{"message": "etcd is away"}')
        self.hidden = False
        self.becomes: dict[str, str] = {}
        self.refuses = 0


class Handler(BaseHTTPRequestHandler):
    """Answers for RayJobs of one namespace."""

    server: Api

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, code: int, body: object) -> None:
        self.send(code, json.dumps(body).encode())

    def send(self, code: int, text: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        if self.server.away:
            self.server.away -= 1
            return self.send(*self.server.answers_away)
        where = urlsplit(self.path)
        if where.path == JOBS:
            wanted = dict(pair.split("=") for pair in parse_qs(where.query)["labelSelector"][0].split(","))
            items = [] if self.server.hidden else [*self.server.jobs.values()]
            return self.answer(
                200, {"items": [job for job in items if wanted.items() <= job["metadata"]["labels"].items()]}
            )
        job = self.server.jobs.get(where.path.removeprefix(f"{JOBS}/"))
        return self.answer(200, job) if job else self.answer(404, {"message": "not found", "reason": "NotFound"})

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refuses:
            return self.answer(self.server.refuses, {"message": "rayjobs.ray.io is forbidden", "reason": "Forbidden"})
        name = job["metadata"]["name"]
        if name in self.server.jobs:
            return self.answer(409, {"reason": "AlreadyExists", "message": f"{name} exists"})
        self.server.hidden = False
        self.server.jobs[name] = {**job, "status": dict(self.server.becomes)}
        return self.answer(201, job)


@contextlib.contextmanager
def serving() -> Iterator[Api]:
    """Serve an API without jobs, until the end of the block."""
    server = Api()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
