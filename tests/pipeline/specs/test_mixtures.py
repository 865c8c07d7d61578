"""Mixtures of styles in job files."""

from pathlib import Path
from typing import Any

import pytest

from jobs.submit.request import _inputs
from nst_kernel import StyleParams
from pipeline.archives.todo import _styles_of
from pipeline.grids.expand import expand
from pipeline.manifest import ManifestError
from pipeline.specs import gather
from pipeline.specs.archive import ArchiveSpec
from pipeline.specs.grid import GridSpec


def archive(base: Path, styles: object) -> ArchiveSpec:
    return ArchiveSpec.model_validate({"photos": "p", "styles": styles}, context={"base": str(base)})


@pytest.mark.parametrize("mix", [["a.png", "s3://b/c.png"], "a.png|s3://b/c.png", "a.png | s3://b/c.png"])
def test_a_name_may_stand_for_several_styles(tmp_path: Path, mix: object) -> None:
    spec = archive(tmp_path, {"mix": mix, "one": "d.png"})
    assert gather(spec.styles) == {"mix": f"{tmp_path}/a.png|s3://b/c.png", "one": f"{tmp_path}/d.png"}


def test_a_mixture_without_a_name_is_called_as_its_files(tmp_path: Path) -> None:
    assert gather(archive(tmp_path, ["x/a.png|y/b.png", "c.png"]).styles).keys() == {"a+b", "c"}


def test_patterns_in_a_mixture_are_all_that_fits(tmp_path: Path) -> None:
    for name in ("look/1.png", "look/2.png", "z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    spec = archive(tmp_path, {"mix": ["look/*.png", "z.png"]})
    assert gather(spec.styles) == {
        "mix": "|".join(f"{tmp_path}/{name}" for name in ("look/1.png", "look/2.png", "z.png"))
    }
    assert not spec.by_style


def test_contents_are_never_several(tmp_path: Path) -> None:
    given: dict[str, Any] = {"contents": ["a|b.png"], "styles": ["s.png"]}
    (row,) = expand(GridSpec.model_validate(given, context={"base": str(tmp_path)}), defaults={}, file="g.yaml").rows
    assert row.pictures() == {"content": (f"{tmp_path}/a|b.png",), "style": (f"{tmp_path}/s.png",)}


def test_parameters_must_fit_every_mixture(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "contents": ["c.png"],
        "styles": {"mix": ["a.png", "b.png"], "one": "d.png"},
        "parameters": {"style_blend_weights": [[1, 2]]},
    }
    spec = GridSpec.model_validate(given, context={"base": str(tmp_path)})
    with pytest.raises(ManifestError, match=r"style_blend_weights.*expected 1 number, one for each style"):
        expand(spec, defaults={}, file="g.yaml")
    with pytest.raises(ValueError, match=r"style mix: .*expected 2 numbers"):
        _styles_of(archive(tmp_path, given["styles"]), StyleParams(style_blend_weights=(1, 2, 3)))


def test_all_styles_of_a_mixture_travel_to_the_cluster() -> None:
    named = _inputs({"styles": {"mix": ["a.png", "b.png"], "two": "c.png|d.png"}, "contents": "e|f.png"})
    assert sorted(named) == [("contents", "e|f.png"), *(("styles", f"{name}.png") for name in "abcd")]
