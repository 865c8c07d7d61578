"""Pictures that the project draws by itself, photographs that installed packages ship, and sheets that show many.

`draw` makes a painting (`STYLES`) or a scene (`CONTENTS`) from a name and a seed: the same ones always give the
same bytes, another seed gives another picture of the kind. They train the embedded encoder and fill the demo.
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from jobs.pictures import crafts, paintings, scenes, still_life
from jobs.pictures.masks import MASKS, draw_mask
from jobs.pictures.noise import Field
from jobs.pictures.sheet import INK, PAPER, Cell, sheet
from jobs.pictures.shipped import photographs

__all__ = ["CONTENTS", "INK", "MASKS", "PAPER", "STYLES", "Cell", "draw", "draw_mask", "photographs", "sheet"]

_Painter = Callable[[np.random.Generator, int], Field]

_STYLES: dict[str, _Painter] = {
    "night": paintings.night,
    "harvest": paintings.harvest,
    "dots": paintings.dots,
    "watercolour": paintings.watercolour,
    "crayon": paintings.crayon,
    "glass": crafts.glass,
    "mosaic": crafts.mosaic,
    "woodcut": crafts.woodcut,
    "marbling": crafts.marbling,
    "batik": crafts.batik,
    "cubist": crafts.cubist,
}
_CONTENTS: dict[str, _Painter] = {
    "lake": scenes.lake,
    "town": scenes.town,
    "boats": scenes.boats,
    "forest": scenes.forest,
    "fruit": still_life.fruit,
}

STYLES: tuple[str, ...] = tuple(_STYLES)
CONTENTS: tuple[str, ...] = tuple(_CONTENTS)


def draw(name: str, size: int = 512, seed: int = 0) -> NDArray[np.uint8]:
    """Draw one of `STYLES` or `CONTENTS` as uint8 (size, size, 3).

    What is drawn scales with the picture, so a larger size is the same kind of picture with more detail.

    Raises:
        ValueError: no picture of that name, or a size below 32, where nothing can be told apart.
    """
    painter = {**_STYLES, **_CONTENTS}.get(name)
    if painter is None:
        raise ValueError(f"no picture named {name!r}; there are {', '.join(STYLES + CONTENTS)}")
    if size < 32:
        raise ValueError(f"size must be at least 32 pixels, not {size}")
    rng = np.random.default_rng([seed, crc32(name.encode())])
    return np.asarray(np.clip(painter(rng, size) * 255 + 0.5, 0, 255).astype(np.uint8))
