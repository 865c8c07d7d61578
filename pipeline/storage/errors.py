"""Errors of storage: which are transient and which are final, and their explanation in one line."""

import contextlib
import errno
from collections.abc import Iterator, Mapping

from pipeline.storage.secrets import without_secrets


class StorageError(OSError):
    """A request to storage failed; the message names the URI, without its secrets, what happened and what to do.

    Attributes:
        uri: of the file or folder, as it was given; empty where the error is not of one.
    """

    uri: str = ""

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class NotFound(StorageError):
    """A file or folder does not exist."""


class WrongKind(StorageError):
    """A name belongs to a folder where a file was expected, or to a file where a folder was expected."""


class Refused(StorageError):
    """What may not be opened: a place that is not allowed, what is no regular file, or more bytes than allowed."""


class Barred(OSError):
    """What a back end raises for a `Refused`; its text says why and what to do, without the URI."""


class Damaged(OSError):
    """Bytes arrived other than they were sent: cut short, or with another checksum.

    Attributes:
        kind: `truncated` or `checksum`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class GaveUp(Exception):
    """A transient error that lasted beyond the last attempt; the error itself is the cause."""


TRANSIENT_CODES = frozenset(
    {
        *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "RequestTimeoutException"),
        *("Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded"),
        *("OperationAborted", "ConditionalRequestConflict"),
        *("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
    }
)
"""Error codes of object stores that a repetition may mend, in addition to the HTTP statuses below."""

TRANSIENT_STATUSES = frozenset({408, 429})
"""HTTP statuses below 500 that are transient; from 500 on all are, but for the final ones."""

FINAL_STATUSES = frozenset({501, 505})

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "400"})
"""Error codes for credentials that were valid once.

An answer to HEAD has no body, so that an expired token looks like any 400; HEAD has no other reason for one.
"""

TRANSIENT_CLASSES: Mapping[str, str] = {
    "TimeoutError": "timeout",
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "IncompleteRead": "truncated",
    "IncompleteReadError": "truncated",
    "ClientPayloadError": "truncated",
    "ResponseStreamingError": "truncated",
    "ResponseParserError": "truncated",
    "ChecksumError": "checksum",
    "FlexibleChecksumError": "checksum",
    "ConnectionError": "connection",
    "ClientConnectionError": "connection",
    "HTTPClientError": "connection",
    "MetadataRetrievalError": "credentials",
}
"""Reasons by the name of a class or of one of its bases: botocore, aiohttp and urllib3 share no base class."""

TRANSIENT_ERRNOS = frozenset(
    {errno.EAGAIN, errno.EINTR, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)

ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "no space is left there: free some, or choose another place, and start the same command again",
    errno.EDQUOT: "the quota there is used up: free some space, or choose another place, and start the same again",
    errno.EROFS: "it is on a read-only file system: choose another place, or make it writable",
    errno.EFBIG: "the file system there takes no file of this size: choose another place",
    errno.ENAMETOOLONG: "the name is too long for the file system there: choose a shorter one",
}
"""Explanations of errors of the operating system, each with what to do."""


def check_length(length: int, most: int) -> None:
    """Raise `Barred` if a file has more bytes than one may have."""
    if length > most:
        raise Barred(
            f"it has more than the {most:,} bytes that are read of a file: give a smaller one, or raise "
            "--max-file-bytes (max_file_bytes in the access section of a job file)"
        )


def transient(error: BaseException) -> str | None:
    """Return why an error may pass by itself, in a word such as SlowDown or timeout; None where it is final."""
    chain = list(_chain(error))
    if any(_is_final(link) for link in chain):
        return None
    for link in chain:
        if isinstance(link, Damaged):
            return link.kind
        code, status = _answer(link)
        if code or status:
            passes = code in TRANSIENT_CODES or status in TRANSIENT_STATUSES or (status or 0) >= 500
            return (code or str(status)) if passes and status not in FINAL_STATUSES else None
        for kind in type(link).__mro__:
            if kind.__name__ in TRANSIENT_CLASSES:
                return TRANSIENT_CLASSES[kind.__name__]
        if isinstance(link, OSError) and link.errno in TRANSIENT_ERRNOS:
            return errno.errorcode[link.errno]
    return None


def expired(error: BaseException) -> str | None:
    """Return the code by which a store reports expired credentials; None for any other error."""
    codes = (_answer(link)[0] for link in _chain(error))
    return next((code for code in codes if code in EXPIRED_CODES), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and, one after the other, the errors that it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _is_final(error: BaseException) -> bool:
    """Return whether no repetition can mend an error: what is refused, an unknown host, a wrong certificate."""
    name = type(error).__name__
    if isinstance(error, Barred | StorageError):
        return True
    # EAI_AGAIN, a name server that does not answer, is transient.
    return name == "SSLCertVerificationError" or (name == "gaierror" and "not known" in str(error))


def _answer(error: BaseException) -> tuple[str | None, int | None]:
    """Return the error code and the HTTP status in a server's answer, each None where the error has none."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return str(response.get("Error", {}).get("Code", "")) or None, status
    status = getattr(error, "status", None) or getattr(error, "code", None)  # aiohttp, gcsfs
    return None, status if isinstance(status, int) and 100 <= status < 600 else None


@contextlib.contextmanager
def explained(verb: str, uri: str) -> Iterator[None]:
    """Turn whatever a file system raises within this block into a StorageError with an explanation in one line.

    Args:
        verb: what is being done, such as "read".
        uri: of the file or folder.

    Raises:
        NotFound: where the file or folder does not exist.
        WrongKind: where a folder is in the place of a file, or a file in the place of a folder.
        StorageError: for anything else, with the original error as its cause.
    """
    try:
        yield
    except StorageError:
        raise
    except GaveUp as error:
        again = "Start the same command again when the store answers: what is done stays done"
        cause = error.__cause__ or error
        raise StorageError(f"cannot {verb} {uri}: {_as_line(cause, uri)} ({error}). {again}") from _shareable(
            cause, uri
        )
    except Exception as error:
        error = next((link for link in _chain(error) if isinstance(link, Barred)), error)
        failed = _kind_of(error)(f"cannot {verb} {uri}: {_why(error, uri)}")
        failed.uri = uri
        raise failed from _shareable(error, uri)


def _shareable(error: BaseException, uri: str) -> BaseException | None:
    """Return an error that may be shown as the cause of another one; None where its text has secrets in it.

    Tracebacks of notebooks and of Ray's logs have the causes of an error as they are.
    """
    return error if all(without_secrets(str(link), of=uri) == str(link) for link in _chain(error)) else None


def _kind_of(error: Exception) -> type[StorageError]:
    """Return the class of StorageError that stands for an error."""
    match error:
        case Barred():
            return Refused
        case FileNotFoundError():
            return NotFound
        case IsADirectoryError() | NotADirectoryError():
            return WrongKind
    return StorageError


def _why(error: Exception, uri: str) -> str:
    """Return the explanation of an error: what is wrong, what was expected, and what to do."""
    match error:
        case Barred():
            return str(error)
        case FileNotFoundError():
            return "it does not exist"
        case IsADirectoryError():
            return "it is a folder, expected a file"
        case NotADirectoryError() | FileExistsError():
            return "a part of the path is a file, expected a folder"
        case PermissionError():
            code = next((code for code, _ in map(_answer, _chain(error)) if code), None)
            detail = f" (the store says {code})" if code else ""
            return f"no permission: allow it to this user, or choose another place{detail}"
        case OSError(errno=int(number)) if number in ADVICE:
            return ADVICE[number]
        case ImportError() | ValueError():  # an unknown scheme, or one whose package is missing
            expected = "expected a path, file://, s3:// or another scheme of fsspec with its package installed"
            return f"{_as_line(error, uri, name=False)} ({expected})"
    if _answer(error)[1] in (401, 403):
        return (
            f"{_as_line(error, uri)}. Allow it to this user; a signed address may have expired, and results keep "
            "neither signatures nor passwords, so that rows which need one are tried again by their manifest alone"
        )
    if "credentials" in str(error).lower():
        advice = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role that boto finds"
        return f"{_as_line(error, uri)}. {advice}"
    return _as_line(error, uri)


def _as_line(error: BaseException, uri: str, *, name: bool = True) -> str:
    """Return an error about a URI as one line of bounded length, with or without the name of its class."""
    text = " ".join(without_secrets(str(error), of=uri).split())[:300]
    return f"{type(error).__name__}: {text}" if name else text
