"""A working folder that travels to a cluster is unpacked somewhere else each time: what is done there stays done."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from pipeline import storage
from pipeline.archives import rows_to_do
from pipeline.archives.index import begin, settle
from pipeline.grids.history import grid_of
from pipeline.manifest.reader import read_manifest
from pipeline.manifest.row import Row
from pipeline.outputs import commit
from pipeline.planning import fingerprint
from pipeline.specs.archive import ArchiveSpec
from tests.support import draw

ENCODER = "e" * 64


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A folder with pictures, a manifest that names them, and one row whose picture is in storage."""
    folder = tmp_path / "sent"
    for number, name in enumerate(("photos/a.png", "photos/b.png", "style.png", "start.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(number, 20, 24)).save(folder / name)
    storage.write_bytes(f"memory:/{tmp_path}/c.png", b"a picture in storage")
    (folder / "rows.csv").write_text(
        "content,style,init\nphotos/a.png,style.png,\nphotos/b.png,style.png,start.png\n"
        f"memory:/{tmp_path}/c.png,style.png,\n"
    )
    return folder


def unpacked(folder: Path, session: str, package: str) -> Path:
    """A copy of a folder where Ray would unpack it, its files as old as the copy."""
    place = folder.parent / session / "runtime_resources" / "working_dir_files" / f"_ray_pkg_{package}"
    shutil.copytree(folder, place, copy_function=shutil.copyfile)
    for file in place.rglob("*"):
        os.utime(file, ns=(hash(package) % 10**9, hash(package) % 10**9))
    return place


def rows_of(place: Path) -> Sequence[Row]:
    return read_manifest(str(place / "rows.csv"), encoder_sha256=ENCODER).rows


def marks(place: Path) -> dict[str, str]:
    """Fingerprints by id, as planning makes them."""
    rows = rows_of(place)
    identities = storage.identities([uri for row in rows for uri in row.uris()])
    return {row.id: fingerprint(row, ENCODER, identities) for row in rows}


def test_unpacked_elsewhere_it_is_the_same_work(sent: Path) -> None:
    first = marks(unpacked(sent, "session_1", "aaaa"))
    (sent / "README.md").write_text("a file that no row reads")
    assert marks(unpacked(sent, "session_1", "bbbb")) == first
    assert marks(unpacked(sent, "session_2", "cccc")) == first


def test_a_picture_that_changed_is_done_again_and_no_other(sent: Path) -> None:
    first = marks(unpacked(sent, "session_1", "aaaa"))
    Image.fromarray(draw(9, 20, 24)).save(sent / "photos" / "b.png")
    second = marks(unpacked(sent, "session_1", "bbbb"))
    assert list(second) == list(first)
    assert [second[id] == first[id] for id in first] == [True, False, True]


def test_a_picture_at_another_path_is_another(sent: Path) -> None:
    first = marks(unpacked(sent, "session_1", "aaaa"))
    (sent / "rows.csv").write_text("content,style\nb.png,style.png\n")
    shutil.copy(sent / "photos" / "a.png", sent / "b.png")
    assert not first.keys() & marks(unpacked(sent, "session_1", "bbbb")).keys()


def test_files_that_do_not_travel_are_known_as_before(sent: Path) -> None:
    here = marks(sent)
    os.utime(sent / "photos" / "a.png", ns=(1, 1))
    after = marks(sent)
    assert [after[id] == here[id] for id in here] == [False, True, True]
    assert here.keys() != marks(unpacked(sent, "session_1", "aaaa")).keys()


def test_many_neighbours_are_looked_up_by_their_bytes_too(sent: Path) -> None:
    place = unpacked(sent, "session_1", "aaaa")
    uris = []
    for number in range(30):
        (place / "photos" / f"{number}.png").write_bytes(b"%d" % number)
        uris.append(str(place / "photos" / f"{number}.png"))
    known = storage.identities(uris)
    assert [known[uri] for uri in uris] == [storage.identity(uri) for uri in uris]
    assert {entry.uri: entry.identity for entry in storage.walk(str(place / "photos"))}.items() >= known.items()
    assert len(set(known.values())) == 30


def test_a_grid_that_travels_is_the_same_grid(sent: Path) -> None:
    one, other = (grid_of(rows_of(unpacked(sent, "session_1", name)), ENCODER) for name in ("aaaa", "bbbb"))
    assert one == other


def test_an_archive_that_travels_is_done_once(sent: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "out")

    def to_do(place: Path) -> list[str]:
        spec = ArchiveSpec(photos=str(place / "photos"), styles=str(place / "style.png"))
        rows = list(rows_to_do(spec, output, defaults={}, weights="embedded"))
        begin(output, 0, rows)
        commit(output, [{"id": one.row.id, "fingerprint": mark, "status": "ok"} for one, mark in rows])
        settle(output)
        return [one.photo.path for one, _ in rows]

    assert sorted(to_do(unpacked(sent, "session_1", "aaaa"))) == ["a.png", "b.png"]
    assert to_do(unpacked(sent, "session_1", "bbbb")) == []
    Image.fromarray(draw(9, 20, 24)).save(sent / "photos" / "b.png")
    assert to_do(unpacked(sent, "session_2", "cccc")) == ["b.png"]
