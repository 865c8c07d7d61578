"""What passes by itself and what is final, told from the errors that libraries raise; checksums that are none."""

import asyncio
import errno
import socket
import ssl

import aiohttp
import botocore.exceptions as boto
import pytest
import urllib3.exceptions
from fsspec.asyn import get_loop
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.storage._retry import request_slot
from pipeline.storage._s3 import S3Store
from pipeline.storage.errors import expired, transient


def answer(code: str, status: int) -> boto.ClientError:
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(said, "GetObject")


def http(status: int) -> aiohttp.ClientResponseError:
    request = aiohttp.RequestInfo(URL("http://a"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://a"))
    return aiohttp.ClientResponseError(request, (), status=status)


def after(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CASES: list[tuple[Exception, str | None]] = [
    (answer("SlowDown", 503), "SlowDown"),
    (answer("503", 503), "503"),
    (answer("", 500), "500"),
    (answer("RequestTimeout", 400), "RequestTimeout"),
    (answer("BadDigest", 400), "BadDigest"),
    (answer("NoSuchKey", 404), None),
    (answer("AccessDenied", 403), None),
    (answer("NotImplemented", 501), None),
    (answer("PreconditionFailed", 412), None),
    (after(OSError(errno.EBUSY, "said"), answer("SlowDown", 503)), "SlowDown"),
    (after(PermissionError("said"), answer("AccessDenied", 403)), None),
    (boto.ReadTimeoutError(endpoint_url="http://a"), "timeout"),
    (boto.ConnectTimeoutError(endpoint_url="http://a"), "timeout"),
    (boto.EndpointConnectionError(endpoint_url="http://a"), "connection"),
    (boto.ConnectionClosedError(endpoint_url="http://a"), "connection"),
    (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), "truncated"),
    (boto.FlexibleChecksumError(error_msg="crc32"), "checksum"),
    (boto.NoCredentialsError(), None),
    (aiohttp.ClientPayloadError(), "truncated"),
    (aiohttp.ServerDisconnectedError(), "connection"),
    (http(429), "429"),
    (http(502), "502"),
    (http(404), None),
    (urllib3.exceptions.IncompleteRead(1, 2), "truncated"),
    (TimeoutError(), "timeout"),
    (ConnectionResetError(errno.ECONNRESET, "reset"), "connection"),
    (OSError(errno.ESTALE, "stale"), "ESTALE"),
    (OSError(errno.ENOSPC, "full"), None),
    (FileNotFoundError(), None),
    (ValueError(), None),
    # A name server that does not answer may be back; a name that it does not know stays unknown.
    (after(boto.EndpointConnectionError(endpoint_url="x"), socket.gaierror(-3, "Temporary failure")), "connection"),
    (after(boto.EndpointConnectionError(endpoint_url="x"), socket.gaierror(-2, "Name or service not known")), None),
    (after(boto.EndpointConnectionError(endpoint_url="x"), ssl.SSLCertVerificationError("self-signed")), None),
]


@pytest.mark.parametrize(("error", "why"), CASES, ids=[repr(error)[:60] for error, _ in CASES])
def test_what_passes_by_itself(error: Exception, why: str | None) -> None:
    assert transient(error) == why
    assert expired(error) is None


def test_what_has_expired() -> None:
    for code in ("ExpiredToken", "RequestExpired"):
        assert expired(after(PermissionError("said"), answer(code, 400))) == code
        assert transient(answer(code, 400)) is None


class Answers:
    """What a store says of its objects, without a store."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields

    async def _call_s3(self, *_: object, **__: object) -> dict[str, str]:
        return self.fields

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = get_loop()
        return loop


RIGHT, WRONG = "c4ca4238a0b923820dcc509a6f75849b", "0" * 32  # the MD5 of "1", and another


@pytest.mark.parametrize(
    ("fields", "bucket"),
    [
        ({"ETag": f'"{RIGHT}"'}, "b"),
        ({"ETag": f'"{RIGHT.upper()}"'}, "b"),
        ({"ETag": f'"{WRONG}-2"'}, "b"),
        ({"ETag": WRONG, "ServerSideEncryption": "aws:kms"}, "b"),
        ({"ETag": WRONG, "SSECustomerAlgorithm": "AES256"}, "b"),
        ({"ETag": WRONG}, "b--use1-az4--x-s3"),
        ({}, "b"),
    ],
)
def test_an_etag_that_is_no_checksum_is_none(fields: dict[str, str], bucket: str) -> None:
    S3Store(Answers(**fields), verify=True, seconds=9).write(f"{bucket}/k", b"1")


def test_an_etag_that_is_one_must_match() -> None:
    with pytest.raises(OSError, match=f"MD5 is {RIGHT}, the ETag {WRONG}.*NST_STORAGE_VERIFY=0") as caught:
        S3Store(Answers(ETag=WRONG, ServerSideEncryption="AES256"), verify=True, seconds=9).write("b/k", b"1")
    assert transient(caught.value) == "checksum"
    S3Store(Answers(ETag=WRONG), verify=False, seconds=9).write("b/k", b"1")


def test_endpoints_do_not_wait_for_each_other() -> None:
    with request_slot("s3://one", 1), request_slot("s3://two", 1), request_slot("s3://one", 2):
        pass
