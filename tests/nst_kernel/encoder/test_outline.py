"""What is known of an encoder without its filters."""

import pytest

from nst_kernel.encoder import WeightsError, embedded_outline, load_weights


def test_the_outline_is_that_of_the_filters() -> None:
    assert embedded_outline() == load_weights("embedded").outline
    assert embedded_outline(sha256=embedded_outline().sha256) == embedded_outline()


def test_the_outline_of_another_file_than_the_pinned_one_is_refused() -> None:
    with pytest.raises(WeightsError, match="damaged or another one"):
        embedded_outline(sha256=64 * "0")
    with pytest.raises(WeightsError, match="expected 64 hexadecimal digits"):
        embedded_outline(sha256="0")
