"""The stages by themselves, without Ray: fetch, optimise, write."""

import contextlib
import dataclasses
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from nst_kernel import Pair, StyleParams, StylizeResult, Vgg19, stylize_batch
from nst_kernel.cost import Saving
from pipeline import images
from pipeline.images.encode import format_of
from pipeline.manifest.row import Row
from pipeline.outputs import table as result_table
from pipeline.planning.batch import Batch, Failure, Optimised, Picture, Pictures, PlannedRow
from pipeline.planning.plan import plan
from pipeline.recovery import repeats
from pipeline.recovery.guard import guarded_write
from pipeline.stages import optimise as actor_module
from pipeline.stages.fetch import fetch
from pipeline.stages.optimise import StyleActor, is_out_of_memory
from pipeline.stages.write import UNIMPROVED, Writer, encode_result
from tests.pipeline.recovery.test_ledger import Crashed, CrashingLedger
from tests.support import draw, random_weights

QUICK = StyleParams(
    precision="fp32",
    size=32,
    iterations=(3,),
    scales=(),
    style_layers=("conv1_1", "conv2_1"),
    content_layers=("conv2_1",),
)


@pytest.fixture
def style_actor(monkeypatch: pytest.MonkeyPatch) -> StyleActor:
    monkeypatch.setattr(actor_module, "load_encoder", lambda _: random_weights(0, "conv2_2", narrower=8))
    return StyleActor("any")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, seed in (("a.png", 1), ("b.png", 2), ("s.png", 3), ("c.png", 4)):
        Image.fromarray(draw(seed, 32, 32)).save(tmp_path / name)
    return tmp_path


def rows(folder: Path, *contents: str, params: StyleParams = QUICK) -> list[Row]:
    style = str(folder / "s.png")
    return [
        Row(f"{n}-{name}", str(folder / name), style, f"{n}.png", params, "rows.csv", n)
        for n, name in enumerate(contents)
    ]


def batch_of(asked: list[Row]) -> Batch:
    """One batch, in the order asked."""
    (batch,) = plan(asked, encoder_sha256="e").batches
    planned = {planned.row.id: planned for planned in batch.rows}
    return Batch(tuple(planned[row.id] for row in asked))


def test_a_style_gets_the_long_side_of_the_output(folder: Path) -> None:
    Image.fromarray(draw(5, 40, 160)).save(folder / "s.png")
    Image.fromarray(draw(6, 24, 20)).save(folder / "b.png")
    for size, upscale, sides in ((512, False, (32, 24)), (20, False, (20, 20)), (48, True, (48, 48))):
        params = dataclasses.replace(QUICK, size=size, upscale=upscale, aspect_tolerance=0.0)
        batches = plan(rows(folder, "a.png", "b.png", params=params), encoder_sha256="e").batches
        fetched = {
            planned.row.output: pictures
            for batch in batches
            for planned, pictures in zip(batch.rows, fetch(batch).pictures, strict=True)
        }
        for name, side in zip(("0.png", "1.png"), sides, strict=True):
            pictures = fetched[name]
            assert isinstance(pictures, Pictures)
            assert pictures.content is not None
            assert max(pictures.content.shape) == side
            # It keeps its shape, 4 : 1, though no side may have less than 16 pixels.
            assert pictures.style[0].shape[:2] == (max(16, side // 4), max(64, side))


def test_several_styles_are_fetched_each_at_its_scale(folder: Path, style_actor: StyleActor) -> None:
    Image.fromarray(draw(5, 40, 160)).save(folder / "t.png")
    params = dataclasses.replace(QUICK, style_scale=(0.5, 2.0), style_blend_weights=(1.0, 0.0))
    (plain,) = rows(folder, "a.png", params=dataclasses.replace(QUICK, style_scale=(0.5,)))
    (mixed,) = rows(folder, "b.png", params=params)
    mixed = dataclasses.replace(mixed, style=f"{plain.style}|{folder / 't.png'}", content=plain.content, output="2.png")
    fetched = fetch(batch_of([plain, mixed]))
    shapes = [
        [style.shape[:2] for style in pictures.style] for pictures in fetched.pictures if isinstance(pictures, Pictures)
    ]
    assert shapes == [[(16, 16)], [(16, 16), (16, 64)]]
    one, other = style_actor(fetched).outcomes
    assert isinstance(one, StylizeResult)
    assert isinstance(other, StylizeResult)
    assert one.losses == other.losses, "the second style has no weight"


def test_a_missing_second_style_fails_its_row_alone(folder: Path) -> None:
    (good,) = rows(folder, "a.png")
    bad = dataclasses.replace(good, id="bad", output="bad.png", style=f"{good.style}|{folder / 'nowhere.png'}")
    fetched = fetch(batch_of([good, bad]))
    assert isinstance(fetched.pictures[0], Pictures)
    assert isinstance(fetched.pictures[1], Failure)
    assert "nowhere.png" in fetched.pictures[1].error


def test_the_shape_of_a_texture_is_not_its_styles_scale(folder: Path, style_actor: StyleActor) -> None:
    params = dataclasses.replace(QUICK, content_weight=0.0, init="noise", style_scale=(0.5,))
    row = dataclasses.replace(rows(folder, "a.png", params=params)[0], content=None)
    (outcome,) = style_actor(fetch(batch_of([row]))).outcomes
    assert isinstance(outcome, StylizeResult)
    assert outcome.image.shape[:2] == (32, 32)


def test_a_row_whose_loss_never_fell_says_so(folder: Path, style_actor: StyleActor) -> None:
    still = dataclasses.replace(QUICK, iterations=(1,))
    asked = [*rows(folder, "a.png", params=still), dataclasses.replace(*rows(folder, "b.png"), output="b.png")]
    for row in asked:
        (batch,) = plan([row], encoder_sha256="e").batches
        (reported,) = Writer(str(folder / "out"), encoder="any", encoder_sha256="e")(style_actor(fetch(batch)))
        assert reported["status"] == "ok"
        assert reported["warning"] == (UNIMPROVED if row.params == still else None)
    written = result_table.read_results(str(folder / "out"), columns=["warning"])
    assert sorted(map(str, written["warning"].to_pylist())) == sorted([str(None), UNIMPROVED])


def test_a_file_that_rows_share_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(rows(folder, "a.png", "b.png", "a.png"))
    reads: list[bytes] = []
    decode_to = images.decode_to

    def counting(data: bytes, *arguments: Any, **options: Any) -> tuple[Picture, tuple[int, int]]:
        reads.append(data)
        return decode_to(data, *arguments, **options)

    monkeypatch.setattr(images, "decode_to", counting)
    fetched = fetch(batch)
    assert len(reads) == 3  # a, b and the style
    assert all(isinstance(pictures, Pictures) for pictures in fetched.pictures)


def test_a_picture_gone_between_plan_and_fetch_fails_its_row_alone(folder: Path, style_actor: StyleActor) -> None:
    batch = batch_of(rows(folder, "a.png", "b.png"))
    (folder / "a.png").unlink()
    gone, fine = style_actor(fetch(batch)).outcomes
    assert isinstance(gone, Failure)
    assert "a.png" in gone.error
    assert isinstance(fine, StylizeResult)


def test_whatever_a_picture_does_to_a_decoder_concerns_its_row_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, bad = images.decode_to, (folder / "a.png").read_bytes()

    def decoding(data: bytes, *how: Any, **options: Any) -> Any:
        if data == bad:
            raise KeyError("out of nowhere")
        return decode(data, *how, **options)

    batch = batch_of(rows(folder, "a.png", "b.png"))
    monkeypatch.setattr(images, "decode_to", decoding)
    odd, fine = fetch(batch).pictures
    assert isinstance(odd, Failure)
    assert (odd.error_class, "a.png" in odd.error) == ("KeyError", True)
    assert isinstance(fine, Pictures)


def test_a_failure_known_to_the_plan_passes_through(folder: Path, style_actor: StyleActor) -> None:
    why = Failure("ImageError", "no picture")
    planned = PlannedRow(rows(folder, "a.png")[0], "f", None, why)
    assert style_actor(fetch(Batch((planned,)))).outcomes == (why,)


def test_a_batch_that_fails_is_split_until_the_row_at_fault_fails_alone(
    folder: Path, style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(rows(folder, "a.png", "b.png", "a.png", "b.png", "a.png"))
    sizes: list[int] = []
    poison = torch.from_numpy(draw(2, 32, 32)).permute(2, 0, 1) / 255

    def scarce(pairs: list[Pair], encoder: Vgg19, **options: object) -> list[StylizeResult]:
        sizes.append(len(pairs))
        if any(pair.content is not None and torch.equal(pair.content, poison) for pair in pairs):
            raise torch.OutOfMemoryError("out of memory")
        return stylize_batch(pairs, encoder)

    monkeypatch.setattr(actor_module, "stylize_batch", scarce)
    outcomes = style_actor(fetch(batch)).outcomes
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False, True, False]
    assert [o.error_class for o in outcomes if isinstance(o, Failure)] == ["OutOfMemoryError"] * 2
    assert sizes[0] == 5


def test_a_row_without_room_has_one_more_try_with_less_memory(
    folder: Path, style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An allocator that has room for two pairs, or for one in full; the large one fits only with checkpointing."""
    batch = batch_of(rows(folder, "a.png", "b.png", "a.png", "a.png"))
    large = torch.from_numpy(draw(2, 32, 32)).permute(2, 0, 1) / 255
    tries: list[tuple[int, Saving]] = []

    def scarce(pairs: list[Pair], encoder: Vgg19, *, saving: Saving, **options: Any) -> list[StylizeResult]:
        tries.append((len(pairs), saving))
        is_large = any(pair.content is not None and torch.equal(pair.content, large) for pair in pairs)
        if len(pairs) > 2 or (is_large and saving == "nothing"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return stylize_batch(pairs, encoder, saving=saving, **options)

    monkeypatch.setattr(actor_module, "stylize_batch", scarce)
    outcomes = style_actor(fetch(batch)).outcomes
    assert all(isinstance(outcome, StylizeResult) for outcome in outcomes)
    assert tries == [
        *((4, "nothing"), (2, "nothing"), (1, "nothing"), (1, "nothing")),
        *((1, "checkpoint"), (2, "nothing")),
    ]


def test_what_is_larger_than_a_tile_is_tried_in_tiles_last(
    folder: Path, style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Saving] = []

    def scarce(pairs: list[Pair], encoder: Vgg19, *, saving: Saving, **options: Any) -> list[StylizeResult]:
        tries.append(saving)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(actor_module, "stylize_batch", scarce)
    monkeypatch.setattr("pipeline.planning.cost.TILE", 16)
    (outcome,) = style_actor(fetch(batch_of(rows(folder, "a.png")))).outcomes
    assert isinstance(outcome, Failure)
    assert tries == ["nothing", "checkpoint", "tiles"]


def test_another_error_is_not_tried_again(
    folder: Path, style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Saving] = []

    def broken(pairs: list[Pair], encoder: Vgg19, *, saving: Saving, **options: Any) -> list[StylizeResult]:
        tries.append(saving)
        raise RuntimeError("a kernel is missing")

    monkeypatch.setattr(actor_module, "stylize_batch", broken)
    (outcome,) = style_actor(fetch(batch_of(rows(folder, "a.png")))).outcomes
    assert isinstance(outcome, Failure)
    assert "a kernel is missing" in outcome.error
    assert tries == ["nothing"]


def test_what_torch_says_where_the_machine_has_no_room() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    for said in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling", "std::bad_alloc"):
        assert is_out_of_memory(RuntimeError(said)) is (said != "std::bad_alloc")
    assert is_out_of_memory(MemoryError("std::bad_alloc"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_batch_planned_for_little_memory_is_computed_with_little(
    folder: Path, style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Saving] = []

    def watched(pairs: list[Pair], encoder: Vgg19, *, saving: Saving, **options: Any) -> list[StylizeResult]:
        seen.append(saving)
        return stylize_batch(pairs, encoder, saving=saving, **options)

    monkeypatch.setattr(actor_module, "stylize_batch", watched)
    style_actor(fetch(dataclasses.replace(batch_of(rows(folder, "a.png")), saving="checkpoint")))
    assert seen == ["checkpoint"]


def test_a_style_is_looked_at_once_by_an_actor(folder: Path, style_actor: StyleActor) -> None:
    for _ in range(2):
        style_actor(fetch(batch_of(rows(folder, "a.png", "b.png"))))
    assert (style_actor.grams.hits, style_actor.grams.misses) == (3, 1)


def test_the_same_row_in_a_batch_and_alone(folder: Path, style_actor: StyleActor) -> None:
    together = style_actor(fetch(batch_of(rows(folder, "a.png", "b.png")))).outcomes
    alone = style_actor(fetch(batch_of(rows(folder, "b.png")))).outcomes
    assert isinstance(together[1], StylizeResult)
    assert isinstance(alone[0], StylizeResult)
    # Convolutions may sum in another order for another batch size: a grey level at most.
    assert np.abs(together[1].image.astype(int) - alone[0].image).max() <= 1


def test_a_picture_that_cannot_be_written_fails_its_row(folder: Path, style_actor: StyleActor) -> None:
    asked = rows(folder, "a.png", "b.png")
    output = folder / "out"
    (output / "images" / "0.png").mkdir(parents=True)  # a folder stands where the picture should go
    optimised = style_actor(fetch(batch_of(asked)))
    said = Writer(str(output), encoder="random", encoder_sha256="e")(optimised)
    assert [row["status"] for row in said] == ["failed", "ok"]
    assert "0.png" in said[0]["error"]


def test_a_linked_folder_leads_no_picture_out_of_the_output(folder: Path, style_actor: StyleActor) -> None:
    output, outside = folder / "out", folder / "outside"
    (output / "images" / "inside").mkdir(parents=True)
    outside.mkdir()
    (output / "images" / "linked").symlink_to(outside)
    (output / "images" / "within").symlink_to(output / "images" / "inside")
    names = ("linked/a.png", "linked/deep/b.png", "within/c.png")
    some = rows(folder, "a.png", "b.png", "c.png")
    asked = [dataclasses.replace(row, output=name) for row, name in zip(some, names, strict=True)]
    said = Writer(str(output), encoder="random", encoder_sha256="e")(style_actor(fetch(batch_of(asked))))
    outcomes = {row["id"]: (row["status"], row["error"] or "") for row in said}
    assert [outcomes[row.id][0] for row in asked] == ["failed", "failed", "ok"]
    assert "if a link leads there, remove it" in outcomes[asked[0].id][1]
    assert list(outside.iterdir()) == []
    assert (output / "images" / "inside" / "c.png").exists()


def test_pictures_travel_and_are_written_with_the_depth_that_was_asked_for(
    folder: Path, style_actor: StyleActor
) -> None:
    fetched = fetch(batch_of([dataclasses.replace(rows(folder, "a.png")[0], output="a.tif")]))
    style_actor.depth = 16
    (deep,), (planned,) = style_actor(fetched).outcomes, fetched.batch.rows
    style_actor.depth = 8
    (shallow,) = style_actor(fetched).outcomes
    assert isinstance(deep, StylizeResult)
    assert isinstance(shallow, StylizeResult)
    assert (str(deep.image.dtype), str(shallow.image.dtype)) == ("uint16", "uint8")
    assert np.abs(deep.image / 257.0 - shallow.image).max() <= 0.5 + 1 / 257
    written = tifffile.imread(io.BytesIO(encode_result(planned, deep, "e")))
    np.testing.assert_array_equal(written, deep.image)


@pytest.mark.parametrize("name", ["a.gif", "a", "png", "a.png.txt"])
def test_a_format_that_there_is_not(name: str) -> None:
    with pytest.raises(ValueError, match=r"\.png"):
        format_of(name)


def test_a_writer_that_dies_of_a_row_gets_the_others_through(folder: Path, style_actor: StyleActor) -> None:
    optimised = style_actor(fetch(batch_of(rows(folder, "a.png", "b.png", "c.png"))))
    output = str(folder / "out")
    writer = Writer(output, encoder="random", encoder_sha256="e")
    notes = CrashingLedger(output)

    def write(some: Optimised, places: Sequence[int]) -> list[dict[str, Any]]:
        for place in places:
            planned, outcome = some.fetched.batch.rows[place], some.outcomes[place]
            if str(planned.row.content).endswith("b.png") and not isinstance(outcome, Failure):
                raise Crashed
        return writer(some, places)

    said: list[dict[str, Any]] = []
    deaths = 0
    while not said and deaths < 10:
        with contextlib.suppress(Crashed), repeats.telling(deaths > 0):  # as Ray tells
            said = guarded_write(write, notes)(optimised)
        deaths += not said
    assert deaths == 2
    assert [row["status"] for row in said] == ["ok", "quarantined", "ok"]
    stored = result_table.read_results(output).to_pylist()
    assert sorted(row["status"] for row in stored) == ["ok", "ok", "quarantined"]
    assert [row["batch_size"] for row in said] == [3, 0, 0]
    assert [row["seconds"]["optimise"] for row in stored] == pytest.approx([optimised.seconds / 3] * 3)


@pytest.mark.parametrize("broken", [False, True])
def test_an_actor_whose_gpu_is_lost_ends(
    style_actor: StyleActor, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    def synchronize() -> None:
        if broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    ended: list[int] = []
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    style_actor._check_device()
    assert ended == [1] * broken
