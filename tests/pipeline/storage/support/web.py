"""A web server on loopback with a few files, among them hostile ones."""

import functools
import gzip
import http.server
import threading
import zlib
from typing import Any

BODY = bytes(range(256)) * 4


@functools.cache
def bomb() -> bytes:
    """64 MB of zeroes, packed to a thousandth."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packed.compress(bytes(2**20)) for _ in range(64)) + packed.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    """A server of a few files, among them hostile ones."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append(f"{self.command} {self.path}")
        getattr(self, f"serve_{self.path.partition('?')[0].strip('/').replace('/', '_') or 'index'}", self.missing)()

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self) -> None:
        self.answer(b"", 404)

    def serve_file(self) -> None:
        """Serves what a test has given."""
        server: Any = self.server
        self.answer(server.file)

    def serve_whole(self) -> None:
        """Ignores ranges."""
        self.answer(BODY)

    def serve_ranges(self) -> None:
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(BODY)
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        part = BODY[int(start) : int(end) + 1 if end else None]
        return self.answer(part, 206) if part else self.answer(b"", 416)

    def serve_short(self) -> None:
        self.answer(BODY[:100], Content_Length="1024")
        self.close_connection = True

    def serve_endless(self) -> None:
        self.answer(b"", Content_Length="", Connection="close")
        self.close_connection = True
        while self.command != "HEAD":
            try:
                self.wfile.write(bytes(65536))
            except OSError:
                return

    def serve_bomb(self) -> None:
        self.answer(bomb(), Content_Encoding="gzip")

    def serve_packed(self) -> None:
        self.answer(gzip.compress(BODY), Content_Encoding="gzip")

    def serve_folder(self) -> None:
        self.answer(b'<a href="a.jpg">a</a> <a href="b.jpg">b</a>', Content_Type="text/html")

    def serve_broken(self) -> None:
        """Fails, as a server that is overloaded, as often as a test says."""
        server: Any = self.server
        server.failures -= 1
        self.answer(BODY, 200 if server.failures < 0 else 500)

    def serve_for_get(self) -> None:
        """Refuses HEAD, as a store does whose address is signed for GET."""
        self.answer(b"", 403) if self.command == "HEAD" else self.answer(BODY)

    def serve_forbidden(self) -> None:
        self.answer(b"", 403)

    def serve_redirect(self) -> None:
        self.answer(b"", 302, Location=vars(self.server).get("location") or self.path.partition("?")[2])


class Server:
    """A web server on loopback.

    Attributes:
        port: that it listens at.
        seen: its requests.
    """

    def __init__(self, file: bytes = b"") -> None:
        self.seen: list[str] = []
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        vars(self.http).update(seen=self.seen, file=file, failures=10**9)
        self.port = int(self.http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
