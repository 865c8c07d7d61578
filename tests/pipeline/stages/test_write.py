"""The writing stage: what it says of a row, and in which order things become durable."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_kernel import StylizeResult
from pipeline import images, storage
from pipeline.outputs import OutputTaken, provenance, read_results, write_picture
from pipeline.planning import Batch, Fetched, Optimised
from pipeline.stages import Writer
from tests.pipeline.recovery.test_ledger import rows
from tests.support import draw

CURVES = {
    "total": np.array([9.0, 3.0]),
    "content": np.array([5.0, 2.0]),
    "style": np.array([4.0, 1.0]),
    "style/conv1_1": np.array([4.0, 1.0]),
}
RESULT = StylizeResult(draw(1, 16, 24), False, {"total": 3.0, "content": 2.0, "style": 1.0}, CURVES, 2)
"""Each loss is another number."""


def optimised(output: str, *outcomes: StylizeResult) -> Optimised:
    """A batch with these outcomes, which took 6 s to fetch and 30 s to optimise, after 12 s without work."""
    batch = Batch(tuple(rows(len(outcomes))))
    fetched = Fetched(batch, (), provenance.now(), seconds=6.0, row_retries=(0,) * len(outcomes))
    states = (f"{output}/preempted/state.safetensors",)
    return Optimised(fetched, outcomes, "cpu", "fp32", 30.0, 12.0, states)


def write(output: str, *outcomes: StylizeResult) -> list[dict[str, Any]]:
    return Writer(output, encoder="random", encoder_sha256="e")(optimised(output, *outcomes))


def stored(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_results(output).to_pylist()
    return found


def test_a_row_that_diverged_is_told_and_stored_as_such(tmp_path: Path) -> None:
    told = write(str(tmp_path), RESULT, dataclasses.replace(RESULT, diverged=True))
    assert [row["status"] for row in told] == ["ok", "diverged"]
    assert [row["status"] for row in stored(str(tmp_path))] == ["ok", "diverged"]


def test_the_driver_is_told_of_which_trace_a_row_is(tmp_path: Path) -> None:
    batch = optimised(str(tmp_path), RESULT, RESULT)
    trace = f"00-{'c' * 32}-{'d' * 16}-01"
    first, second = batch.fetched.batch.rows
    traced = dataclasses.replace(first, row=dataclasses.replace(first.row, traceparent=trace))
    object.__setattr__(batch.fetched.batch, "rows", (traced, second))
    told = Writer(str(tmp_path), encoder="random", encoder_sha256="e")(batch)
    assert [row["traceparent"] for row in told] == [trace, None]


def test_each_loss_is_in_its_own_column(tmp_path: Path) -> None:
    write(str(tmp_path), RESULT)
    (row,) = stored(str(tmp_path))
    assert (row["total_loss"], row["content_loss"], row["style_loss"]) == (3.0, 2.0, 1.0)
    assert (row["width"], row["height"], row["iterations"]) == (24, 16, 2)
    curve = row["curve"]
    assert (curve["total"], curve["content"], curve["style"]) == ([9, 3], [5, 2], [4, 1])
    assert (curve["iteration"], curve["style_layers"]) == ([0, 1], [("conv1_1", [4, 1])])


def test_seconds_of_a_batch_are_shared_by_its_rows(tmp_path: Path) -> None:
    write(str(tmp_path), RESULT, RESULT, RESULT)
    found = stored(str(tmp_path))
    assert [row["seconds"]["fetch"] for row in found] == [2.0] * 3
    assert [row["seconds"]["optimise"] for row in found] == [10.0] * 3
    assert [row["idle_seconds"] for row in found] == [4.0] * 3


def test_pictures_are_whole_before_their_rows_and_rows_before_the_saved_state_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path)
    state = f"{output}/preempted/state.safetensors"
    storage.write_bytes(state, b"state")
    module = import_module("pipeline.stages.write")
    commit, seen = module.commit, list[bool]()

    def committing(where: str, records: list[dict[str, Any]]) -> str:
        for record in records:
            assert images.decode(Path(record["output"]).read_bytes()).shape == (16, 24, 3)
        seen.append(Path(state).exists())
        part: str = commit(where, records)
        seen.append(Path(state).exists())
        return part

    monkeypatch.setattr(module, "commit", committing)
    write(output, RESULT, RESULT)
    assert seen == [True, True]
    assert not Path(state).exists()


def test_a_process_that_writes_shows_life_after_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[None] = []
    monkeypatch.setattr("pipeline.process.watchdog.alive", lambda: signs.append(None))
    write(str(tmp_path), RESULT, RESULT)
    assert len(signs) == 2


PHOTO = images.encode(draw(2, 16, 16), metadata={})
"""A picture of a user's own, which carries no id."""


@pytest.fixture(params=["local", "s3"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output on this machine, and one on an object store."""
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}" if request.param == "s3" else str(tmp_path)


def made_of(row_id: str) -> bytes:
    """The picture of a row of this id."""
    return images.encode(draw(1, 16, 16), metadata={"id": row_id})


@pytest.mark.parametrize(
    "there", [PHOTO, made_of("another"), b"my notes", b""], ids=["photo", "other", "notes", "none"]
)
def test_what_no_run_wrote_is_not_written_over(output: str, there: bytes) -> None:
    uri = f"{output}/images/0.png"
    storage.write_bytes(uri, there)
    told = write(output, RESULT, RESULT)
    assert [row["status"] for row in told] == ["failed", "ok"]
    assert (told[0]["error_class"], told[0]["output"]) == ("OutputTaken", None)
    for said in (uri, "was not written by a run of this output", "move it away", "another output name"):
        assert said in told[0]["error"]
    assert storage.read_bytes(uri) == there
    assert {row["id"]: row["status"] for row in stored(output)} == {"r0": "failed", "r1": "ok"}


def test_a_picture_whose_row_was_lost_in_a_crash_is_written_again(output: str) -> None:
    uri = f"{output}/images/0.png"
    storage.write_bytes(uri, made_of("r0"))
    assert write(output, RESULT)[0]["status"] == "ok"
    assert images.decode(storage.read_bytes(uri)).shape == (16, 24, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("row_id", ["r0", "Zoë\u2028 & <b>]]>", "1", "\x85"])
def test_pictures_of_every_format_tell_whose_they_are(name: str, row_id: str, tmp_path: Path) -> None:
    data = images.encode(draw(1, 16, 16), format=images.format_of(name), metadata={"id": row_id})
    for _ in range(2):
        write_picture(str(tmp_path), name, data, id=row_id, owned=False)
    with pytest.raises(OutputTaken):
        write_picture(str(tmp_path), name, data, id=f"{row_id}0", owned=False)


def test_a_picture_that_lost_its_id_is_written_over_where_results_say_whose_it_is(output: str) -> None:
    storage.write_bytes(f"{output}/images/a.png", PHOTO)
    with pytest.raises(OutputTaken):
        write_picture(output, "a.png", made_of("r"), id="r", owned=False)
    uri = write_picture(output, "a.png", made_of("r"), id="r", owned=True)
    assert storage.read_bytes(uri) == made_of("r")


@pytest.mark.parametrize("leads_to", ["own.png", "nowhere.png"])
def test_a_link_among_the_pictures_is_left_alone(leads_to: str, tmp_path: Path) -> None:
    link = tmp_path / "images" / "0.png"
    storage.write_bytes(str(tmp_path / "images" / "own.png"), made_of("r0"))
    link.symlink_to(leads_to)
    assert write(str(tmp_path), RESULT)[0]["error_class"] == "OutputTaken"
    assert link.is_symlink()
    assert (tmp_path / "images" / "own.png").read_bytes() == made_of("r0")


def test_a_folder_with_the_name_of_a_picture_fails_its_row(tmp_path: Path) -> None:
    storage.write_bytes(str(tmp_path / "images" / "0.png" / "photo.png"), PHOTO)
    (told,) = write(str(tmp_path), RESULT)
    assert "it is a folder, expected a file" in told["error"]


class Noting:
    """A store that notes the requests made to another one, and has something happen before some of them."""

    def __init__(self, store: storage.Store, requests: Counter[str], before: Callable[[str], None]) -> None:
        self.store, self.requests, self.before = store, requests, before

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.requests[verb] += 1
            self.before(verb)
            return getattr(self.store, verb)(*arguments)

        return noted


@pytest.fixture
def requests_for(request: pytest.FixtureRequest) -> Callable[..., Counter[str]]:
    """Count the requests for the picture at a URI from now on."""

    def counted(uri: str, before: Callable[[str], None] = lambda verb: None) -> Counter[str]:
        found = Counter[str]()
        undo = storage.intercept(lambda of, store: Noting(store, found, before) if of == uri else store)
        request.addfinalizer(undo)
        return found

    return counted


def test_a_new_picture_takes_one_request(output: str, requests_for: Callable[..., Counter[str]]) -> None:
    requests = requests_for(f"{output}/images/0.png")
    assert write(output, RESULT)[0]["status"] == "ok"
    assert requests == {"write_if": 1}


def test_a_photo_that_comes_between_the_look_and_the_write_stays(
    output: str, requests_for: Callable[..., Counter[str]]
) -> None:
    uri, other = f"{output}/images/0.png", PHOTO + b"behind its end"
    storage.write_bytes(uri, made_of("r0"))
    events = iter(["first write", "second write"])

    def meanwhile(verb: str) -> None:
        if verb == "write_if" and next(events, "") == "second write":
            storage.write_bytes(uri, other)

    requests = requests_for(uri, meanwhile)
    assert write(output, RESULT)[0]["error_class"] == "OutputTaken"
    assert storage.read_bytes(uri) == other
    assert requests["write_if"] == 2


def test_a_picture_that_others_write_all_the_time_fails_its_row(
    tmp_path: Path, requests_for: Callable[..., Counter[str]]
) -> None:
    uri, lengths = tmp_path / "images" / "0.png", iter(range(100))
    uri.parent.mkdir()

    def meanwhile(verb: str) -> None:
        if verb == "write_if":
            uri.write_bytes(made_of("r0") + bytes(next(lengths)))

    requests_for(str(uri), meanwhile)
    assert "it changes again and again" in write(str(tmp_path), RESULT)[0]["error"]


def test_a_picture_that_was_written_is_there_whatever_became_of_the_answers(
    tmp_path: Path, requests_for: Callable[..., Counter[str]]
) -> None:
    """A request that is repeated since its answer was lost finds what it has written itself."""
    uri, data = tmp_path / "images" / "0.png", made_of("r0")
    uri.parent.mkdir()

    def meanwhile(verb: str) -> None:
        if verb == "write_if":
            uri.write_bytes(data)

    requests = requests_for(str(uri), meanwhile)
    write_picture(str(tmp_path), "0.png", data, id="r0", owned=False)
    assert requests["write_if"] == 1
