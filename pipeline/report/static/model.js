"use strict";
// The rows: columns as they came, what they are called, and which of them are asked for.

nst.model = (() => {
  const rows = {};
  const sources = {};
  const dimensions = [];
  let count = 0; // of all rows
  let complete = true; // whether all of them are here from the beginning
  let begins = []; // the rows that the page begins with
  let everywhere = null; // once it is asked for: that all rows can be found
  let words = null;

  // Put the columns of a file into those of all rows or sources, at their places.
  const fill = (target, kind, number) => {
    const { perFile, dimensions: said } = nst.data.index();
    const start = number * perFile[kind];
    const put = (column, values) => values.forEach((value, k) => (column[start + k] = value));
    const fresh = () => (complete || target !== rows ? [] : new Array(count));
    const { values = {}, dimensions: codes = [], ...columns } = nst.data.get(kind, number);
    for (const [name, column] of Object.entries(columns)) put((target[name] ??= fresh()), column);
    codes.forEach((column, d) => put(((target.dimensions ??= [])[d] ??= fresh()), column));
    for (const [d, column] of Object.entries(values)) {
      column.forEach((value, k) => codes[d][k] >= 0 && (said[d].values[codes[d][k]] = value));
    }
    nst.data.drop(kind, number);
  };

  const load = async (target, kind, number) => {
    await nst.data.load(kind, number);
    fill(target, kind, number);
  };

  const here = { rows: new Set(), sources: new Set() }; // files of details that are loaded

  // Load what cards of these rows show.
  const need = async (list) => {
    const { perFile } = nst.data.index();
    const fetch = (kind, target, numbers) => {
      const files = new Set(numbers.filter((number) => number >= 0).map((number) => Math.floor(number / perFile[kind])));
      const missing = [...files].filter((number) => !here[kind].has(number));
      return Promise.all(missing.map((number) => load(target, kind, number).then(() => here[kind].add(number))));
    };
    await fetch("rows", rows, list);
    const roles = ["content", "style", "init", "content_mask", "style_mask"];
    const named = () => list.flatMap((row) => roles.map((role) => rows[role]?.[row] ?? -1));
    await fetch("sources", sources, named());
    await fetch("sources", sources, named().flatMap((number) => parts(number)));
  };

  // Load what all rows are found by; `said` is told the share that is there.
  const find = (said) =>
    (everywhere ??= (async () => {
      const { files } = nst.data.index();
      const all = [["names", sources], ["found", rows]].flatMap(([kind, target]) => Array.from({ length: files[kind] }, (_, k) => [kind, target, k]));
      for (const [done, [kind, target, k]] of all.entries()) {
        await load(target, kind, k);
        said((done + 1) / all.length);
      }
    })().catch((error) => {
      everywhere = null;
      throw error;
    }));

  // Something by which rows differ: `code(row)` is -1 where a row has nothing; `present` are the codes in order, none
  // where the page does not know all of them, `size` how many they are.
  const add = (name, code, text, { numeric, value, present, size = present.length }) => {
    if (size < 2) return;
    const order = numeric ? (a, b) => a - b : (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
    dimensions.push({ name, code, text, numeric, value, order, size, present: [...present].sort(order) });
  };

  const distinct = (code) => {
    const found = new Set(begins.map(code));
    found.delete(-1);
    return [...found];
  };

  const start = async () => {
    const index = nst.data.index();
    count = index.rows;
    complete = index.begins === count;
    begins = Array.from({ length: index.begins }, (_, row) => row);
    for (let k = 0; k * index.perFile.rows < index.begins; k++) {
      fill(rows, "rows", k);
      here.rows.add(k);
    }
    if (complete) Array.from({ length: index.files.sources }, (_, k) => fill(sources, "sources", k));
    index.dimensions.forEach((said, d) => {
      const code = (row) => rows.dimensions?.[d]?.[row] ?? -1;
      const present = complete ? distinct(code) : said.values.map((_, k) => k);
      add(said.name, code, (k) => String(said.values[k]), { numeric: said.numeric, value: (k) => said.values[k], present, size: complete ? present.length : said.distinct });
    });
    if (!complete) await need(begins);
    for (const role of ["content", "style"]) {
      const code = (row) => rows[role][row];
      const named = index.facets[role];
      for (const [number, name] of named ?? []) (sources.name ??= [])[number] = name;
      const present = complete ? distinct(code) : (named ?? []).map(([number]) => number);
      add(role, code, (number) => sources.name[number], { numeric: false, value: (number) => sources.name[number], present, size: complete || named ? present.length : Infinity });
    }
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
  const spelled = (row) =>
    [rows.id[row], sourceName(rows.content[row]), sourceName(rows.style[row]), reason(row), warning(row), ...labels(row)].join("\n").toLowerCase();
  const haystack = (row) => (complete ? (words ??= begins.map(spelled))[row] : spelled(row)); // of a million they are 200 MB

  // What a row is called: the id that somebody gave it, else its pictures.
  const DERIVED = /^[0-9a-f]{16}$/;
  const bare = (name) => name.replace(/\.(png|jpe?g|webp|tiff?|avif|heic|gif|bmp)$/i, "");
  const pair = (row) => [rows.content[row], rows.style[row]].filter((number) => number >= 0).map((number) => bare(sources.name[number])).join(" × ");
  const title = (row) => (DERIVED.test(rows.id[row]) ? pair(row) || rows.id[row] : rows.id[row]);
  // What stands below the title: pictures, where the title is an id, and the parameters that vary.
  const subtitle = (row) => [...(title(row) === pair(row) || !pair(row) ? [] : [pair(row)]), ...labels(row)];
  const alphabetical = new Intl.Collator("en", { numeric: true });
  const called = (row) => [title(row), ...subtitle(row)].join(", ");
  const MANY = 20000; // rows of which more are not put into the order of people, where 2 comes before 10
  const ranked = (list) => {
    const names = new Map(list.map((row) => [row, called(row)]));
    const compare = list.length > MANY ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : alphabetical.compare;
    const sorted = [...list].sort((a, b) => compare(names.get(a), names.get(b)) || a - b);
    return new Map(sorted.map((row, place) => [row, place]));
  };
  let ranks = null;
  const rank = (list) => {
    const found = complete ? (ranks ??= ranked(begins)) : ranked(list);
    return (row) => found.get(row);
  };

  // The row's value in each dimension that is a parameter: "style_weight 3".
  const labels = (row) =>
    dimensions
      .filter(({ name, code }) => name !== "content" && name !== "style" && code(row) >= 0)
      .map(({ name, code, text }) => `${name} ${text(code(row))}`);

  // By name what rows can be ordered by: of a list of rows, the key of each.
  const sorts = () => {
    const column = (name) => () => (row) => rows[name][row] ?? NaN;
    const found = new Map([
      ["name", rank],
      ["loss", column("loss")],
      ...(complete ? [["content loss", column("content_loss")], ["style loss", column("style_loss")]] : []),
      ["time", column("seconds")],
      ["id", complete ? null : () => byId],
      ["finished", column("finished")],
    ]);
    for (const { name, code, numeric, present } of dimensions) {
      const place = new Map(present.map((each, k) => [each, k]));
      if (numeric || !present.length) found.set(name, () => (row) => (code(row) < 0 ? NaN : code(row))); // codes are in order
      else found.set(name, () => (row) => place.get(code(row)) ?? NaN);
    }
    if (!complete) for (const name of ["content", "style"]) if (!dimensions.find((d) => d.name === name)?.present.length) found.delete(name);
    return found;
  };

  // Where a page begins with a sample, ids are in order only in it and in the rest.
  const byId = (row) => rows.id[row];

  // Rows that fulfil everything asked, in the order asked, of all rows or of those that the page begins with; those
  // without a value come last, either way.
  const select = ({ text, statuses, tests, sort, descending }, everything = false) => {
    const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (let row = 0; row < (everything ? count : begins.length); row++) {
      if (!statuses.has(rows.status[row])) continue;
      if (!tests.every((test) => test(row))) continue;
      if (wanted.length) {
        const words_ = haystack(row);
        if (!wanted.every((word) => words_.includes(word))) continue;
      }
      found.push(row);
    }
    const key = sorts().get(sort)?.(found);
    if (!key) return descending ? found.reverse() : found;
    const keys = new Map(found.map((row) => [row, key(row)]));
    const way = descending ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
      return (x < y ? -way : x > y ? way : 0) || a - b;
    });
  };

  return {
    rows, sources, dimensions, start, select, sorts, status, reason, warning, sourceName, labels,
    title, subtitle, whole, thumb, contentThumb, parts, sourceThumb, contentView, view, small,
    find, need, count: () => count, begins: () => begins, complete: () => complete,
  };
})();
