"""Pictures on the way: written beside the picture of their row, and shown in an animation."""

import dataclasses
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline import images, storage
from pipeline.options import Encoding
from pipeline.outputs import finished, read_results
from pipeline.planning import Batch
from pipeline.recovery import saved_states
from pipeline.stages import StyleActor, Writer, fetch
from pipeline.stages.frames import SHOWN, shown
from tests.pipeline.stages import test_resumable
from tests.pipeline.stages.test_optimise import QUICK, batch_of, rows
from tests.pipeline.stages.test_resumable import Killed, killed_at
from tests.support import draw

home, make = test_resumable.home, test_resumable.make
Make = Callable[..., StyleActor]
FRAMED = dataclasses.replace(QUICK, scales=(16,), iterations=(6, 9), save_every=4)


def write(home: Path, actor: StyleActor, batch: Batch, **encoding: Any) -> list[dict[str, Any]]:
    writer = Writer(str(home / "out"), encoder="r", encoder_sha256="e", encoding=Encoding(**encoding))
    writer(actor(fetch(batch)))
    found: list[dict[str, Any]] = read_results(str(home / "out")).to_pylist()
    return found


def steps(home: Path, name: str = "0.png") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((home / "out" / "images" / f"{name}.steps").glob("*"))}


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_pictures_on_the_way_lie_beside_the_last_which_is_the_picture(home: Path, make: Make) -> None:
    every = [
        FRAMED,
        dataclasses.replace(FRAMED, save_every=5, animation="gif"),
        dataclasses.replace(FRAMED, save_every=0),
    ]
    asked = rows(home, "a.png", "b.png", "a.png")
    batch = batch_of([dataclasses.replace(row, params=params) for row, params in zip(asked, every, strict=True)])
    first, second, third = write(home, make(), batch)
    assert list(steps(home)) == ["0004.png", "0008.png", "0012.png", "0015.png"]
    assert (first["frames"], first["animation"], first["warning"]) == ([4, 8, 12, 15], None, None)
    assert decoded(steps(home)["0004.png"]).shape == (16, 16, 3)
    assert np.array_equal(decoded(steps(home)["0015.png"]), images.decode((home / "out/images/0.png").read_bytes()))
    assert images.read_metadata(steps(home)["0008.png"]) == {"id": "0-a.png", "evaluation": "8"}
    assert list(steps(home, "1.png")) == ["0005.png", "0010.png", "0015.png", "animation.gif"]
    assert (second["frames"], second["animation"]) == ([5, 10, 15], "gif")
    with Image.open(io.BytesIO(steps(home, "1.png")["animation.gif"])) as animation:
        assert animation.size == (32, 32)
    assert (third["frames"], third["animation"]) == (None, None)
    assert not (home / "out" / "images" / "2.png.steps").exists()
    assert finished(str(home / "out")).framed == {"0-a.png": "", "1-b.png": "gif"}


def test_of_16_bits_they_have_8(home: Path, make: Make) -> None:
    actor = make()
    actor.depth = 16
    write(home, actor, batch_of(rows(home, "a.png", params=FRAMED)))
    deep = images.decode((home / "out/images/0.png").read_bytes())
    assert np.abs(decoded(steps(home)["0015.png"]).astype(int) - deep).max() <= 1


def test_a_row_that_goes_on_elsewhere_has_the_pictures_of_one_that_was_never_interrupted(
    home: Path, make: Make
) -> None:
    params = dataclasses.replace(FRAMED, iterations=(6, 12), save_every=3, animation="webp")
    batch = batch_of(rows(home, "a.png", "b.png", params=params))
    write(home, make(), batch)
    undisturbed = {name: steps(home, name) for name in ("0.png", "1.png")}
    storage.remove_folder(str(home / "out" / "images"), inside=str(home))
    with pytest.raises(Killed):
        make(killed_at(13), save_every=5)(fetch(batch))
    # A state was saved after 5 and after 10 evaluations, and all pictures until then before that.
    assert {"0003.png", "0009.png"} < steps(home).keys() < undisturbed["0.png"].keys()
    before = {path: path.stat().st_mtime_ns for path in (home / "out" / "images").rglob("0009.png")}
    write(home, make(), batch)
    assert {name: steps(home, name) for name in ("0.png", "1.png")} == undisturbed
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_they_are_written_before_the_state_that_is_behind_them(
    home: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: who resumes will not make them again."""
    save, write_if, seen = saved_states.save, storage.write_if, list[list[str]]()

    def slow(uri: str, data: bytes, **options: Any) -> bool:
        time.sleep(0.05)
        return write_if(uri, data, **options)

    def saving(uri: str, state: Any) -> bool:
        seen.append(list(steps(home)))
        return save(uri, state)

    monkeypatch.setattr(storage, "write_if", slow)
    monkeypatch.setattr(saved_states, "save", saving)
    params = dataclasses.replace(FRAMED, scales=(), iterations=(9,), save_every=2)
    make(save_every=4)(fetch(batch_of(rows(home, "a.png", params=params))))
    assert seen == [["0002.png", "0004.png"], ["0002.png", "0004.png", "0006.png", "0008.png"]]


def test_what_earlier_computations_left_goes_and_what_is_a_users_stays(home: Path, make: Make) -> None:
    write(home, make(), batch_of(rows(home, "a.png", params=dataclasses.replace(FRAMED, animation="gif"))))
    folder = home / "out" / "images" / "0.png.steps"
    own = (folder / "0004.png").read_bytes()
    Image.fromarray(draw(9, 16, 16)).save(folder / "0010.png")
    (folder / "notes.txt").write_text("mine")
    users = (folder / "0010.png").read_bytes()
    again = dataclasses.replace(FRAMED, save_every=5, style_weight=3.0)
    (row,) = write(home, make(), batch_of(rows(home, "a.png", params=again)))
    assert list(steps(home)) == ["0005.png", "0010.png", "0015.png", "notes.txt"]
    assert steps(home)["0010.png"] == users
    assert own not in steps(home).values()
    assert (row["status"], row["frames"]) == ("ok", [5, 10, 15])


def test_a_picture_on_the_way_that_cannot_be_written_costs_no_row(
    home: Path, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(uri: str, data: bytes, **options: Any) -> bool:
        if "0008" in uri:
            raise storage.StorageError("no space")
        return write_if(uri, data, **options)

    write_if = storage.write_if
    monkeypatch.setattr(storage, "write_if", full)
    (row,) = write(home, make(), batch_of(rows(home, "a.png", params=FRAMED)))
    assert (row["status"], row["frames"]) == ("ok", [4, 12, 15])
    assert "missing, after 8 evaluations" in row["warning"]
    assert "no space" in caplog.text


def test_a_link_leads_none_of_them_elsewhere(home: Path, make: Make) -> None:
    (home / "elsewhere").mkdir()
    (home / "out" / "images").mkdir(parents=True)
    (home / "out" / "images" / "0.png.steps").symlink_to(home / "elsewhere")
    (row,) = write(home, make(), batch_of(rows(home, "a.png", params=FRAMED)))
    assert (row["status"], row["frames"]) == ("ok", [])
    assert not list((home / "elsewhere").iterdir())


@given(st.lists(st.floats(1e-12, 1e12) | st.just(float("nan")), min_size=1, max_size=300), st.data())
def test_an_animation_shows_few_of_them_in_order_and_the_last(losses: list[float], data: st.DataObject) -> None:
    places = st.lists(st.integers(1, len(losses)), unique=True, max_size=120).map(sorted)
    evaluations = [*(each for each in data.draw(places) if each < len(losses)), len(losses)]
    found = shown(evaluations, np.array(losses))
    assert set(found) <= set(evaluations)
    assert found == sorted(set(found))
    assert found[-1] == len(losses)
    assert len(found) <= SHOWN


def test_it_shows_them_at_even_steps_of_the_logarithm_of_the_loss() -> None:
    """Of a loss that falls tenfold in 10 evaluations and as much again in 990, half are of the first 10."""
    losses = np.concatenate([np.logspace(0, -1, 11), np.logspace(-1, -2, 991)[1:]])
    found = shown(list(range(1, len(losses) + 1)), losses)
    assert len([each for each in found if each <= 11]) == 11
    steps = np.diff(np.log(losses[np.array(found) - 1]))[11:]
    assert np.ptp(steps) < 0.01
    even = shown(list(range(1, 1002)), np.logspace(0, -1, 1001))
    assert len(even) == SHOWN
    assert np.ptp(np.diff(even)) <= 1
