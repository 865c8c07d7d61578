"""Outputs that tile: what is planned is what the kernel makes."""

import pytest

from nst_kernel import StyleParams
from nst_kernel.pictures import tiled
from pipeline.manifest.row import Row
from pipeline.planning.shapes import output_shapes


@pytest.mark.parametrize("tolerance", [0, 0.01, 0.3])
@pytest.mark.parametrize(("content", "size"), [((300, 500), 256), ((300, 500), 250), ((90, 75), 512), ((20, 40), 32)])
def test_shapes_are_planned_as_they_are_made(content: tuple[int, int], size: int, tolerance: float) -> None:
    params = StyleParams(size=size, tileable=True, aspect_tolerance=tolerance)
    row = Row("a", "/c.png", "/s.png", "a.png", params, "rows.csv", 1, content_shape=content)
    (shape,) = output_shapes([row])
    assert isinstance(shape, tuple)
    assert shape == tiled(shape)
    assert max(shape) <= size
