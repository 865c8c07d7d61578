"""One operation on the store that a URI names: repeated where that may help, its errors explained in one line."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec.config
from fsspec import get_filesystem_class

from pipeline.storage import _access
from pipeline.storage._fsspec import AnyStore
from pipeline.storage._local import LocalStore
from pipeline.storage._retry import persist, request_slot
from pipeline.storage._s3 import S3Store
from pipeline.storage._store import Store
from pipeline.storage.errors import explained
from pipeline.storage.policy import Policy
from pipeline.storage.secrets import without_secrets
from pipeline.storage.uris import WEB, absolute, is_uri, local_path, split_scheme

T = TypeVar("T")

Wrap = Callable[[str, Store], Store]
"""Returns the store that serves a request, given the request's URI and the store that would have served it."""

_S3 = ("s3", "s3a")

_WRITING = ("write", "delete", "sweep")
"""Verbs that change what is stored; all others read."""

_wraps: list[Wrap] = []


def intercept(wrap: Wrap) -> Callable[[], None]:
    """Let `wrap` replace the store of each request that this process makes from now on, each repetition included.

    It is how a test, or a self-test inside the workers of a cluster, counts requests, delays them or lets them fail.
    What a replacement raises is treated as an error of the store: it is explained, and repeated where it is transient.

    Args:
        wrap: is called once for each attempt at a request. Of several, the last one that was given is called last.

    Returns:
        A function that takes `wrap` out again; calling it twice does nothing more.
    """
    _wraps.append(wrap)

    def undo() -> None:
        with contextlib.suppress(ValueError):
            _wraps.remove(wrap)

    return undo


def call(verb: str, uri: str, request: Callable[[Store, str], T]) -> T:
    """Have the store of a URI carry out a request, repeated as the policy of this process says.

    Args:
        verb: what is done, for messages, such as "read".
        uri: of the file or folder.
        request: one attempt, given the store and the path within it.

    Returns:
        What the first successful attempt returned.

    Raises:
        StorageError: if it fails for good, or still fails after the last attempt; see `errors.explained`.
    """
    policy, place = Policy.from_environment(), absolute(uri)  # once: what is checked is what is opened
    endpoint = "/".join(uri.split("/")[:3]) if is_uri(uri) else "file://"

    def attempt() -> T:
        with request_slot(endpoint, policy.concurrency):
            store, path = _open(place, policy)
            for wrap in _wraps:
                store = wrap(uri, store)
            return request(store, path)

    with explained(verb, uri):
        _access.check(place, write=verb in _WRITING)
        return persist(f"{verb} {without_secrets(uri)}", attempt, policy=policy, renew=lambda: _forget_credentials(uri))


def _open(uri: str, policy: Policy) -> tuple[Store, str]:
    """Return the store of a URI and the path within it.

    fsspec gets the scheme alone: its parser of URLs would take a name such as `a::b.png` for a chain of file systems,
    and read, write or delete another file.
    """
    if local_path(uri) is not None:
        return LocalStore(), absolute(uri)
    scheme, path = split_scheme(uri)
    if scheme.lower() in WEB:
        from pipeline.storage._http import HttpStore  # aiohttp takes a moment to load, and few commands need it

        return HttpStore(seconds=policy.request_timeout), uri
    kind = get_filesystem_class(scheme)
    # Other processes change folders at any time, so that listings never come from a cache.
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme not in _S3:
        fs = kind(**options, **kind._get_kwargs_from_urls(uri))
        # Of a name with `::`, fsspec's own memory:// would leave out the slash that all its paths begin with.
        path = f"/{path.strip('/')}" if scheme == "memory" else kind._strip_protocol(uri)
        return AnyStore(fs, seconds=policy.request_timeout, spell=_spelling(uri, path)), path
    options["config_kwargs"] = fsspec.config.conf.get("s3", {}).get("config_kwargs", {}) | {
        "connect_timeout": policy.timeout,
        "read_timeout": policy.timeout,
        "max_pool_connections": policy.concurrency,
        "retries": {"mode": "standard", "total_max_attempts": 1},  # `persist` repeats: attempts would multiply
    }
    fs = kind(**options)
    fs.retries = 1  # for the same reason: s3fs repeats requests of its own accord
    return S3Store(fs, verify=policy.verify, seconds=policy.request_timeout), path.strip("/")


def _spelling(uri: str, path: str) -> Callable[[str], str] | None:
    """Return what makes URIs of the paths in a listing of a place, so that they name its user, host or account too.

    fsspec leaves these out of its paths, as in abfs://CONTAINER@ACCOUNT/FOLDER, so that what it makes of a path could
    not be opened. None where the place has none.

    Args:
        uri: of the place.
        path: that fsspec makes of it.
    """
    scheme, rest = split_scheme(uri)
    authority, _, below = rest.partition("/")
    if "@" not in authority:
        return None
    head = path.rstrip("/").removesuffix(below.strip("/"))
    return lambda name: f"{scheme}://{authority}/{name.removeprefix(head).lstrip('/')}"


def _forget_credentials(uri: str) -> None:
    """Let the next request ask the provider chain for credentials again, since fsspec keeps connections for ever."""
    if local_path(uri) is None:
        get_filesystem_class(split_scheme(uri)[0]).clear_instance_cache()
