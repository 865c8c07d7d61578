"""Two runs side by side: what changed is found, and nothing else."""

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_kernel import StyleParams
from pipeline import images, storage
from pipeline.comparison.compare import Change, Comparison, Thresholds, compare
from pipeline.manifest.ids import derive_id
from pipeline.outputs import layout
from pipeline.outputs import table as result_table
from tests.support import draw

THEN = datetime(2026, 1, 1, tzinfo=UTC)
PICTURES = [images.encode(draw(seed, 16, 20), metadata={}) for seed in range(3)]


def outcome(number: int, *, defaults: Mapping[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """A row of results, of the content of this number."""
    params = StyleParams.of({"size": 20, **(defaults or {})})
    content, style = f"s3://photos/{number}.jpg", "s3://styles/night.png"
    row_id = derive_id(content, style, params, "e" * 64)
    return {
        "id": row_id,
        "fingerprint": f"{number}-{params}",
        "content": content,
        "style": style,
        "params": json.dumps(params.to_json()),
        "status": "ok",
        "output_name": f"{row_id}.png",
        "output": f"s3://elsewhere/images/{row_id}.png",
        "width": 20,
        "height": 16,
        "total_loss": 0.5 + number / 100,
        "seconds": {"fetch": 0.1, "optimise": 10.0, "write": 0.1},
        "seed": 0,
        "encoder": "embedded",
        "encoder_sha256": "e" * 64,
        "versions": json.dumps({"torch": "2.11"}),
        "device": "cpu",
        "precision": "fp32",
        "host": "here",
        "finished_at": THEN,
        "manifest": "s3://photos/pairs.csv",
        "manifest_row": number + 2,
        **changed,
    }


def stored(rows: Sequence[Mapping[str, Any]], pictures: Mapping[int, int] | None = None) -> str:
    """An output with these rows; the picture of each is the first of `PICTURES` if nothing else is said."""
    output = f"memory://runs/{uuid.uuid4().hex}"
    result_table.commit(output, rows)
    for number, row in enumerate(rows):
        if row["status"] in ("ok", "diverged"):
            storage.write_bytes(
                layout.picture_file(output, row["output_name"]), PICTURES[(pictures or {}).get(number, 0)]
            )
    return output


def by_content(changes: Sequence[Change]) -> dict[str, Change]:
    return {change.key["content"]: change for change in changes}


def only(comparison: Comparison) -> Change:
    (change,) = comparison.changes
    return change


@settings(max_examples=15)
@given(st.integers(1, 6), st.sets(st.integers(0, 5)))
def test_a_run_is_no_worse_than_itself(count: int, broken: set[int]) -> None:
    failed: dict[str, Any] = {"status": "failed", "total_loss": None}
    rows = [outcome(n, **(failed if n in broken else {})) for n in range(count)]
    same = stored(rows)
    found = compare(same, same)
    assert found.worse == []
    assert (found.settings, found.only_before, found.only_after) == ({}, [], [])
    assert {change.before["id"] for change in found.changes} == {row["id"] for row in rows}
    for change in found.changes:
        assert change.before == change.after
        expected = (None,) * 4 if change.before["status"] == "failed" else (1.0, 1.0, math.inf, 1.0)
        assert (change.loss_ratio, change.seconds_ratio, change.psnr, change.ssim) == expected
        assert change.notes == []


MUTATIONS = st.sampled_from(["nothing", "loss", "better", "time", "picture", "failed", "diverged", "gone", "new"])


def mutated(number: int, what: str) -> dict[str, Any]:
    changes: Mapping[str, dict[str, Any]] = {
        "loss": {"total_loss": 2.0},
        "better": {"total_loss": 0.1, "seconds": {"fetch": 9.0, "optimise": 1.0, "write": 9.0}},
        "time": {"seconds": {"fetch": 0.1, "optimise": 30.0, "write": 0.1}},
        "failed": {"status": "failed", "error": "no such picture", "total_loss": None},
        "diverged": {"status": "diverged"},
    }
    return outcome(number, defaults={"iterations": 7}, **changes.get(what, {}))


@settings(max_examples=25)
@given(st.lists(MUTATIONS, min_size=1, max_size=8).filter(lambda some: set(some) - {"gone", "new"}))
def test_what_changed_is_found_and_nothing_else_and_swapping_mirrors(mutations: list[str]) -> None:
    old = [outcome(n) for n, what in enumerate(mutations) if what != "new"]
    kept = [(n, what) for n, what in enumerate(mutations) if what != "gone"]
    new = [mutated(n, what) for n, what in kept]
    pictures = {place: 1 for place, (_, what) in enumerate(kept) if what == "picture"}
    before, after = stored(old), stored(new, pictures)
    found = compare(before, after)

    def named(what: str) -> set[str]:
        return {f"s3://photos/{n}.jpg" for n, mutation in enumerate(mutations) if mutation == what}

    said = {"loss": "loss 2", "time": "took 30", "picture": "SSIM", "failed": "failed, was ok", "diverged": "diverged"}
    assert set(by_content(found.worse)) == set().union(*(named(what) for what in said))
    for what, words in said.items():
        for content in named(what):
            (sentence,) = by_content(found.changes)[content].worse
            assert words in sentence
    assert {row["content"] for row in found.only_before} == named("gone")
    assert {row["content"] for row in found.only_after} == named("new")
    assert found.settings == {"iterations": ([150], [7])}
    severities = [len(change.worse) for change in found.changes if change.after["status"] == "ok"]
    assert severities == sorted(severities, reverse=True)
    assert [change.after["status"] for change in found.changes][: len(named("failed"))] == ["failed"] * len(
        named("failed")
    )

    back = compare(after, before)
    assert back.settings == {name: pair[::-1] for name, pair in found.settings.items()}
    assert (back.only_before, back.only_after) == (found.only_after, found.only_before)
    for content, change in by_content(found.changes).items():
        mirror = by_content(back.changes)[content]
        assert (mirror.before, mirror.after) == (change.after, change.before)
        assert (mirror.psnr, mirror.ssim) == pytest.approx((change.psnr, change.ssim), nan_ok=True)
        for there, here in ((mirror.loss_ratio, change.loss_ratio), (mirror.seconds_ratio, change.seconds_ratio)):
            assert there is None if here is None else there == pytest.approx(1 / here)


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"style_weight": 2}, "style_weight"),
        ({"objective": "paper"}, "objective"),
        ({"style_layers": "conv1_1"}, "style_layers"),
        ({"pooling": "max"}, "pooling"),
        ({"layer_weights": "1,2,3,4"}, "layer_weights"),
        ({"content_weight": 2}, "content_weight"),
        ({"tv_weight": 2}, "tv_weight"),
        ({"range_weight": 2}, "range_weight"),
        ({"content_layers": "conv5_2"}, "content_layers"),
        ({"content_layer_weights": "2"}, "content_layer_weights"),
    ],
)
def test_losses_that_mean_different_things_are_not_compared(defaults: dict[str, Any], said: str) -> None:
    found = compare(stored([outcome(1)]), stored([outcome(1, defaults=defaults, total_loss=9.0)]))
    change = only(found)
    assert set(found.settings) == {said}
    assert change.loss_ratio is None
    assert change.notes == [f"losses mean different things: {said} changed"]
    assert (change.worse, change.psnr) == ([], math.inf)
    assert change.seconds_ratio == 1.0


def test_losses_of_other_encoders_and_sizes_are_not_compared() -> None:
    other = compare(stored([outcome(1)]), stored([outcome(1, encoder="imagenet", encoder_sha256="f" * 64)]))
    assert other.settings == {
        "encoder": ("embedded", "imagenet"),
        "encoder_sha256": ("e" * 64, "f" * 64),
    }
    assert "encoder changed" in only(other).notes[0]
    larger = stored([outcome(1, defaults={"size": 40}, width=40, height=32)])
    storage.write_bytes(
        layout.picture_file(larger, outcome(1, defaults={"size": 40})["output_name"]),
        images.encode(draw(1, 32, 40), metadata={}),
    )
    change = only(compare(stored([outcome(1)]), larger))
    assert (change.loss_ratio, change.psnr, change.ssim) == (None, None, None)
    assert change.notes == [
        "losses mean different things: the size of the picture changed",
        "pictures not compared: the pictures are 20 x 16 and 40 x 32 pixels",
    ]


def test_versions_and_machines_are_settings_where_a_run_has_but_one() -> None:
    before = stored([outcome(1), outcome(2, host="there")])
    versions = json.dumps({"torch": "2.15"})
    after = stored([outcome(n, versions=versions, precision="bf16", host="cloud") for n in (1, 2)])
    assert compare(before, after).settings == {"versions.torch": ("2.11", "2.15"), "computed in": ("fp32", "bf16")}


def test_a_picture_that_is_gone_is_worse() -> None:
    before, after = stored([outcome(1)]), stored([outcome(1)])
    storage.remove(layout.picture_file(after, outcome(1)["output_name"]))
    assert "the picture is gone" in only(compare(before, after)).worse[0]
    back = only(compare(after, before))
    assert back.worse == []
    assert "pictures not compared" in back.notes[0]


def test_a_link_that_leads_out_is_no_picture(tmp_path: Path) -> None:
    before, after, private = stored([outcome(1)]), str(tmp_path / "after"), tmp_path / "private.png"
    result_table.commit(after, [outcome(1)])
    private.write_bytes(PICTURES[0])
    link = Path(layout.picture_file(after, outcome(1)["output_name"]))
    link.parent.mkdir()
    link.symlink_to(private)
    (worse,) = only(compare(before, after)).worse
    assert "the picture is gone" in worse
    assert "if a link leads there, remove it" in worse
    link.unlink()
    link.write_bytes(PICTURES[0])
    assert only(compare(before, after)).worse == []


def test_a_replaced_source_is_said() -> None:
    change = only(compare(stored([outcome(1)]), stored([outcome(1, fingerprint="another")])))
    assert "a source picture was replaced" in change.notes[0]
    named = outcome(1, fingerprint="another")
    renamed = {**named, "output_name": f"1-night-{named['id']}.png"}  # as later versions call it by default
    assert only(compare(stored([outcome(1)]), stored([renamed]))).notes == change.notes


@given(
    st.floats(0, 2),
    st.floats(1e-6, 1e6),
    st.floats(1e-6, 1e6),
)
@settings(max_examples=20)
def test_a_loss_is_worse_beyond_its_threshold(share: float, old: float, new: float) -> None:
    rows = [[outcome(1, total_loss=loss)] for loss in (old, new)]
    change = only(compare(stored(rows[0]), stored(rows[1]), thresholds=Thresholds(loss=share)))
    assert change.loss_ratio == new / old
    assert bool(change.worse) == (new / old > 1 + share)


def test_noise_of_the_clock_does_not_count() -> None:
    rows = [[outcome(1, seconds={"fetch": 0.0, "optimise": taken, "write": 0.0})] for taken in (0.2, 0.9)]
    before, after = map(stored, rows)
    assert compare(before, after).worse == []
    assert compare(before, after, thresholds=Thresholds(min_seconds=0.5)).worse != []


def test_runs_that_have_nothing_in_common_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"no row in common.*photos/1\.jpg.*photos/2\.jpg"):
        compare(stored([outcome(1)]), stored([outcome(2)]))
    with pytest.raises(storage.StorageError, match="no results"):
        compare(stored([outcome(1)]), "memory://runs/none")


def test_rows_that_got_worst_come_first() -> None:
    before = stored([outcome(n) for n in range(6)])
    slower = {"seconds": {"fetch": 0.1, "optimise": 30.0, "write": 0.1}}
    after = [
        outcome(0),
        outcome(1, total_loss=2.0),
        outcome(2, total_loss=9.0),
        outcome(3, total_loss=2.0, **slower),
        outcome(4, status="failed", error="no such picture", total_loss=None),
        outcome(5, status="diverged"),
    ]
    found = compare(before, stored(after))
    assert [change.key["content"][-5] for change in found.changes] == ["4", "5", "3", "2", "1", "0"]


def test_among_equally_bad_rows_the_least_similar_picture_comes_first() -> None:
    rows = [outcome(n) for n in range(3)]
    found = compare(stored(rows), stored(rows, {1: 1}), thresholds=Thresholds(ssim=-1))
    assert found.changes[0].key["content"] == "s3://photos/1.jpg"
    assert found.worse == []


def test_pictures_of_diverged_rows_are_compared() -> None:
    rows = [outcome(1, status="diverged")]
    change = only(compare(stored(rows), stored(rows, {0: 1})))
    assert change.ssim is not None
    assert change.ssim < 0.8
    assert any("SSIM" in sentence for sentence in change.worse)
