"""Rows with masks of regions, from the manifest to the picture."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_kernel import StyleParams, StylizeResult
from pipeline import images
from pipeline.manifest import Row, derive_id
from pipeline.planning import Failure, Pictures, fingerprint, mask_problems, plan
from pipeline.specs import globs
from pipeline.specs.fields import with_init_resolved
from pipeline.stages import optimise as actor_module
from pipeline.stages.fetch import fetch
from pipeline.stages.optimise import StyleActor
from tests.pipeline.manifest.test_manifest import read
from tests.pipeline.stages.test_optimise import QUICK, batch_of
from tests.support import draw, random_weights

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def halves(left: tuple[int, ...], right: tuple[int, ...], side: int = 48) -> Image.Image:
    picture = np.full((side, side, 3), left, np.uint8)
    picture[:, side // 2 :] = right
    return Image.fromarray(picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("c.png", 1), ("s.png", 2), ("t.png", 3)):
        Image.fromarray(draw(seed, 32, 32)).save(tmp_path / name)
    halves(RED, BLUE).save(tmp_path / "m.png")
    halves(RED, RED).save(tmp_path / "red.png")
    halves(BLUE, GREEN).save(tmp_path / "blue.png")
    halves((255, 255, 255), (0, 0, 0)).convert("L").save(tmp_path / "left.png")
    halves((0, 0, 0), (255, 255, 255)).convert("L").save(tmp_path / "right.png")
    return tmp_path


def row(folder: Path, *, id: str = "r", styles: str = "s.png|t.png", **masks: str) -> Row:
    def within(names: str) -> str:
        return "|".join(str(folder / name) for name in names.split("|"))

    named: dict[str, Any] = {role: within(names) for role, names in masks.items()}
    params = dataclasses.replace(QUICK, **named)
    return Row(id, str(folder / "c.png"), within(styles), f"{id}.png", params, "rows.csv", 1)


def fetched(asked: Row) -> Pictures:
    (pictures,) = fetch(batch_of([asked])).pictures
    assert isinstance(pictures, Pictures), pictures.error
    return pictures


def test_a_manifest_names_masks_and_the_results_parameters_have_them(folder: Path) -> None:
    line = {
        "content": "c.png",
        "style": ["s.png", "t.png"],
        "content_mask": "m.png",
        "style_mask": ["red.png", "b.png"],
    }
    (folder / "rows.jsonl").write_text(json.dumps(line))
    (asked,) = read(folder / "rows.jsonl").rows
    assert asked.pictures()["content_mask"] == (f"{folder}/m.png",)
    assert asked.pictures()["style_mask"] == (f"{folder}/red.png", f"{folder}/b.png")
    assert StyleParams.of(asked.params.to_json()) == asked.params
    (folder / "rows.csv").write_text("content,style,content_mask,style_mask\nc.png,s.png|t.png,m.png,red.png|b.png\n")
    assert read(folder / "rows.csv").rows[0].params == asked.params


def test_masks_and_what_is_in_them_are_part_of_a_request(folder: Path) -> None:
    asked, other = row(folder, content_mask="m.png"), row(folder, content_mask="left.png")
    assert derive_id(asked.content, asked.style, asked.params, "e") != derive_id(
        other.content, other.style, other.params, "e"
    )
    known: dict[str, Any] = dict.fromkeys(asked.uris(), "1")
    assert str(folder / "m.png") in known
    assert fingerprint(asked, "e", known) != fingerprint(asked, "e", {**known, str(folder / "m.png"): "2"})


def test_only_rows_with_masks_share_their_batches(folder: Path) -> None:
    asked = [row(folder, id="a", content_mask="left.png"), row(folder, id="b", content_mask="left.png|right.png")]
    batches = plan([*asked, row(folder, id="c")], encoder_sha256="e").batches
    assert sorted(sorted(each.row.id for each in batch.rows) for batch in batches) == [["a", "b"], ["c"]]


def test_labels_become_masks_at_the_size_of_their_pictures(folder: Path) -> None:
    pictures = fetched(row(folder, content_mask="m.png", style_mask="red.png|blue.png"))
    assert pictures.content_mask is not None
    red = int(pictures.content_mask[:, 0, 0].argmax())
    expected = np.asarray(halves((255,) * 3, (0,) * 3, 32))[..., 0]
    assert np.array_equal(pictures.content_mask[red], expected)
    assert [style[red].mean() for style in pictures.style_mask] == [255, 0]
    assert np.array_equal(pictures.style_mask[1][1 - red], expected)


def test_grey_pictures_are_soft_masks_of_one_style_each(folder: Path) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    Image.fromarray(ramp).save(folder / "ramp.png")
    halves((0, 0, 0), (255, 255, 255), 64).save(folder / "right.png")
    pictures = fetched(row(folder, content_mask="ramp.png|right.png"))
    assert pictures.content_mask is not None
    assert np.abs(pictures.content_mask[0] - ramp.reshape(32, 2, 32, 2).mean((1, 3))).max() <= 1
    assert [style.flatten().tolist() for style in pictures.style_mask] == [[255, 0], [0, 255]]


def test_a_mask_is_numbers_that_no_profile_changes(folder: Path) -> None:
    from PIL import ImageCms

    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    halves((200, 10, 10), (10, 10, 200)).save(folder / "m.png", icc_profile=linear.tobytes())
    assert images.decode_labels((folder / "m.png").read_bytes())[0, 0].tolist() == [200, 10, 10]


def test_masks_that_cannot_be_used_fail_their_row_alone_and_say_why(folder: Path) -> None:
    halves(RED, BLUE).convert("RGBA").save(folder / "opaque.png")
    clear = halves(RED, BLUE).convert("RGBA")
    clear.putpixel((3, 3), (255, 0, 0, 0))
    clear.save(folder / "clear.png")
    Image.fromarray(np.asarray(halves(RED, BLUE))[:30]).save(folder / "flat.png")
    speck = halves(RED, RED)
    speck.putpixel((5, 5), BLUE)
    speck.save(folder / "speck.png")
    wrong = {
        "clear.png": "the mask is transparent in places",
        "flat.png": "the mask is 48 x 30 px, another aspect ratio",
        "speck.png": "the mask of the content has 1 pixel of #0000ff",
        "nowhere.png": "nowhere.png",
    }
    masks = {"style_mask": "red.png|blue.png"}
    asked = [row(folder, id=name, content_mask=name, **masks) for name in (*wrong, "opaque.png")]
    planned = batch_of([asked[-1]])
    all_of_them = tuple(dataclasses.replace(planned.rows[0], row=each) for each in asked)  # whatever the plan thinks
    *bad, good = fetch(dataclasses.replace(planned, rows=all_of_them)).pictures
    assert isinstance(good, Pictures)
    for failure, expected in zip(bad, wrong.values(), strict=True):
        assert isinstance(failure, Failure)
        assert expected in failure.error


def test_masks_that_do_not_fit_fail_their_row_alone_before_anything_starts(folder: Path) -> None:
    Image.fromarray(np.asarray(halves(RED, BLUE))[:30]).save(folder / "flat.png")
    (folder / "text.png").write_text("no picture")
    halves((255, 255, 255), (0, 0, 0), 64).convert("L").save(folder / "large.png")
    own = {"styles": "s.png", "content_mask": "left.png|right.png"}
    wrong = {
        "gone": (row(folder, id="gone", content_mask="m.png", style_mask="nowhere.png|red.png"), "nowhere.png"),
        "text": (row(folder, id="text", content_mask="text.png"), "text.png: the file"),
        "flat": (row(folder, id="flat", content_mask="flat.png"), "flat.png: the mask is 48 x 30 px, another aspect"),
        "own": (row(folder, id="own", style_mask="left.png|flat.png", **own), "flat.png: the mask is 48 x 30 px"),
        "sizes": (row(folder, id="sizes", content_mask="left.png|large.png"), "expected one size for all"),
        "style": (row(folder, id="style", styles="gone.png", content_mask="m.png", style_mask="red.png"), "gone.png"),
    }
    good = row(folder, id="good", content_mask="m.png", style_mask="red.png|blue.png")
    asked = [*(each for each, _ in wrong.values()), good, row(folder, id="none")]
    planned = {each.row.id: each for batch in plan(asked, encoder_sha256="e").batches for each in batch.rows}
    assert [name for name, each in planned.items() if not each.failure] in (["good", "none"], ["none", "good"])
    for name, (_, expected) in wrong.items():
        failure = planned[name].failure
        assert failure is not None
        assert expected in failure.error
    problems = mask_problems(asked)
    columns = ["style_mask", "content_mask", "content_mask", "style_mask", "content_mask", "style"]
    assert [problem.column for problem in problems] == columns
    for problem, (_, expected) in zip(problems, wrong.values(), strict=True):
        assert expected in problem.expected
        assert problem.value


def test_a_region_that_no_style_has_keeps_its_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_module, "load_encoder", lambda _: random_weights(deepest="conv2_2"))
    asked = [
        row(folder, id="kept", content_mask="left.png", styles="s.png"),
        row(folder, id="both", content_mask="left.png|right.png"),
    ]
    kept, both = StyleActor("any")(fetch(batch_of(asked))).outcomes
    content = draw(1, 32, 32).astype(int)
    assert isinstance(kept, StylizeResult)
    assert isinstance(both, StylizeResult)
    assert np.abs(kept.image.astype(int) - content)[:, 19:].max() <= 1
    assert np.abs(kept.image.astype(int) - content)[:, :13].max() > 1
    assert np.abs(both.image.astype(int) - content)[:, 19:].max() > 1


def test_a_key_of_a_style_is_of_its_masks_too() -> None:
    style, masks = draw(1, 16, 16), np.zeros((2, 16, 16), np.uint8)
    keys = {actor_module._key(style, given) for given in (None, masks, 255 - masks, masks[:1])}
    assert len(keys) == 4


def test_masks_of_a_job_file_mean_the_same_everywhere() -> None:
    info: Any = SimpleNamespace(context={"base": "/jobs"})
    given = with_init_resolved({"content_mask": "a.png|b.png", "size": 3}, info)
    assert given["size"] == 3
    assert [globs.stem(uri) for uri in given["content_mask"].split("|")] == ["a", "b"]
