"""Repetition of requests: transient errors after a growing, randomised delay; final errors never."""

import contextlib
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
)

from pipeline.storage.errors import GaveUp, expired, transient
from pipeline.storage.policy import Policy

T = TypeVar("T")

_log = logging.getLogger(__name__)

_JITTER = 0.25
"""Share by which a delay is shortened or lengthened at random."""

_lock = threading.Lock()
_retries: Counter[str] = Counter()
_of_thread = threading.local()
_gates: dict[tuple[str, int], threading.BoundedSemaphore] = {}


def retries() -> dict[str, int]:
    """Return how many requests this process has repeated so far, by reason, such as SlowDown or timeout."""
    with _lock:
        return dict(_retries)


def repeated() -> int:
    """Return how many requests this thread has repeated so far.

    The difference between two calls around some work is the number of repetitions that the work needed.
    """
    return int(getattr(_of_thread, "count", 0))


def persist(what: str, call: Callable[[], T], *, policy: Policy, renew: Callable[[], None] = lambda: None) -> T:
    """Call a function until it succeeds, fails for good, or the policy allows no further attempt; return its result.

    Args:
        what: is tried, for the log, such as "read s3://bucket/key".
        call: one attempt.
        policy: how often and for how long.
        renew: is called before the one repetition that expired credentials get.

    Raises:
        GaveUp: from the last error, if that was transient.
        Exception: whatever the call raised, if that was final.
    """
    renewed = False

    def reason(error: BaseException) -> str | None:
        return transient(error) or (None if renewed else expired(error))

    def before_sleep(state: RetryCallState) -> None:
        nonlocal renewed
        error = state.outcome.exception() if state.outcome else None
        assert error is not None
        why = reason(error) or ""
        _count(why)
        attempts = f"attempt {state.attempt_number} of {policy.attempts}"
        _log.warning("cannot %s: %s (%s, the next in %.1f s)", what, why, attempts, state.upcoming_sleep)
        if expired(error):
            renewed = True
            renew()

    try:
        return Retrying(
            stop=stop_after_attempt(policy.attempts) | stop_before_delay(policy.deadline),
            wait=_delay(policy),
            retry=retry_if_exception(lambda error: reason(error) is not None),
            before_sleep=before_sleep,
        )(call)
    except RetryError as error:
        last, cause = error.last_attempt.attempt_number, error.last_attempt.exception()
        why = reason(cause) if cause else None
        raise GaveUp(f"{why}, attempt {last} of {policy.attempts}, the last") from cause


def _count(why: str) -> None:
    """Add a repetition to those of this process and of this thread."""
    with _lock:
        _retries[why] += 1
    _of_thread.count = repeated() + 1


def _delay(policy: Policy) -> Callable[[RetryCallState], float]:
    """Return a function that gives the seconds until the next attempt."""
    grown = wait_exponential(multiplier=policy.first_delay, exp_base=policy.factor, max=policy.longest_delay)
    # Proportional jitter: processes that failed together spread out, and the total delay has a known minimum.
    return lambda state: grown(state) * random.uniform(1 - _JITTER, 1 + _JITTER)


@contextlib.contextmanager
def request_slot(endpoint: str, limit: int) -> Iterator[None]:
    """Hold one of the `limit` requests that this process may have at an endpoint at once; wait until one is free."""
    with _lock:
        gate = _gates.setdefault((endpoint, limit), threading.BoundedSemaphore(limit))
    with gate:
        yield
