"""How pictures are written."""

from pipeline.options.model import Options, option


class Encoding(Options):
    """How pictures are written; their format follows from their names."""

    quality: int = option(95, "Quality of JPEG and WebP results.", library=True, ge=1, le=100)
    keep_exif: bool = option(
        False,
        "Whether a result keeps date, camera, place, caption, rating and keywords of its content picture.",
        library=True,
    )


DEFAULT_ENCODING = Encoding()
