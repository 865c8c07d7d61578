"""Pictures on the way, for the card of their row: a few of them, and the animation."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import layout, storage
from pipeline.outputs import Steps
from pipeline.report import links

MOST = 8
"""Pictures on the way that a card shows."""


def on_the_way(picture: str, row: Mapping[str, Any], *, page: str, output: str) -> Mapping[str, Any] | None:
    """Return links to pictures on the way of a row, with the evaluations they were taken after; None: it has none.

    They are shown as they are, once the card is opened, and only where the page may show the picture itself.

    Args:
        picture: URI of the row's picture; empty if it has none.
        row: with `frames` and `animation` as results have them, which older ones lack.
        page: the folder of the page.
        output: the folder of the run.
    """
    frames, animation = row.get("frames"), row.get("animation")
    if not picture or not frames:
        return None
    steps = Steps(picture, "", layout.images_folder(output))

    def link(uri: str) -> str | None:
        href = links.href(uri, page=page, output=output)
        return href if links.shown_here(href) else None

    try:
        shown = [[evaluation, link(steps.frame(evaluation))] for evaluation in evenly(frames)]
        return {"frames": shown, "animation": link(steps.animation(animation)) if animation else None}
    except storage.StorageError:  # a link leads elsewhere, and whoever put it there may read less than we do
        return None


def evenly(frames: Sequence[int]) -> list[int]:
    """Return a few of the pictures on the way, as even apart as can be, with the first and the last."""
    count = min(MOST, len(frames))
    return [frames[round(k * (len(frames) - 1) / max(1, count - 1))] for k in range(count)]
