"""How objects show themselves in a notebook: small pages without scripts, every text escaped."""

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import DictLoader, Environment, StrictUndefined
from PIL import Image

from pipeline import images, storage
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.flow import Estimate
    from pipeline.outputs import Progress

_TEMPLATES = {
    "picture": """
{%- macro picture(thumbnail, what) -%}
{%- if thumbnail.source -%}<img src="{{ thumbnail.source }}" alt="{{ what }}" title="{{ what }}">
{%- else -%}<small>{{ thumbnail.obstacle }}</small>{%- endif -%}
{%- endmacro -%}""",
    "results": """
{%- from "picture" import picture -%}
<p>{{ title }}</p>
<table><thead><tr><th>picture</th>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for row, thumbnail in rows -%}
<tr><td>{{ picture(thumbnail, row.id) }}</td>{% for name in columns %}<td>{{ row[name] | cell }}</td>{% endfor %}</tr>
{% endfor -%}
</tbody></table>
{%- if more %}<p>and {{ "{:,}".format(more) }} more: .show(limit) or a slice shows others</p>{% endif %}""",
    "row": """
{%- from "picture" import picture -%}
<table><thead><tr>{% for name in thumbnails %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody><tr>{% for name, small in thumbnails.items() %}<td>{{ picture(small, name) }}</td>{% endfor %}</tr></tbody>
</table>
<table><tbody>
{% for name, value in facts.items() -%}
<tr><th>{{ name }}</th><td style="text-align:left">{{ value | cell }}</td></tr>
{% endfor -%}
</tbody></table>""",
    "estimate": """
<table><thead><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for bucket in buckets -%}
<tr>{% for value in bucket %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor -%}
</tbody></table>
{%- if more %}<p>and {{ more | counted("bucket") }} more, with less work each</p>{% endif %}
<p>{{ summary }}</p>
{% for remark in remarks %}<p>Note: {{ remark }}.</p>{% endfor %}
{% if failures -%}
<table><thead><tr><th>fails at planning</th><th>why</th></tr></thead><tbody>
{% for name, why in failures %}<tr><td>{{ name }}</td><td style="text-align:left">{{ why }}</td></tr>
{% endfor %}</tbody></table>
{%- endif %}""",
    "run": """
<p><progress max="{{ total or 1 }}" value="{{ done if total else 1 }}"></progress> {{ summary }}</p>
{% for remark in remarks %}<p>Note: {{ remark }}.</p>{% endfor %}
{% if failures -%}
<table><thead><tr><th>row not done</th><th>why</th></tr></thead><tbody>
{% for id, why in failures %}<tr><td>{{ names.get(id, id) }}</td><td style="text-align:left">{{ why }}</td></tr>
{% endfor %}</tbody></table>
{%- endif %}
{% if warnings -%}
<table><thead><tr><th>row to look at</th><th>why</th></tr></thead><tbody>
{% for id, why in warnings %}<tr><td>{{ names.get(id, id) }}</td><td style="text-align:left">{{ why }}</td></tr>
{% endfor %}</tbody></table>
{%- endif %}""",
}

SHOWN = 20
"""Buckets and failures at most."""


def cell(value: object) -> str:
    """Return a value as the text of a table's cell."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_pages = Environment(autoescape=True, undefined=StrictUndefined, loader=DictLoader(_TEMPLATES))
_pages.filters.update(cell=cell, counted=counted)


class Thumbnail(NamedTuple):
    """A small picture within a page, or what keeps it from being there."""

    source: str
    obstacle: str = ""


def thumbnail(uri: str, side: int) -> Thumbnail:
    """Return a thumbnail of the picture at a URI, its long side at most `side` pixels."""
    try:
        picture = Image.fromarray(images.decode(storage.read_bytes(uri), min_side=1))
    except (storage.StorageError, images.ImageError) as error:
        return Thumbnail("", str(error))
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}")


Shown = str | storage.StorageError | None
"""The URI of a picture, or why it cannot be shown; None where there is none."""


def thumbnails(pictures: Sequence[Shown], side: int) -> list[Thumbnail]:
    """Return thumbnails of many pictures, read in parallel; an empty one for None."""

    def of(shown: Shown) -> Thumbnail:
        return thumbnail(shown, side) if isinstance(shown, str) else Thumbnail("", str(shown or ""))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(of, pictures))


def of_results(
    title: str, rows: Sequence[Mapping[str, Any]], pictures: Sequence[Shown], *, columns: Sequence[str], more: int
) -> str:
    """Return a table of results with their pictures, as HTML.

    Args:
        title: above it.
        rows: by column.
        pictures: of the rows.
        columns: which are shown.
        more: how many further rows there are.
    """
    small = thumbnails(pictures, 96)
    shown = list(zip(rows, small, strict=True))
    return _pages.get_template("results").render(title=title, rows=shown, columns=columns, more=more)


def of_row(pictures: Mapping[str, Shown], facts: Mapping[str, object]) -> str:
    """Return one row as HTML: its pictures by name side by side, and a table of its values."""
    small = dict(zip(pictures, thumbnails(list(pictures.values()), 256), strict=True))
    return _pages.get_template("row").render(thumbnails=small, facts=facts)


def of_estimate(estimate: "Estimate") -> str:
    """Return an estimate as HTML: buckets, totals and rows that fail at planning."""
    buckets = [
        (
            f"{bucket.shape[1]} x {bucket.shape[0]}",
            " ".join(f"{name}={cell(value)}" for name, value in bucket.settings.items()),
            *(f"{count:,}" for count in (bucket.rows, bucket.styles, bucket.batches, bucket.rows_per_batch)),
            f"{bucket.memory / 1e6:,.0f} MB",
            _clock(estimate.rate.seconds(bucket.multiply_adds)),
        )
        for bucket in estimate.buckets[:SHOWN]
    ]
    words = [estimate.in_words]
    words += [f"passed over: {estimate.passed_over}"] if estimate.passed_over else []
    words += [f"{counted(estimate.actors, 'actor')} on {estimate.device}"]
    words += [estimate.times]
    return _pages.get_template("estimate").render(
        columns=("size", "settings", "rows", "styles", "batches", "of up to", "memory", "time"),
        buckets=buckets,
        more=len(estimate.buckets) - len(buckets),
        summary=", ".join(words),
        failures=estimate.why_first(SHOWN),
        remarks=estimate.remarks,
    )


def of_run(progress: "Progress", summary: str) -> str:
    """Return the progress of a run as HTML."""
    return _pages.get_template("run").render(
        total=progress.total,
        done=progress.finished,
        summary=summary,
        failures=progress.failures[:SHOWN],
        warnings=progress.warnings[:SHOWN],
        remarks=progress.remarks,
        names=progress.names,
    )


def _clock(seconds: float) -> str:
    """Return a number of seconds as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
