"""Decoding in child processes: a picture that crashes its decoder, keeps it busy or floods it gives an `ImageError`.

Whoever has the bytes of a picture decodes it here, so that it costs no process that does anything else.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from PIL import Image

from nst_kernel.pictures import MIN_SIDE
from pipeline.images.decode import AnyPixels, ImageInfo, Pixels, Size
from pipeline.images.decode import decode as decode_here
from pipeline.images.decode import decode_labels as decode_labels_here
from pipeline.images.decode import decode_to as decode_to_here
from pipeline.images.decode import probe as probe_here
from pipeline.images.errors import ImageError
from pipeline.options import DEFAULT_DECODING, Decoding
from pipeline.process import children

T = TypeVar("T")


def probe(data: bytes, *, limits: Decoding = DEFAULT_DECODING, min_side: int = MIN_SIDE) -> ImageInfo:
    """Return what `decode.probe` does, from a child process.

    Raises:
        ImageError: also for a picture whose header takes too much time or memory, or crashes its reader.
    """
    seconds = min(HEADER_SECONDS, limits.decode_timeout)
    return _isolated(limits, seconds, partial(probe_here, max_pixels=limits.max_pixels, min_side=min_side), data)


def probe_all(heads: Sequence[bytes], *, limits: Decoding = DEFAULT_DECODING) -> list[ImageInfo | ImageError]:
    """Return what `probe` returns or raises for each of several files, from one call if none of them is a hazard."""
    if len(heads) == 1:
        try:
            return [probe(heads[0], limits=limits)]
        except ImageError as error:
            return [error]
    try:
        return _isolated(limits, HEADER_SECONDS, partial(_probe_each, max_pixels=limits.max_pixels), heads)
    except ImageError:  # of one of them: each answers for itself
        return [info for head in heads for info in probe_all([head], limits=limits)]


def _probe_each(heads: Sequence[bytes], max_pixels: int) -> list[ImageInfo | ImageError]:
    """Return the size of each picture, or why it has none."""
    infos: list[ImageInfo | ImageError] = []
    for head in heads:
        try:
            infos.append(probe_here(head, max_pixels=max_pixels))
        except ImageError as error:
            infos.append(ImageError(*error.args))  # without its causes, which pickling would carry along
    return infos


def decode(data: bytes, *, limits: Decoding = DEFAULT_DECODING, min_side: int = MIN_SIDE) -> Pixels:
    """Return what `decode.decode` does, from a child process.

    Raises:
        ImageError: also for a picture that takes too much time or memory, or crashes its decoder.
    """
    function = partial(decode_here, max_pixels=limits.max_pixels, min_side=min_side)
    return _isolated(limits, limits.decode_timeout, function, data)


def decode_to(
    data: bytes,
    size: Size,
    *,
    limits: Decoding = DEFAULT_DECODING,
    min_side: int = MIN_SIDE,
    deep: bool = False,
    opacity: bool = False,
) -> tuple[AnyPixels, tuple[int, int]]:
    """Return what `decode.decode_to` does, from a child process.

    Raises:
        ImageError: also for a picture that takes too much time or memory, or crashes its decoder.
    """
    function = partial(decode_to_here, max_pixels=limits.max_pixels, min_side=min_side, deep=deep, opacity=opacity)
    return _isolated(limits, limits.decode_timeout, function, data, size)


def decode_labels(data: bytes, *, limits: Decoding = DEFAULT_DECODING) -> Pixels:
    """Return what `decode.decode_labels` does, from a child process.

    Raises:
        ImageError: also for a picture that takes too much time or memory, or crashes its decoder.
    """
    return _isolated(limits, limits.decode_timeout, partial(decode_labels_here, max_pixels=limits.max_pixels), data)


def _with_our_limits(function: Callable[..., T], *arguments: object) -> T:
    """Return what a function returns, with no limit to a picture's pixels but our own."""
    Image.MAX_IMAGE_PIXELS = None
    return function(*arguments)


HEADER_SECONDS = 10.0
"""Seconds that reading a header may take, at most. It takes a millisecond, and a plan reads millions."""


def _isolated(limits: Decoding, seconds: float, function: Callable[..., T], *arguments: object) -> T:
    """Return what a function returns in a child process; raise ImageError where that dies."""
    try:
        value: T = children.call(children.Budget(seconds, limits.memory), _with_our_limits, function, *arguments)
        return value
    except children.TimedOut:
        raise ImageError(
            f"decoding took more than {seconds:g} s and was stopped: save the picture again"
            + (", or allow more by --decode-timeout" if seconds == limits.decode_timeout else "")
        ) from None
    except children.Crashed as error:
        raise ImageError(f"the picture crashed its decoder ({error}): save it again as PNG or JPEG") from None
    except MemoryError:
        raise ImageError(
            f"the picture needs more than the {limits.memory / 1e9:.1f} GB of memory that are allowed: scale it down"
        ) from None
