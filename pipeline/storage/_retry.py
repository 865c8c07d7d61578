"""Trying again: what is transient with exponential back-off and jitter, what is final never."""

import contextlib
import dataclasses
import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
)

from pipeline.storage.errors import GaveUp, StorageError, expired, transient

T = TypeVar("T")

_log = logging.getLogger(__name__)

_VARIABLE = "NST_STORAGE_"
_JITTER = 0.25


@dataclass(frozen=True)
class Policy:
    """How patient storage is. The defaults outlast a store that is down for a minute.

    Each knob is also a variable of the environment, such as NST_STORAGE_ATTEMPTS=3: a policy must reach every process
    of a cluster, and the environment is what reaches them all.

    Attributes:
        attempts: requests for one thing at most, the first included. With 30 % of requests failing, 12 lose one thing
            in two million.
        first_delay: seconds before the second attempt; each delay is up to a quarter shorter or longer.
        factor: by which each delay is longer than the one before.
        longest_delay: seconds.
        deadline: seconds after the first attempt from which on no other begins.
        timeout: seconds that a connection may take, and a store may be silent in the middle of a request.
        request_timeout: seconds that one request may take in all, however lively: a store that sends a byte now and
            then would else be listened to for ever.
        concurrency: requests at once to one endpoint (a scheme and its host or bucket), from one process.
        verify: whether checksums are compared with the ETag where it is one. Off only for a store whose ETags look
            like MD5 sums and are none.
    """

    attempts: int = 12
    first_delay: float = 0.25
    factor: float = 2.0
    longest_delay: float = 20.0
    deadline: float = 150.0
    timeout: float = 20.0
    request_timeout: float = 300.0
    concurrency: int = 32
    verify: bool = True

    def __post_init__(self) -> None:
        for name, least in [
            ("attempts", 1),
            ("concurrency", 1),
            ("factor", 1),
            ("timeout", 0.001),
            ("request_timeout", 0.001),
        ]:
            if getattr(self, name) < least:
                raise ValueError(f"{name}: {getattr(self, name)}, expected {least} or more")
        for name in ("first_delay", "longest_delay", "deadline"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)}, expected 0 or more")

    @classmethod
    def from_environment(cls) -> "Policy":
        """The defaults, but for what NST_STORAGE_… says.

        Raises:
            StorageError: for a value that is none.
        """
        given: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            variable, kind = _VARIABLE + field.name.upper(), cast(Callable[[str], Any], field.type)
            text = os.environ.get(variable)
            if text is None:
                continue
            try:
                given[field.name] = {"0": False, "1": True}[text] if kind is bool else kind(text)
                cls(**given)
            except (KeyError, ValueError) as error:
                raise StorageError(f"{variable}={text}: {'expected 0 or 1' if kind is bool else error}") from None
        return cls(**given)


_lock = threading.Lock()
_retries: Counter[str] = Counter()
_of_thread = threading.local()
_gates: dict[tuple[str, int], threading.BoundedSemaphore] = {}


def retries() -> dict[str, int]:
    """How many requests of this process were repeated so far, by reason, such as SlowDown or timeout."""
    with _lock:
        return dict(_retries)


def repeated() -> int:
    """How many requests this thread repeated so far: the difference around some work is what that work took."""
    return int(getattr(_of_thread, "count", 0))


def persist(what: str, call: Callable[[], T], *, policy: Policy, renew: Callable[[], None] = lambda: None) -> T:
    """Call until it succeeds, fails for good, or patience is at its end.

    Args:
        what: is tried, for the log, such as "read s3://bucket/key".
        call: one attempt.
        policy: how often and how long.
        renew: is called before the one repetition that credentials get which have expired.

    Raises:
        GaveUp: from the last error, when it was transient still.
        Exception: whatever the call raised, when that was final.
    """
    renewed = False

    def reason(error: BaseException) -> str | None:
        return transient(error) or (None if renewed else expired(error))

    def before_sleep(state: RetryCallState) -> None:
        nonlocal renewed
        error = state.outcome.exception() if state.outcome else None
        assert error is not None
        why = reason(error) or ""
        with _lock:
            _retries[why] += 1
        _of_thread.count = repeated() + 1
        _log.warning(
            "cannot %s: %s (attempt %d of %d, the next in %.1f s)",
            *(what, why, state.attempt_number, policy.attempts, state.upcoming_sleep),
        )
        if expired(error):
            renewed = True
            renew()

    try:
        return Retrying(
            stop=stop_after_attempt(policy.attempts) | stop_before_delay(policy.deadline),
            wait=_wait(policy),
            retry=retry_if_exception(lambda error: reason(error) is not None),
            before_sleep=before_sleep,
        )(call)
    except RetryError as error:
        last = error.last_attempt
        cause = last.exception()
        why = reason(cause) if cause else None
        raise GaveUp(f"{why}, attempt {last.attempt_number} of {policy.attempts}, the last") from cause


def _wait(policy: Policy) -> Callable[[RetryCallState], float]:
    grown = wait_exponential(multiplier=policy.first_delay, exp_base=policy.factor, max=policy.longest_delay)
    # Proportional jitter: processes that failed together spread out, and patience has a known minimum.
    return lambda state: grown(state) * random.uniform(1 - _JITTER, 1 + _JITTER)


@contextlib.contextmanager
def one_of_few(endpoint: str, limit: int) -> Iterator[None]:
    """Be one of `limit` requests to an endpoint that this process makes at once; waits for its turn."""
    with _lock:
        gate = _gates.setdefault((endpoint, limit), threading.BoundedSemaphore(limit))
    with gate:
        yield
