"""Pictures on the way in the data of a page."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import storage
from pipeline.outputs import table as result_table
from pipeline.report.frames import MOST, evenly
from pipeline.report.page import write_report
from tests.pipeline.report.support import samples

pytestmark = pytest.mark.usefixtures("without_plotly")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    found = samples.make(tmp_path, good=1, failed=1, diverged=0)
    for number in (10, 20, 30):
        samples.picture(found / "images" / "made1.png.steps" / f"{number:04}.png", number, 16, 24)
    made = samples.ok(found, 1, id="framed", frames=[10, 20, 30], animation="webp")
    result_table.commit(str(found), [made])
    return found


def steps(output: Path) -> dict[str, Any]:
    page = write_report(str(output))
    return dict(zip(samples.column(page, "id"), samples.column(page, "steps"), strict=True))


def test_a_row_has_links_to_its_pictures_on_the_way(output: Path) -> None:
    found = steps(output)
    assert found["framed"] == {
        "frames": [[n, f"../images/made1.png.steps/{n:04}.png"] for n in (10, 20, 30)],
        "animation": "../images/made1.png.steps/animation.webp",
    }
    assert found[samples.HOSTILE] is None


def test_a_link_that_leads_them_elsewhere_is_not_followed(output: Path) -> None:
    folder = output / "images" / "made1.png.steps"
    storage.remove_folder(str(folder), inside=str(output))
    (output.parent / "private").mkdir()
    folder.symlink_to(output.parent / "private")
    assert steps(output)["framed"] is None


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 100])
def test_a_few_of_many_are_shown_with_the_first_and_the_last(count: int) -> None:
    found = evenly(range(1, count + 1))
    assert found == sorted(set(found))
    assert (len(found), found[0], found[-1]) == (min(MOST, count), 1, count)
