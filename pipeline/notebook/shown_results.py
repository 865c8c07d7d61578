"""Results to look at: a table that counts, filters, opens in pandas and shows its pictures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import pyarrow as pa
from PIL import Image

from nst_kernel.params import StyleParams
from pipeline import images, storage
from pipeline.manifest import PICTURE_COLUMNS, each_of
from pipeline.notebook import html
from pipeline.outputs import find_picture, pair_name, picture_of, picture_or_reason, query

SHOWN = 20
"""Rows that a notebook shows by default."""

_COLUMNS = ("status", "width", "height", "iterations", "total_loss", "error", "warning", "id")
"""Shown behind the pictures' names and the parameters that vary."""


class ResultRow(Mapping[str, Any]):
    """One row of the results: columns by name, its parameters, curve and pictures."""

    def __init__(self, values: Mapping[str, Any], output: str) -> None:
        self._values, self._output = values, output

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<row {self['id']}: {self['status']}, {self['content']} in the style of {self['style']}>"

    @property
    def params(self) -> StyleParams:
        """Every style parameter of the row, resolved."""
        return StyleParams.of(query.parameters_of(self["params"]))

    @property
    def curve(self) -> dict[str, list[float]]:
        """Losses by iteration: `total`, `content`, `style`, and `style/LAYER`; empty for a row without a picture."""
        losses = self._values.get("curve")
        if not losses:
            return {}
        layers = {f"style/{layer}": values for layer, values in losses["style_layers"] or ()}
        return {name: losses[name] for name in ("total", "content", "style")} | layers

    @property
    def image(self) -> Image.Image:
        """The picture.

        Raises:
            ValueError: if the row has none; says why.
            StorageError: if it cannot be read.
        """
        if not self["output"]:
            raise ValueError(f"row {self['id']} has no picture, it is {self['status']}: {self['error']}")
        return Image.fromarray(images.decode(storage.read_bytes(find_picture(self._output, self))))

    @property
    def picture(self) -> str | None:
        """The URI of the picture, where the output is now; None where there is none, or a link leads elsewhere."""
        return picture_of(self._output, self) if self["output"] else None

    @property
    def shown(self) -> str | storage.StorageError | None:
        """The URI of the picture, or why it cannot be shown; None where there is none."""
        return picture_or_reason(self._output, self) if self["output"] else None

    def _repr_html_(self) -> str:
        facts = {name: self[name] for name in (*PICTURE_COLUMNS, *_COLUMNS) if self[name] is not None}
        # What a quarantined row reads may be why: it is not opened again.
        opened = self["status"] != "quarantined"
        sources: dict[str, str | storage.StorageError | None] = {}
        for role in PICTURE_COLUMNS:
            uris = each_of(role, self[role]) if opened else ()
            names = [role, *(f"{role} {number}" for number in range(2, len(uris) + 1))]
            sources |= dict(zip(names, uris or (None,), strict=True))
        pictures = {**sources, "result": self.shown}
        return html.of_row(
            pictures, facts | {f"params.{name}": v for name, v in query.parameters_of(self["params"]).items()}
        )


class Results(Sequence[ResultRow]):
    """The results of a run, one row per id."""

    def __init__(self, table: pa.Table, output: str) -> None:
        self._table, self._output = table, output

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, which: int | str) -> ResultRow: ...

    @overload
    def __getitem__(self, which: slice) -> "Results": ...

    def __getitem__(self, which: int | str | slice) -> "ResultRow | Results":
        """Return a row by its place or its id, or rows by a slice of places."""
        if isinstance(which, slice):
            return self._take(range(*which.indices(len(self))))
        place: int = self._table["id"].index(which).as_py() if isinstance(which, str) else which
        if isinstance(which, str) and place < 0:
            raise KeyError(which)
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of {len(self):,}")
        (values,) = self._table.slice(place % len(self), 1).to_pylist()
        return ResultRow(values, self._output)

    def __iter__(self) -> Iterator[ResultRow]:
        for batch in self._table.to_batches(max_chunksize=1024):
            yield from (ResultRow(values, self._output) for values in batch.to_pylist())

    def __repr__(self) -> str:
        return self._title()

    def __str__(self) -> str:
        """Return the first rows as text: pictures, parameters that vary, what became of them."""
        lines = [self._title()]
        varying = self._varying()
        for row in self[:SHOWN]:
            params = query.parameters_of(row["params"])
            words = [pair_name(dict(row)), *(f"{name}={params.get(name)}" for name in varying), row["status"]]
            words += [f"loss {row['total_loss']:.4g}"] if row["total_loss"] is not None else []
            lines.append("  " + ", ".join(map(str, words)))
        return "\n".join(lines + ([f"  and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []))

    def _varying(self) -> list[str]:
        """Return the names of style parameters in which rows differ."""
        texts = dict.fromkeys(self._table["params"].to_pylist())
        params = [query.parameters_of(text) for text in texts]
        names = dict.fromkeys(name for each in params for name in each)
        return [name for name in names if len({str(each.get(name)) for each in params}) > 1]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by status."""
        return dict(sorted(Counter(self._table["status"].to_pylist()).items()))

    def filter(self, status: str | Sequence[str] | None = None, /, **wanted: Any) -> "Results":
        """Return the rows that have all of the given values.

        Args:
            status: one, or several of which a row has one.
            wanted: values by name of a parameter, or else of a column. Of a sequence that is no parameter's value by
                itself, a row has to have one. A picture is found by its URI or by its file's name.

        Raises:
            ValueError: for a name that there is not, or a value that a parameter cannot have.
        """
        if status is not None:
            wanted["status"] = status
        conditions = [query.having(name, value) for name, value in wanted.items()]
        return Results(query.matching(self._table, conditions), self._output)

    def to_arrow(self, *, params: bool = False) -> pa.Table:
        """Return the results as an Arrow table; the metadata `doc` of each field describes its column.

        With `params`, there is a column `params.NAME` for each parameter in place of one with all of them as JSON.
        """
        if not params:
            return self._table
        each = [query.parameters_of(text) for text in self._table["params"].to_pylist()]
        table = self._table.drop_columns(["params"])
        for name in dict.fromkeys(name for known in each for name in known):
            table = table.append_column(f"params.{name}", pa.array([known.get(name) for known in each]))
        return table

    def to_pandas(self, *, params: bool = False) -> Any:
        """Return the results as a pandas.DataFrame; `params` is that of `to_arrow`."""
        return self.to_arrow(params=params).to_pandas()

    def show(self, limit: int = 100) -> "Shown":
        """Return an object that a notebook shows as a table of up to `limit` rows with their pictures."""
        return Shown(self._page(limit), repr(self))

    def _take(self, places: Sequence[int]) -> "Results":
        return Results(self._table.take(pa.array(places, pa.int64())), self._output)

    def _title(self) -> str:
        counts = ", ".join(f"{count:,} {status}" for status, count in self.counts.items())
        return f"Results of {storage.without_secrets(self._output)}: {counts or 'no rows'}"

    def _page(self, limit: int) -> str:
        rows = list(self[:limit])
        more = len(self) - len(rows)
        varying = self._varying()
        shown = [{**row, **{name: query.parameters_of(row["params"]).get(name) for name in varying}} for row in rows]
        columns = (*PICTURE_COLUMNS, *varying, *_COLUMNS)
        return html.of_results(self._title(), shown, [row.shown for row in rows], columns=columns, more=more)

    def _repr_html_(self) -> str:
        return self._page(SHOWN)


class Shown:
    """An object that a notebook shows as HTML, and that is text elsewhere."""

    def __init__(self, page: str, text: str) -> None:
        self._page, self._text = page, text

    def _repr_html_(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return self._text
