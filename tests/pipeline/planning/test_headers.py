"""Headers of pictures: no more is read of a file than its size takes."""

from pathlib import Path

import pytest
from PIL import Image

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.manifest import Row
from pipeline.planning import headers, output_shapes
from tests.support import draw


@pytest.mark.parametrize(
    ("kind", "before", "ends"),
    [
        ("TIFF", 0, [256 * 1024]),
        ("WebP", 0, [256 * 1024]),
        ("png", 0, [16 * 1024]),
        ("jpg", 30_000, [16 * 1024, 256 * 1024]),
        ("jpg", 300_000, [16 * 1024, 256 * 1024, None]),
        ("webp", 0, [256 * 1024]),
        ("tiff", 0, [256 * 1024]),
    ],
)
def test_more_of_a_picture_is_read_only_where_its_header_is_longer(
    kind: str, before: int, ends: list[int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera's preview, or a colour profile, may stand in front of the size."""
    read: list[int | None] = []
    reading = storage.read_bytes

    def noted(uri: str, *, end: int | None = None) -> bytes:
        read.append(end)
        return reading(uri, end=end)

    monkeypatch.setattr(storage, "read_bytes", noted)
    file = tmp_path / f"a.{kind}"
    Image.fromarray(draw(1, 300, 400)).save(file)
    if before:
        note = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
        file.write_bytes(file.read_bytes()[:2] + note * -(-before // len(note)) + file.read_bytes()[2:])
    asked = Row("x", str(file), "/s.png", "x.png", StyleParams(size=200), "rows.csv", 1)
    assert output_shapes([asked]) == [(150, 200)]
    assert read == ends


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF?versionId=7", "A.Avif?X-Amz-Signature=x.png", "a.webp"])
def test_files_that_tell_nothing_at_first_are_known_by_their_names(name: str) -> None:
    assert headers._steps(f"https://host/{name}") == headers.BEGINNINGS[1:]
    assert headers._steps(f"https://host/a.jpg?{name}") == headers.BEGINNINGS
