"""The storage back end for http:// and https://: hosts and addresses are checked, and every body has an end."""

import contextlib
import contextvars
import functools
import os
import re
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from fsspec.implementations.http import HTTPFileSystem, _file_info
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.storage._access import in_force, max_bytes, who_wants_public
from pipeline.storage._fsspec import AnyStore, within
from pipeline.storage.allowed import Allowed
from pipeline.storage.errors import Barred, check_length

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LISTING_BYTES = 64 * 2**20
"""Bytes that a page of links may have, by which a web server lists a folder."""

_IPV4_WITHIN = IPv6Network("64:ff9b::/96")
"""Addresses that a gateway translates to the IPv4 address in their last 32 bits."""

_NO_HOSTS = tuple(IPv4Network(text) for text in ("168.63.129.16/32", "192.0.0.0/24"))
"""What Python takes for public: Azure's services for a machine itself (other clouds' are link-local), and protocols."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)(.*)", re.DOTALL)
"""Scheme and authority of an address, and what follows them."""

_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
"""A percent sign that begins no escape sequence, and so stands for itself."""

_wanted_public: contextvars.ContextVar[Barred | None] = contextvars.ContextVar("wanted_public", default=None)
"""The error of the request in progress for a host that has no public address; None where any address will do."""


class HttpStore(AnyStore):
    """Files on web servers, read as streams that may be left before their end."""

    def __init__(self, *, seconds: float) -> None:
        """Connect by what this process may open.

        Args:
            seconds: that a request takes at most.
        """
        super().__init__(_file_system(in_force(), os.getpid()), seconds=seconds)

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Read a file or a range of it, also from a server that knows no ranges; aiohttp compares the length."""
        return b"" if end is not None and end <= start else within(self.seconds, self.fs, self._get(path, start, end))

    def _info(self, path: str) -> Mapping[str, Any]:
        """Return what a server tells of a file."""
        return within(self.seconds, self.fs, self._properties(path))

    async def _properties(self, path: str) -> Mapping[str, Any]:
        """Request what a server tells of a file: by HEAD, and where that is refused or tells no length, by GET.

        An address that is signed for GET is refused to HEAD, so that what GET is answered counts. fsspec's own lookup
        takes every error for a missing file.
        """
        session, properties = await self.fs.set_session(), dict[str, Any]()
        with contextlib.suppress(aiohttp.ClientResponseError):
            properties = await _file_info(as_given(path), session, "head")
        if "size" not in properties:
            try:
                properties |= await _file_info(as_given(path), session, "get")
            except aiohttp.ClientResponseError as error:
                if error.status == 404:
                    raise FileNotFoundError(path) from error
                raise
        return {"name": path, "size": None, **properties, "type": "file"}

    async def _get(self, path: str, start: int, end: int | None) -> bytes:
        """Download a file, or as much of it as a range needs."""
        ranged = start > 0 or end is not None
        span = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        session = await self.fs.set_session()
        async with session.get(as_given(path), headers=span) as answer:
            if ranged and answer.status == 416:  # the file ends before `start`, as an empty one always does
                return b""
            self.fs._raise_not_found_for_status(answer, path)
            skipped = 0 if answer.status == 206 else start
            body = await _body(answer, max_bytes(), None if end is None else end - start + skipped)
            return body[skipped:] if skipped else body


def as_given(address: str) -> URL:
    """Return an address whose path and query are sent letter by letter: a signature covers `%2F` and no slash.

    Only what no request may have, such as a space, is escaped.
    """
    match = _ADDRESS.match(address)
    if match is None:
        return URL(address)
    return URL(str(URL(match[1])).rstrip("/") + _sendable(match[2]), encoded=True)


def _sendable(text: str) -> str:
    """Return a part of an address with what no request may have escaped, and all else as it is."""
    return quote(_NO_ESCAPE.sub("%25", text), safe="%/:?#[]@!$&'()*+,;=~")


async def _body(answer: aiohttp.ClientResponse, most: int, wanted: int | None = None) -> bytes:
    """Return the body of an answer, unpacked, or its first `wanted` bytes; the connection is left at once then.

    Raises:
        Barred: if it has more than `most` bytes.
    """
    wanted = None if wanted is None or wanted > most else wanted
    if wanted is None:
        check_length(answer.content_length or 0, most)
    parts, length = [], 0
    async for part in answer.content.iter_any():
        parts.append(part)
        length += len(part)
        if wanted is not None and length >= wanted:
            answer.close()
            break
        if length > most:
            answer.close()
            check_length(length, most)
    return b"".join(parts)[:wanted]


class _Answer(aiohttp.ClientResponse):
    """An answer whose text has an end, as a page of links, and whose redirect leads where it says, letter by letter."""

    @property
    def headers(self) -> "CIMultiDictProxy[str]":
        """The fields of the answer's head."""
        changed = CIMultiDict(super().headers)
        if (place := changed.get("Location")) is not None:
            match = _ADDRESS.match(place)
            changed["Location"] = match[1] + _sendable(match[2]) if match else _sendable(place)
        return CIMultiDictProxy(changed)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the body as text."""
        return (await _body(self, min(_LISTING_BYTES, max_bytes()))).decode(encoding or "utf-8", errors)


class _Connector(aiohttp.TCPConnector):
    """Connects to hosts that may be read: each request and each redirect comes by, and then each address.

    An address is checked where it is connected to, so that no name can have another one by then.
    """

    def __init__(self, allowed: Sequence[Allowed]) -> None:
        super().__init__(socket_factory=_socket)
        self.allowed = allowed

    async def connect(
        self, req: aiohttp.ClientRequest, traces: "list[Trace]", timeout: aiohttp.ClientTimeout
    ) -> "Connection":
        """Check the host of a request, then connect to it, or take an open connection."""
        url = req.url
        token = _wanted_public.set(who_wants_public(self.allowed, url.scheme, url.raw_host or "", url.port))
        try:
            return await super().connect(req, traces, timeout)
        finally:
            _wanted_public.reset(token)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for an address, unless it must be a public one and is not."""
    family, kind, protocol, _, place = address
    error = _wanted_public.get()
    if error and not is_public(str(place[0])):
        raise error
    return socket.socket(family, kind, protocol)


def is_public(address: str) -> bool:
    """Return whether an IP address leads out into the internet, whatever way it is written or wrapped."""
    inner = _unwrapped(ip_address(address.partition("%")[0]))
    local = inner.is_multicast or inner.is_reserved or (isinstance(inner, IPv6Address) and inner.is_site_local)
    return inner.is_global and not local and not any(inner in network for network in _NO_HOSTS)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, IPv4Address):
        return address
    tunnelled = address.teredo[1] if address.teredo else None
    translated = IPv4Address(int(address) & 0xFFFFFFFF) if address in _IPV4_WITHIN else None
    return address.ipv4_mapped or address.sixtofour or tunnelled or translated or address


@functools.lru_cache(maxsize=4)
def _file_system(allowed: tuple[Allowed, ...], process: int) -> Any:
    """Return the file system of fsspec whose connections obey what is allowed; a fork of a process has its own."""
    del process

    async def session(**_: Any) -> aiohttp.ClientSession:
        # What is not packed is counted as it arrives; what a server packs all the same is counted unpacked.
        headers = {"Accept-Encoding": "identity"}
        return aiohttp.ClientSession(
            connector=_Connector(allowed), response_class=_Answer, headers=headers, requote_redirect_url=False
        )

    return HTTPFileSystem(get_client=session, skip_instance_cache=True, use_listings_cache=False)
