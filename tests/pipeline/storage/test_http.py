"""Web servers: public addresses alone unless a host is named, also behind redirects and names; bodies have an end."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import storage
from pipeline.planning import Failure, headers
from pipeline.storage import Allowed, Refused, _http
from pipeline.storage._http import is_public
from tests.pipeline.storage.support.web import BODY, Server


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    both = Server(), Server()
    yield both
    for server in both:
        server.close()


@pytest.fixture
def server(servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that is named, so that it may be on loopback."""
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "1")
    servers[0].seen.clear()
    servers[1].seen.clear()
    with storage.allowing(Allowed((storage.DEFAULT, servers[0].url), (), 5000)):
        yield servers[0]


REFUSED_BY_AIOHTTP = [
    "http://2130706433:{}",
    "http://0177.0.0.1:{}",
    "http://127.1:{}",
    "http://0:{}",
    "http://127.0.0.1.:{}",
]
"""By its newer versions, before they look up a name."""

SPELLINGS = [
    *REFUSED_BY_AIOHTTP,
    "http://127.0.0.1:{}",
    "http://localhost:{}",
    "http://0x7f000001:{}",
    "http://0.0.0.0:{}",
    "http://[::1]:{}",
    "http://[::ffff:127.0.0.1]:{}",
    "http://[::ffff:7f00:1]:{}",
    "http://user:secret@127.0.0.1:{}",
    "http://①②⑦.⓪.⓪.①:{}",
    "HTTP://127.0.0.1:{}",
    "https://127.0.0.1:{}",
    "http://169.254.169.254",
    "http://10.0.0.1:{}",
    "http://[fe80::1%25lo]:{}",
    "http://[64:ff9b::7f00:1]:{}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_private_address_is_reached(spelling: str, servers: tuple[Server, Server]) -> None:
    servers[0].seen.clear()
    uri = spelling.format(servers[0].port) + "/whole"
    with storage.allowing(Allowed()):
        for open_it in (storage.read_bytes, storage.identity, lambda uri: storage.read_bytes(uri, end=9)):
            with pytest.raises(storage.StorageError) as refused:
                open_it(uri)
            assert isinstance(refused.value, Refused) or spelling in REFUSED_BY_AIOHTTP
            assert "secret" not in str(refused.value).replace(uri, "")
    assert servers[0].seen == []


def test_a_host_that_is_named_may_have_any_address(server: Server, servers: tuple[Server, Server]) -> None:
    assert storage.read_bytes(f"{server.url}/whole") == BODY
    with pytest.raises(Refused, match=f"to allow it, give .* --allow-read {servers[1].url}"):
        storage.read_bytes(f"{servers[1].url}/whole")
    with pytest.raises(Refused):
        storage.read_bytes(f"http://localhost:{server.port}/whole")
    with storage.allowing(Allowed(("http://localhost",), ())):
        assert storage.read_bytes(f"http://LOCALHOST:{server.port}/whole") == BODY
        with pytest.raises(Refused, match="not among the places that may be read"):
            storage.read_bytes(f"{server.url}/whole")
    assert servers[1].seen == []


def test_what_was_allowed_is_not_kept_open(server: Server) -> None:
    assert storage.read_bytes(f"{server.url}/whole") == BODY
    with storage.allowing(Allowed()), pytest.raises(Refused):
        storage.read_bytes(f"{server.url}/whole")


@pytest.mark.parametrize("where", ["http://127.0.0.1:{}/whole", "http://localhost:{}/whole", "//0x7f000001:{}/whole"])
def test_a_redirect_leads_nowhere_else(where: str, server: Server, servers: tuple[Server, Server]) -> None:
    assert storage.read_bytes(f"{server.url}/redirect?/whole") == BODY
    for open_it in (storage.read_bytes, storage.identity):
        with pytest.raises(Refused, match="loopback, private or link-local"):
            open_it(f"{server.url}/redirect?{where.format(servers[1].port)}")
    assert servers[1].seen == []


def test_a_redirect_to_a_file_is_none(server: Server) -> None:
    with pytest.raises(storage.StorageError):
        storage.read_bytes(f"{server.url}/redirect?file:///etc/hostname")


def test_a_name_is_checked_where_it_is_connected_to(
    server: Server, servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a name meant before: what counts is the address of the connection."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    looked_up = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **named: Any) -> Any:
        return looked_up(next(answers) if host == "rebinding.example" else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert is_public(str(socket.getaddrinfo("rebinding.example", 80)[0][4][0]))
    with pytest.raises(Refused, match=r"http://rebinding.example:.* has a loopback"):
        storage.read_bytes(f"http://rebinding.example:{servers[1].port}/whole")
    assert servers[1].seen == []


def test_a_refusal_is_final(server: Server, servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "9")
    before = storage.repeated()
    with pytest.raises(Refused):
        storage.read_bytes(f"{servers[1].url}/whole")
    assert storage.repeated() == before


@pytest.mark.parametrize("name", ["whole", "ranges"])
def test_ranges_are_read_also_where_a_server_knows_none(name: str, server: Server) -> None:
    uri = f"{server.url}/{name}"
    assert storage.read_bytes(uri, end=7) == BODY[:7]
    assert storage.read_bytes(uri, start=5, end=600) == BODY[5:600]
    assert storage.read_bytes(uri, start=1000) == BODY[1000:]
    assert storage.read_bytes(uri, start=1000, end=9000) == BODY[1000:]
    assert storage.read_bytes(uri, start=9000, end=9999) == storage.read_bytes(uri, start=3, end=3) == b""


@pytest.mark.parametrize("name", ["endless", "bomb"])
def test_a_body_without_end_is_left(name: str, server: Server) -> None:
    for end in (None, 6000):
        with pytest.raises(Refused, match="more than the 5,000 bytes that are read of a file"):
            storage.read_bytes(f"{server.url}/{name}", end=end)
    assert storage.read_bytes(f"{server.url}/{name}", end=100) == bytes(100)
    shape = headers.shapes_of([f"{server.url}/{name}"])[0]
    assert isinstance(shape, Failure)
    assert "more than the 5,000 bytes" in shape.error


def test_a_large_body_is_not_begun(server: Server) -> None:
    with storage.allowing(Allowed((server.url,), (), 1023)), pytest.raises(Refused, match="more than the 1,023 bytes"):
        storage.read_bytes(f"{server.url}/whole")


def test_what_a_server_packs_is_unpacked(server: Server) -> None:
    assert storage.read_bytes(f"{server.url}/packed") == BODY


def test_a_body_that_is_cut_short_is_none(server: Server) -> None:
    with pytest.raises(storage.StorageError, match="truncated"):
        storage.read_bytes(f"{server.url}/short")


def test_what_is_missing_is_not_found(server: Server) -> None:
    with pytest.raises(storage.NotFound):
        storage.read_bytes(f"{server.url}/nowhere")


@pytest.mark.parametrize("open_it", [storage.identity, storage.size, storage.list_files])
def test_an_error_of_a_server_is_no_missing_file(
    open_it: Callable[[str], object], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    vars(server.http)["failures"] = 10**9
    for name, status in (("broken", 500), ("forbidden", 403)):
        with pytest.raises(storage.StorageError, match=f": ClientResponseError: {status}") as failed:
            open_it(f"{server.url}/{name}")
        assert not isinstance(failed.value, storage.NotFound)
    monkeypatch.setenv("NST_STORAGE_ATTEMPTS", "3")
    monkeypatch.setenv("NST_STORAGE_FIRST_DELAY", "0")
    vars(server.http)["failures"] = 3
    before = storage.repeated()
    assert open_it(f"{server.url}/broken")
    assert storage.repeated() == before + 1
    with pytest.raises(storage.NotFound):
        open_it(f"{server.url}/nowhere")


def test_an_address_that_is_signed_for_get_is_looked_at_all_the_same(server: Server) -> None:
    assert storage.size(f"{server.url}/for/get") == len(BODY)
    assert storage.list_files(f"{server.url}/for/get") == [f"{server.url}/for/get"]


SENT = [
    ("?X-Amz-Credential=A%2Feu%2Fs3&a=%3D%26+%20", "?X-Amz-Credential=A%2Feu%2Fs3&a=%3D%26+%20"),
    ("?a=%2f%7e%41&b=c/d?e:f@g", "?a=%2f%7e%41&b=c/d?e:f@g"),
    ("?name=my photo é 50%&c", "?name=my%20photo%20%C3%A9%2050%25&c"),
    ("?a=b#fragment", "?a=b"),
]
"""What stands behind a path, and what a server gets of it."""


@pytest.mark.parametrize(("given", "sent"), SENT)
def test_what_a_signature_covers_is_sent_letter_by_letter(given: str, sent: str, server: Server) -> None:
    assert storage.read_bytes(f"{server.url}/whole{given}") == BODY
    assert storage.read_bytes(f"{server.url}/whole{given}", end=3) == BODY[:3]
    assert storage.identity(f"{server.url}/whole{given}")
    assert server.seen == [f"GET /whole{sent}"] * 2 + [f"HEAD /whole{sent}"]


@pytest.mark.parametrize(("given", "sent"), SENT[:3])
@pytest.mark.parametrize("host", ["", "{url}"])
def test_a_redirect_to_a_signed_address_is_sent_letter_by_letter(
    host: str, given: str, sent: str, server: Server
) -> None:
    where = f"{host.format(url=server.url)}/whole{given}"
    if not where.isascii():
        where = where.replace("é", "%C3%A9")
    vars(server.http)["location"] = where
    try:
        assert storage.read_bytes(f"{server.url}/redirect") == BODY
    finally:
        del vars(server.http)["location"]
    assert server.seen == ["GET /redirect", f"GET /whole{sent}"]


def test_a_path_is_sent_letter_by_letter(server: Server) -> None:
    for path in ("/a%2Fb%20c", "/a//b", "/%e2%82%ac"):
        with pytest.raises(storage.NotFound):
            storage.read_bytes(server.url + path)
    assert server.seen == ["GET /a%2Fb%20c", "GET /a//b", "GET /%e2%82%ac"]


def test_a_page_of_links_is_a_folder(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry.uri for entry in storage.walk(f"{server.url}/folder/")]
    assert found == [f"{server.url}/folder/a.jpg", f"{server.url}/folder/b.jpg"]
    monkeypatch.setattr(_http, "_LISTING_BYTES", 10)
    with pytest.raises(Refused, match="more than the 10 bytes"):
        list(storage.walk(f"{server.url}/folder/"))


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.255.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("100.100.100.200", "198.18.0.1", "192.0.0.8", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "2002:7f00:1::", "2002:0a00:0001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    ],
)
def test_addresses_that_lead_to_a_machine_or_its_neighbours(address: str) -> None:
    assert not is_public(address)
