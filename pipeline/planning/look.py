"""A look at every picture that rows read, before anything is computed: whether it is there, and whether it is one."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.manifest import Row
from pipeline.options import Decoding
from pipeline.planning.batch import Failure
from pipeline.planning.headers import probe


@dataclass(frozen=True)
class Look:
    """What a look at pictures found.

    Attributes:
        pictures: how many there are to read, each once.
        faults: by URI, why a picture cannot be read, and how many rows read it.
    """

    pictures: int
    faults: dict[str, tuple[str, int]]


def look_at_pictures(rows: Iterable[Row], decoding: Decoding) -> Look:
    """Read the header of every picture of rows; on the cluster that this process is connected to, if there are many.

    Args:
        rows: whose pictures.
        decoding: what decoding one may take.
    """
    readers = Counter(uri for row in rows for uri in dict.fromkeys(row.uris()))
    shapes = probe(list(readers), decoding)
    faults = {uri: (shape.error, readers[uri]) for uri, shape in shapes.items() if isinstance(shape, Failure)}
    return Look(len(readers), faults)
