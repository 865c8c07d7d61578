"""How many rows may fail."""

import pytest

from pipeline.options.failure_limit import NO_LIMIT, FailureLimit


@pytest.mark.parametrize(
    ("text", "failures", "total", "exceeded"),
    [
        ("0", 0, 10, False),
        ("0", 1, 10, True),
        ("3", 3, 10, False),
        ("3", 4, 10, True),
        ("5%", 5, 100, False),
        ("5%", 6, 100, True),
        ("0%", 1, 100, True),
        (" 12.5% ", 1, 8, False),
        ("12.5%", 2, 8, True),
        ("100%", 8, 8, False),
    ],
)
def test_exceeded(text: str, failures: int, total: int, exceeded: bool) -> None:
    limit = FailureLimit.parse(text)
    assert limit.exceeded(failures, total) is exceeded
    assert FailureLimit.parse(str(limit)) == limit


def test_no_limit() -> None:
    assert not NO_LIMIT.exceeded(10, 10)


@pytest.mark.parametrize("text", ["", "%", "-1", "101%", "-5%", "a", "5%5", "1.5", "nan%", "inf%"])
def test_what_is_no_limit_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of rows"):
        FailureLimit.parse(text)
