"""One request to the store that a URI names, tried again where that may help, its errors in one clear line."""

from collections.abc import Callable
from typing import Any, TypeVar

import fsspec.config
from fsspec import get_filesystem_class
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.storage._fsspec import AnyStore
from pipeline.storage._local import LocalStore
from pipeline.storage._retry import Policy, one_of_few, persist
from pipeline.storage._s3 import S3Store
from pipeline.storage._store import Store
from pipeline.storage.errors import explained
from pipeline.storage.uris import is_uri

S = TypeVar("S")


T = TypeVar("T")


_S3 = ("s3://", "s3a://")


def call(verb: str, uri: str, ask: Callable[[Store, str], T]) -> T:
    """Have a store do something, as patiently as the policy says, one of few at once; errors in one clear line."""
    policy = Policy.from_environment()
    endpoint = "/".join(uri.split("/")[:3]) if is_uri(uri) else "file://"

    def attempt() -> T:
        with one_of_few(endpoint, policy.concurrency):
            return ask(*_open(uri, policy))

    with explained(verb, uri):
        return persist(f"{verb} {uri}", attempt, policy=policy, renew=lambda: _forget(uri))


def _open(uri: str, policy: Policy) -> tuple[Store, str]:
    # Listings change under us, from other processes: never from a cache.
    options: dict[str, Any] = {"use_listings_cache": False}
    if not uri.startswith(_S3):
        fs, path = url_to_fs(uri, **options)
        return (LocalStore if isinstance(fs, LocalFileSystem) else AnyStore)(fs, seconds=policy.request_timeout), path
    options["config_kwargs"] = fsspec.config.conf.get("s3", {}).get("config_kwargs", {}) | {
        "connect_timeout": policy.timeout,
        "read_timeout": policy.timeout,
        "max_pool_connections": policy.concurrency,
        "retries": {"mode": "standard", "total_max_attempts": 1},  # ours are enough: attempts would multiply
    }
    fs, path = url_to_fs(uri, **options)
    fs.retries = 1  # for the same reason
    return S3Store(fs, verify=policy.verify, seconds=policy.request_timeout), path


def _forget(uri: str) -> None:
    """Let the next request ask the provider chain for credentials anew: fsspec keeps connections for ever."""
    get_filesystem_class(uri.split("://")[0] if is_uri(uri) else "file").clear_instance_cache()
