"""Real photographs, from the two packages that ship some. Read from disk, never downloaded."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SHIPPED = {
    "skimage": (
        "data/astronaut.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/rocket.jpg",
        "data/motorcycle_left.png",
        "data/motorcycle_right.png",
        "data/hubble_deep_field.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}


def photographs() -> dict[str, NDArray[np.uint8]]:
    """Return colour photographs by name (`astronaut`, `chelsea`, …), each uint8 (H, W, 3), both sides at least 256.

    Raises:
        ImportError: the `photos` extra (scikit-image, scikit-learn) is not installed, or ships no such files.
    """
    pictures: dict[str, NDArray[np.uint8]] = {}
    for package, names in _SHIPPED.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ImportError(f"photographs need the package {package}: pip install 'nst-pipeline[photos]'")
        # Later releases may drop a file; what is there serves.
        for path in (Path(spec.origin).parent / name for name in names):
            if path.is_file():
                with Image.open(path) as image:
                    pictures[path.stem] = np.array(image.convert("RGB"))
    if not pictures:
        raise ImportError("the installed scikit-image and scikit-learn ship none of the photographs known here")
    return pictures
