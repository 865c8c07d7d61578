"""A proxy that breaks things on purpose, in front of an S3 server on loopback.

What happens to a request is a function of the seed, its method, its path, and how many like it came before: two runs
meet the same faults, whatever their threads do.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args
from urllib.parse import urlsplit

Passing = Literal["unavailable", "slow_down", "reset", "lost_answer", "truncated", "corrupted", "stalled"]
Fault = Passing | Literal["trickled"]
FAULTS: tuple[Passing, ...] = get_args(Passing)

_REFUSALS = {
    "unavailable": ("503 Service Unavailable", "ServiceUnavailable", "Please try again."),
    "slow_down": ("503 Slow Down", "SlowDown", "Please reduce your request rate."),
    "denied": ("403 Forbidden", "AccessDenied", "Access Denied"),
    "expired": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
}


class FaultyProxy:
    """Serves one request per connection, and spoils a share of them.

    Attributes:
        url: of the proxy, on loopback.
        share: of requests that are spoilt, from 0 to 1.
        kinds: of faults, drawn with equal odds.
        stall: seconds that a stalled request hangs before its connection ends. A trickled answer has a byte every
            tenth of a second for ever, after its head.
        down: this many further connections are refused.
        refuse_key: every request with this access key gets `refusal`: `denied` or `expired`.
        requests: how many came, by method.
        faults: how many were spoilt, by kind.
        busiest: requests at once, at most so far.
    """

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.share, self.seed, self.stall, self.down = 0.0, seed, 1.0, 0
        self.kinds: Sequence[Fault] = FAULTS
        self.refuse_key, self.refusal = "", "denied"
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.busiest = self._busy = 0
        self._seen: Counter[tuple[str, str]] = Counter()
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @contextlib.contextmanager
    def serving(self) -> Iterator["FaultyProxy"]:
        """Serve in a thread of this process until the block ends."""
        started, stop = threading.Event(), asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._serve, sock=self._socket)
            started.set()
            await stop.wait()
            server.close()

        thread = threading.Thread(target=lambda: self._loop.run_until_complete(serve()), daemon=True)
        thread.start()
        started.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            if self.down > 0:
                self.down -= 1
                self.faults["down"] += 1
                _reset(writer)
            else:
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            self._busy -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.requests[method] += 1
        if "100-continue" in fields.get("expect", ""):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        if self.refuse_key and self.refuse_key in fields.get("authorization", ""):
            self.faults[self.refusal] += 1
            writer.write(_refusal(self.refusal, method))
            return
        fault = self._fault(method, target)
        if fault in ("unavailable", "slow_down"):
            writer.write(_refusal(fault, method))
        elif fault == "reset":
            _reset(writer)
        elif fault == "stalled":
            await asyncio.sleep(self.stall)
        else:
            kept = [line for line in lines[:-2] if not line.lower().startswith(("expect:", "connection:"))]
            answer = await self._forward("\r\n".join([*kept, "Connection: close", "", ""]).encode("latin-1") + body)
            if fault == "trickled":
                await _trickle(answer, writer)
            else:
                self._pass_on(fault, answer, writer)

    def _fault(self, method: str, target: str) -> Fault | None:
        nth = self._seen[method, target]
        self._seen[method, target] += 1
        draw = random.Random(f"{self.seed} {method} {target} {nth}")
        if draw.random() >= self.share:
            return None
        fault = draw.choice(self.kinds)
        self.faults[fault] += 1
        return fault

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()

    def _pass_on(self, fault: Fault | None, answer: bytes, writer: asyncio.StreamWriter) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        if fault == "lost_answer" or (fault in ("truncated", "corrupted") and not body):
            _reset(writer)  # after the server did what it was asked
        elif fault == "truncated":
            writer.write(head + b"\r\n\r\n" + body[: len(body) // 2])
        elif fault == "corrupted":
            writer.write(head + b"\r\n\r\n" + body[:-1] + bytes([body[-1] ^ 1]))
        else:
            writer.write(answer)


async def _trickle(answer: bytes, writer: asyncio.StreamWriter) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    for byte in body[:-1]:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)
    await asyncio.Event().wait()


def _refusal(kind: str, method: str) -> bytes:
    status, code, message = _REFUSALS[kind]
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return head.encode() + b"\r\n" + (b"" if method == "HEAD" else body)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a crash does: with a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
