"""The operations guide: its figures are those that were measured."""

import json
from typing import Any

from nst_kernel.params import StyleParams
from tests.support import REPOSITORY
from tests.support.generated import check_section, table

RESULTS = REPOSITORY / "tests" / "bench" / "results"
SIZES = (512, 1024, 2048)
PRICES = {"cuda": 2.5, "cpu": 0.1}
"""Dollars for an hour of the machine that was measured, for example."""


def measured(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def seconds_per_pixel(name: str) -> float:
    """Of an evaluation of the fastest batches that were measured, for each pixel of a pair."""
    figures = measured(name)["speed"]["figures"]["per_evaluation"]
    largest = max(each["size"] for each in figures)
    ours = [each["ms"] for each in figures if each["size"] == largest and each["what"].startswith("ours")]
    return float(min(ours)) / 1000 / float(largest) ** 2


def pixels(size: int) -> int:
    """Of all scales of a square picture."""
    scales = [scale for scale in map(int, StyleParams().scales) if scale <= 0.75 * size]
    return sum(scale * scale for scale in (*scales, size))


REQUEST_PRICES = {"PUT": 5.0, "LIST": 5.0, "GET": 0.4, "HEAD": 0.4, "DELETE": 0.0}
"""Dollars for a million, for example."""


def test_readme_requests() -> None:
    rows = []
    for each in measured("scale")["requests"]["figures"]:
        requests = {kind: 1000 * count for kind, count in each["requests"].items()}
        assert requests.keys() == REQUEST_PRICES.keys()
        cost = sum(count * REQUEST_PRICES[kind] for kind, count in requests.items()) / 1e6
        rows.append([str(each["rows_per_batch"]), *(f"{count:,.0f}" for count in requests.values()), f"{cost:.4f}"])
    check_section(
        REPOSITORY / "infra" / "README.md",
        "requests of a thousand",
        table(["rows of a batch", *REQUEST_PRICES, "dollars"], rows),
    )


def _two_digits(seconds: float) -> str:
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:,.0f}"


def test_readme_sizing() -> None:
    evaluations = measured("stopping")["embedded"]["ends"]["0.01"]
    rows = []
    for name, price in PRICES.items():
        machine = measured(name)["speed"]["machine"].split(", torch")[0]
        for size in SIZES:
            seconds = evaluations * seconds_per_pixel(name) * pixels(size)
            cost = 1000 * seconds / 3600 * price
            rows.append(
                [
                    f"{machine}, ${price:g} an hour",
                    f"{size:,}",
                    _two_digits(seconds),
                    f"{3600 / seconds:,.0f}",
                    f"{cost:,.2f}",
                ]
            )
    header = ["machine", "px, square", "seconds a pair", "pairs an hour", "dollars for 1,000 pictures"]
    text = table(header, rows) + (
        f"\n\nFrom the [measurements](../tests/bench/README.md) at 512 px in bf16, in full batches, {evaluations:.0f} "
        "evaluations at each scale, where `min_improvement` ends them; other sizes by their pixels."
    )
    check_section(REPOSITORY / "infra" / "README.md", "sizing", text)
