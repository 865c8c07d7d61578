"""What a misspelt name probably means."""

import pytest

from nst_kernel.params import ALIASES, PARAMETERS, did_you_mean
from nst_kernel.params.nearest import changes


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("wieght", "did you mean content_weight, style_weight or tv_weight?"),
        ("stlye_weight", "did you mean style_weight?"),
        ("Sizee", "did you mean size?"),
        ("alhpa", "did you mean alpha?"),
        ("contentweight", "did you mean content_weight?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_meant(name: str, meant: str) -> None:
    assert did_you_mean(name, [*PARAMETERS, *ALIASES]) == meant


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("ca", "abc", 3)],
)
def test_changes_are_counted(one: str, other: str, count: int) -> None:
    assert changes(one, other) == changes(other, one) == count
