"""The page over HTTP on this machine: of a finished run, wherever its output is, or of one that goes on.

It is for whoever sits at this machine: the server listens on the loopback interface, answers nothing but GET and HEAD,
and reads nothing but the report, the pictures and the progress of one output.
"""

import contextlib
import functools
import http.server
import json
import logging
import mimetypes
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import resources
from types import TracebackType
from typing import Self

from pipeline import storage
from pipeline.outputs import layout, parts, provenance
from pipeline.report.page import write_report

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
"""Names under which the server answers: any other is that of a page elsewhere, which a name server leads here."""

EVERY_SECONDS = 10.0
"""Seconds between two looks at whether rows have finished, of a page that is kept up to date."""

SHARE = 0.1
"""Share of the time that making the page anew may take."""

LIVE = "live.js"
"""The script that keeps a served page up to date; a page on disk or in storage does not have it."""

THUMBNAIL_SECONDS = 20.0

KNOWN_SECONDS = 2.0
"""Seconds for which the output of a run that goes on is taken to be where it was."""

QUIET_SECONDS, LINGER_SECONDS = 1.0, 10.0
"""Seconds without a request after which a browser has loaded what it was loading when the run ended, and at most."""

POLL_SECONDS = 0.05
"""Seconds between two looks of the server at whether it shall end."""

WAITING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nst: no rows yet</title></head>
<body><main><h1>No row has finished yet</h1><p>The page appears here by itself.</p></main></body></html>"""

AT_WORK = (
    '<p id="live" role="status" style="position:fixed;right:1rem;bottom:1rem;margin:0;padding:.4rem .9rem;'
    "border-radius:2rem;background:#1f1c18;color:#fff;font:600 .8125rem/1.5 system-ui,sans-serif;z-index:9;"
    'box-shadow:0 4px 18px rgb(0 0 0/.35)">A run is at work</p>'
)
"""What a served page of a run that goes on says above everything else; `live.js` puts its numbers there."""

log = logging.getLogger(__name__)


class _Server(http.server.ThreadingHTTPServer):
    """A server whose failed requests are no lines on the terminal: browsers leave in the middle of pictures."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Note why a request failed."""
        log.debug("a request of %s failed", client_address, exc_info=True)


class Served:
    """A server of the page of an output, while its `with` block lasts."""

    def __init__(
        self,
        output: Callable[[], str | None],
        *,
        port: int = 0,
        progress: str | None = None,
        hourly_price: float | None = None,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            output: returns the output; None where there is none yet.
            port: to listen on; 0: any that is free.
            progress: the file that says how far the run is, of one that goes on: the page is made anew as rows finish.
            hourly_price: dollars for an hour of one device, for pages that are made anew.
        """
        self.progress, self._price, self._began_at = progress, hourly_price, provenance.now()
        self._output, self._known, self._looked = output, None if progress else output(), -KNOWN_SECONDS
        self._over = threading.Event()
        self._lock, self._answering, self._last_request = threading.Lock(), 0, -QUIET_SECONDS
        try:
            self._server = _Server((HOST, port), self._handler())
        except OSError as error:
            raise ValueError(f"--port {port}: {error.strerror}: expected one that is free, or 0 for any") from error
        serve = functools.partial(self._server.serve_forever, POLL_SECONDS)
        self._threads = [threading.Thread(target=serve, name="page", daemon=True)]
        if progress:
            self._threads.append(threading.Thread(target=self._renew, name="page anew", daemon=True))

    @property
    def live(self) -> bool:
        """Whether the run goes on."""
        return self.progress is not None

    def output(self) -> str | None:
        """Return the output as it was a moment ago: to look for it may be a listing, and a page asks for many files."""
        if self.live and time.monotonic() - self._looked > KNOWN_SECONDS:
            try:
                self._known = self._output()
            except storage.StorageError as error:
                log.debug("the output could not be looked for: %s", error)
            self._looked = time.monotonic()
        return self._known

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self._server.server_port}/"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads[1:]:
            thread.join()  # a page that is being made is whole before anybody makes the last one
        if self.live:
            self._linger()
        self._server.shutdown()
        self._server.server_close()
        self._threads[0].join()

    def _linger(self) -> None:
        """Wait until browsers have what they are loading: the last page deletes the files of the one before it."""
        until = time.monotonic() + LINGER_SECONDS
        while (now := time.monotonic()) < until:
            with self._lock:
                if not self._answering and now - self._last_request > QUIET_SECONDS:
                    return
            time.sleep(0.05)

    def _renew(self) -> None:
        """Make the page anew whenever rows have finished, but not more often than a tenth of the time allows."""
        known: list[str] = []
        pause = min(1.0, EVERY_SECONDS)
        while not self._over.wait(pause):
            pause = EVERY_SECONDS
            began = time.monotonic()
            try:
                output = self.output()
                if not output or (there := parts(output)) == known or not there:
                    continue
                write_report(output, hourly_price=self._price, thumbnail_seconds=THUMBNAIL_SECONDS, keep_last=True)
                known = there
            except Exception as error:  # the next one may succeed, and the run does not depend on it
                log.warning("the page could not be made: %s", error)
            pause = max(EVERY_SECONDS, (time.monotonic() - began) / SHARE)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Count a request as one that is being answered, in this block."""
        with self._lock:
            self._answering += 1
        try:
            yield
        finally:
            with self._lock:
                self._answering -= 1
                self._last_request = time.monotonic()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return what is at a path: the code, the type of the content, and the content.

        Args:
            path: of the address, as the browser sends it.
        """
        name = urllib.parse.unquote(urllib.parse.urlsplit(path).path).lstrip("/")
        output = self.output()
        if name == LIVE:
            return 200, "text/javascript", (resources.files("pipeline.report") / "static" / LIVE).read_bytes()
        if name == "":
            return (
                200,
                "text/html; charset=utf-8",
                b'<!doctype html><meta http-equiv="refresh" content="0;url=report/">',
            )
        if name in ("report/", f"report/{layout.HOME}"):
            return 200, "text/html; charset=utf-8", self._page(output)
        if output is None or ".." in name.split("/") or "\\" in name:
            return 404, "text/plain", b"not found"
        if name == "progress.json":
            place = self.progress or layout.progress_file(output)
            output = storage.parent(place)
        elif name.startswith("report/"):
            place = storage.join(layout.report_folder(output), name.removeprefix("report/"))
        elif name.startswith("images/"):
            place = storage.join(layout.images_folder(output), name.removeprefix("images/"))
        else:
            return 404, "text/plain", b"not found"
        try:
            if not storage.is_within(storage.canonical(place), storage.canonical(output)):  # a link leads elsewhere
                return 404, "text/plain", b"not found"
            data = storage.read_bytes(place)
            if name == "progress.json" and self.live and not self._is_of_this_run(data):
                return 404, "text/plain", b"not found"
            return 200, mimetypes.guess_type(name)[0] or "application/octet-stream", data
        except (storage.StorageError, OSError, ValueError):  # also a name that no file can have
            return 404, "text/plain", b"not found"

    def _is_of_this_run(self, progress: bytes) -> bool:
        """Return whether the contents of a progress file are not those that an earlier run has left."""
        updated_at = json.loads(progress).get("updated_at")
        return not updated_at or datetime.fromisoformat(updated_at) >= self._began_at.replace(microsecond=0)

    def _page(self, output: str | None) -> bytes:
        """Return the page with the script that keeps it up to date, or one that waits for it."""
        text = WAITING
        if output:
            try:
                text = storage.read_bytes(storage.join(layout.report_folder(output), layout.HOME)).decode()
            except storage.StorageError:
                text = WAITING
        if not self.live:
            return text.encode()
        stamp = "".join(re.findall(r"data/index-0\.(\w+)\.js", text)[:1])
        script = f'{AT_WORK}<script defer src="/{LIVE}" data-stamp="{stamp}"></script></body>'
        text = text.replace("default-src 'none';", "default-src 'none'; connect-src 'self';", 1)
        return text.replace("</body>", script, 1).encode()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        """Return the class of what answers a request."""
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers GET and HEAD; http.server refuses all else."""

            def do_GET(self) -> None:
                """Send what is at the path."""
                self._send(body=True)

            def do_HEAD(self) -> None:
                """Send the head of what is at the path."""
                self._send(body=False)

            def _send(self, *, body: bool) -> None:
                with served.answering():
                    self._send_answer(body=body)

            def _send_answer(self, *, body: bool) -> None:
                named = urllib.parse.urlsplit(f"//{self.headers.get('Host', '')}").hostname
                code, kind, data = served.answer(self.path) if named in NAMES else (421, "text/plain", b"not here")
                self.send_response(code)
                for name, value in (("Content-Type", kind), ("Content-Length", str(len(data)))):
                    self.send_header(name, value)
                changes = kind.startswith(("text/html", "application/json"))
                self.send_header("Cache-Control", "no-store" if changes else "max-age=60")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Write to the log, not to the terminal."""
                log.debug(format, *args)

        return Handler
