"""Animations: their pictures, how long each is shown, and what they carry."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pipeline import images
from pipeline.images.animation import EACH, LAST
from tests.support import draw


@pytest.mark.parametrize("format", ["webp", "gif"])
def test_an_animation_shows_its_pictures_in_order_and_carries_metadata(format: Literal["webp", "gif"]) -> None:
    pictures = [draw(n, 32, 48) for n in range(3)]
    metadata = {"id": "ä row", "evaluation": "30"}
    data = images.animated(pictures, format=format, metadata=metadata)
    assert images.read_metadata(data) == metadata
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["loop"] == 0
        durations = []
        for n, expected in enumerate(pictures):
            image.seek(n)
            image.load()
            durations.append(image.info["duration"])
            assert np.abs(np.asarray(image.convert("RGB"), float) - expected).mean() < 12
        assert durations == [EACH, EACH, LAST]
    assert images.animated(pictures, format=format, metadata=metadata) == data


def test_a_gif_from_elsewhere_carries_nothing() -> None:
    buffer = io.BytesIO()
    Image.fromarray(draw(1, 16, 16)).save(buffer, "GIF", comment=b"made by hand")
    assert images.read_metadata(buffer.getvalue()) == {}
