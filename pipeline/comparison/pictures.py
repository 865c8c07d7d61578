"""The similarity of the pictures at two URIs."""

from pipeline import images, storage
from pipeline.images import ImageError, Pixels, Similarity, similarity
from pipeline.storage import StorageError


def similarity_of(before: str | StorageError, after: str | StorageError) -> Similarity:
    """Return the similarity of the pictures at two URIs, or why one cannot be read, without raising an error.

    Args:
        before: URI of the older picture, or why its row has none to be read.
        after: of the newer one.
    """
    contents: list[bytes | None] = []
    obstacles: list[str] = []
    for uri in (before, after):
        try:
            if isinstance(uri, StorageError):
                raise uri
            contents.append(storage.read_bytes(uri))
        except StorageError as error:
            contents.append(None)
            obstacles.append(str(error))
    if obstacles:
        return Similarity(obstacle="; ".join(obstacles), lost=contents[0] is not None)
    pictures: list[Pixels | None] = []
    for uri, data in zip((before, after), contents, strict=True):
        try:
            pictures.append(images.decode(data or b""))
        except ImageError as error:
            pictures.append(None)
            obstacles.append(f"{uri}: {error}")
    older, newer = pictures
    if older is None or newer is None:
        return Similarity(obstacle="; ".join(obstacles), lost=older is not None)
    return similarity(older, newer)
