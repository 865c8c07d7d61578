"""The extensions by which files are known to be pictures."""

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif", ".tif", ".tiff", ".gif", ".bmp"),
    *(".avif", ".jp2", ".ppm", ".qoi"),
)
"""Extensions of pictures, in small letters. Names of results depend on it: see `pipeline.archives.rows.output_name`."""
