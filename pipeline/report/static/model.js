"use strict";
// The rows: columns as they came, what they are called, and which of them are asked for.

nst.model = (() => {
  const rows = {};
  const sources = {};
  const dimensions = [];
  let count = 0;
  let words = null;

  const join = (target, kind, parts) => {
    for (let k = 0; k < parts; k++) {
      for (const [name, values] of Object.entries(nst.data.get(kind, k))) {
        if (name === "dimensions") {
          target.dimensions ??= values.map(() => []);
          values.forEach((codes, d) => (target.dimensions[d] = target.dimensions[d].concat(codes)));
        } else target[name] = (target[name] ?? []).concat(values);
      }
    }
  };

  // Something by which rows differ: `code(row)` is -1 where a row has nothing, `present` are the codes in order.
  const add = (name, code, text, numeric, value) => {
    const found = new Set();
    for (let row = 0; row < count; row++) found.add(code(row));
    found.delete(-1);
    if (found.size < 2) return;
    const order = numeric ? (a, b) => a - b : (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
    dimensions.push({ name, code, text, numeric, value, present: [...found].sort(order) });
  };

  const start = () => {
    const index = nst.data.index();
    join(sources, "sources", index.files.sources);
    join(rows, "rows", index.files.rows);
    count = rows.id?.length ?? 0;
    index.dimensions.forEach((said, d) => {
      const codes = rows.dimensions?.[d] ?? [];
      add(said.name, (row) => codes[row], (code) => String(said.values[code]), said.numeric, (code) => said.values[code]);
    });
    const source = (code) => sources.name[code];
    add("content", (row) => rows.content[row], source, false, source);
    add("style", (row) => rows.style[row], source, false, source);
  };

  const status = (row) => nst.data.index().statuses[rows.status[row]];
  const reason = (row) => (rows.reason[row] < 0 ? "" : nst.data.index().reasons[rows.reason[row]]);
  const warning = (row) => (rows.warning[row] < 0 ? "" : nst.data.index().warnings[rows.warning[row]]);
  const sourceName = (number) => (number < 0 ? "none" : sources.name[number]);
  const small = (name) => (name ? `thumbs/${name}.webp` : null);

  // The whole picture where the page may show it: beside it or on this machine, not elsewhere, and not as a TIFF.
  const whole = (row) => {
    const href = rows.href[row];
    return href && !/^https?:|\.tiff?$/i.test(href) ? href : null;
  };

  const thumb = (row) => small(rows.thumb[row]) ?? (nst.data.index().late ? whole(row) : null);
  const contentThumb = (row) => (rows.content[row] < 0 ? null : small(sources.thumb[rows.content[row]]));
  // The numbers of the pictures behind a number: those of a mixture, or itself.
  const parts = (number) => (number < 0 ? [] : sources.parts[number].length ? sources.parts[number] : [number]);
  const sourceThumb = (number) => small(sources.thumb[number]);
  const contentView = (row) => (rows.content[row] < 0 ? null : small(sources.view[rows.content[row]]) ?? contentThumb(row));
  const view = (row) => whole(row) ?? small(rows.view[row]) ?? thumb(row);

  // What a row's id, pictures, parameters and error are called, for the search.
  const haystack = () =>
    (words ??= rows.id.map((id, row) =>
      [id, sourceName(rows.content[row]), sourceName(rows.style[row]), reason(row), warning(row), ...labels(row)].join("\n").toLowerCase(),
    ));

  // What a row is called: the id that somebody gave it, else its pictures.
  const DERIVED = /^[0-9a-f]{16}$/;
  const bare = (name) => name.replace(/\.(png|jpe?g|webp|tiff?|avif|heic|gif|bmp)$/i, "");
  const pair = (row) => [rows.content[row], rows.style[row]].filter((number) => number >= 0).map((number) => bare(sources.name[number])).join(" × ");
  const title = (row) => (DERIVED.test(rows.id[row]) ? pair(row) || rows.id[row] : rows.id[row]);
  // What stands below the title: pictures, where the title is an id, and the parameters that vary.
  const subtitle = (row) => [...(title(row) === pair(row) || !pair(row) ? [] : [pair(row)]), ...labels(row)];
  const alphabetical = new Intl.Collator("en", { numeric: true });
  let ranks = null;
  const rank = (row) => {
    if (!ranks) {
      const names = rows.id.map((_, k) => [title(k), ...subtitle(k)].join(", "));
      const order = names.map((_, k) => k).sort((a, b) => alphabetical.compare(names[a], names[b]) || a - b);
      ranks = new Array(count);
      order.forEach((k, place) => (ranks[k] = place));
    }
    return ranks[row];
  };

  // The row's value in each dimension that is a parameter: "style_weight 3".
  const labels = (row) =>
    dimensions
      .filter(({ name, code }) => name !== "content" && name !== "style" && code(row) >= 0)
      .map(({ name, code, text }) => `${name} ${text(code(row))}`);

  const sorts = () => {
    const nothing = (value) => (value === null ? NaN : value);
    const found = new Map([
      ["name", rank],
      ["loss", (row) => nothing(rows.loss[row])],
      ["content loss", (row) => nothing(rows.content_loss[row])],
      ["style loss", (row) => nothing(rows.style_loss[row])],
      ["time", (row) => nothing(rows.seconds[row])],
      ["id", null],
      ["finished", (row) => nothing(rows.finished[row])],
    ]);
    for (const { name, code, numeric, value, present } of dimensions) {
      const place = new Map(present.map((each, k) => [each, numeric ? value(each) : k]));
      found.set(name, (row) => place.get(code(row)) ?? NaN);
    }
    return found;
  };

  // Rows that fulfil everything asked, in the order asked; those without a value come last, either way.
  const select = ({ text, statuses, tests, sort, descending }) => {
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (let row = 0; row < count; row++) {
      if (!statuses.has(rows.status[row])) continue;
      if (!tests.every((test) => test(row))) continue;
      if (wanted.length && !wanted.every((word) => haystack()[row].includes(word))) continue;
      found.push(row);
    }
    const key = sorts().get(sort);
    if (!key) return descending ? found.reverse() : found;
    const keys = new Map(found.map((row) => [row, key(row)]));
    const way = descending ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return way * (x - y) || a - b;
    });
  };

  return {
    rows, sources, dimensions, start, select, sorts, status, reason, warning, sourceName, labels,
    title, subtitle, whole, thumb, contentThumb, parts, sourceThumb, contentView, view, small,
    count: () => count,
  };
})();
