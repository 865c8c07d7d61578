"""A name that exists is meant as it is written, whatever brackets it has; what only shells replace is refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline import storage
from pipeline.archives.photos import photos
from pipeline.specs import gather
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.fields import WeightsLocation


def spec(**fields: Any) -> ArchiveSpec:
    return ArchiveSpec.model_validate({"styles": ["s.jpg"], **fields})


@pytest.mark.parametrize("scheme", ["file", "s3"])
def test_brackets_of_what_exists_are_no_wildcards(tmp_path: Path, bucket: str, scheme: str) -> None:
    folder = str(tmp_path) if scheme == "file" else f"{bucket}/{tmp_path.name}"
    for name in ("trip [1]/a.jpg", "trip [1]/b.png", "trip 1/c.jpg", "night [2].png"):
        storage.write_bytes(f"{folder}/{name}", b"x")
    assert [photo.path for photo in photos(spec(photos=f"{folder}/trip [1]"))] == ["a.jpg", "b.png"]
    assert [photo.path for photo in photos(spec(photos=f"{folder}/trip [1]/*.jpg"))] == ["a.jpg"]
    assert [photo.path for photo in photos(spec(photos=f"{folder}/trip [12]/*.jpg"))] == ["trip 1/c.jpg"]
    styles = spec(photos=folder, styles=[f"{folder}/night [2].png"])
    assert gather(styles.styles) == {"night [2]": f"{folder}/night [2].png"}
    assert not styles.by_style


def test_a_pattern_that_fits_nothing_shows_how_brackets_are_written(tmp_path: Path) -> None:
    styles = spec(photos="p", styles=[f"{tmp_path}/night [3].png"]).styles
    with pytest.raises(ValueError, match="a name that has them itself is written with") as caught:
        gather(styles)
    assert str(caught.value).endswith(f"as {tmp_path}/night [[]3].png")


@pytest.mark.parametrize("place", ["~/photos", "~ana/photos", "$HOME/photos", "/data/${DAY}/x", "/data/x-$DAY"])
def test_what_only_shells_replace_is_refused(place: str) -> None:
    with pytest.raises(ValidationError, match=r"a location written out.*only shells"):
        spec(photos=place)


def test_names_that_exist_may_look_so(tmp_path: Path) -> None:
    (tmp_path / "$RECYCLE").mkdir()
    assert spec(photos=f"{tmp_path}/$RECYCLE").root == f"{tmp_path}/$RECYCLE"
    assert spec(photos="/data/5$ bills~").root == "/data/5$ bills~"


@pytest.mark.parametrize("source", ["embedded", "imagenet"])
def test_pinned_weights_with_a_name_are_no_file(source: str) -> None:
    assert weights(f"{source}#sha256={'0' * 64}", "/jobs") == f"{source}#sha256={'0' * 64}"


def test_pinned_weights_are_the_file_that_there_is(tmp_path: Path) -> None:
    """Percent signs and dollars are letters of the names of files that exist, whatever is pinned behind them."""
    pin = f"#sha256={'0' * 64}"
    for name in ("my%20w.pth", "$HOME.pth"):
        (tmp_path / name).write_bytes(b"")
        assert weights(f"{name}{pin}", str(tmp_path)) == f"{tmp_path}/{name}{pin}"
        assert weights(f"file://{tmp_path}/{name}{pin}", "/jobs") == f"{tmp_path}/{name}{pin}"
    with pytest.raises(ValidationError, match="only shells"):
        weights(f"$WORK/w.pth{pin}", str(tmp_path))


def weights(text: str, base: str) -> str:
    """Return weights as a job file in a folder names them, resolved."""
    found: str = TypeAdapter(WeightsLocation).validate_python(text, context={"base": base})
    return found
