"use strict";
// Thumbnails over two chosen parameters: what a grid of settings does, at a glance.

nst.matrix = (() => {
  const { h } = nst;
  const MOST = 40; // of each axis
  const PAIRS = 12; // of content and style that are shown, a matrix each
  let stale = true;

  const axis = (id) => nst.model.dimensions.find(({ name }) => name === nst.$(id).value);

  const cellOf = (rows, name) => {
    if (!rows?.length) return h("td", { class: "void" }, h("span", { class: "unseen" }, "nothing"));
    // Where several rows meet, the one with the lowest loss stands for them.
    const loss = (row) => nst.model.rows.loss[row] ?? Infinity;
    const best = rows.reduce((a, b) => (loss(b) < loss(a) ? b : a));
    const list = [best, ...rows.filter((row) => row !== best)];
    const status = nst.model.status(best);
    const said = `${name}: ${status}${nst.model.rows.loss[best] === null ? "" : `, loss ${nst.number(nst.model.rows.loss[best])}`}${list.length > 1 ? `, and ${list.length - 1} more` : ""}`;
    const thumb = nst.model.thumb(best);
    return h("td", {},
      h("button", { type: "button", class: "tile", "aria-label": said, title: said, onclick: () => nst.dialog.row(list, 0) },
        thumb ? nst.picture(thumb, "") : h("span", { class: `badge ${status}` }, status),
        list.length > 1 ? h("span", { class: "pile" }, `+${list.length - 1}`) : null));
  };

  const head = (dimension, code, scope) => {
    const { parts, sourceThumb } = nst.model;
    const thumbs = ["content", "style"].includes(dimension.name) ? parts(code).map(sourceThumb).filter(Boolean) : [];
    return h("th", { scope },
      ...thumbs.map((thumb) => nst.picture(thumb, "")),
      h("span", {}, dimension.text(code)));
  };

  const draw = () => {
    stale = false;
    const frame = nst.$("matrix-frame");
    const note = nst.$("matrix-note");
    const [down, across] = [axis("matrix-down"), axis("matrix-across")];
    if (!down || !across || down === across) {
      note.textContent = nst.model.dimensions.length < 2 ? "A matrix needs rows that differ in two things." : "Choose two different parameters.";
      return frame.replaceChildren();
    }
    // A cell shows one setting of one pair: what the axes leave open of content and style is a matrix each.
    const held = nst.model.dimensions.filter((d) => ["content", "style"].includes(d.name) && d !== down && d !== across);
    const groups = new Map();
    for (const row of nst.filters.order()) {
      if (down.code(row) < 0 || across.code(row) < 0) continue;
      const key = held.map((d) => (d.code(row) < 0 ? "none" : d.text(d.code(row)))).join(" × ");
      groups.has(key) ? groups.get(key).push(row) : groups.set(key, [row]);
    }
    const sorted = [...groups].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    const tables = sorted.slice(0, PAIRS).map(([name, rows]) => table(name, rows, down, across));
    note.textContent = [
      groups.size > 1 ? `A matrix for each ${held.map(({ name }) => name).join(" and ")}.` : tables.map(({ said }) => said).join(""),
      groups.size > PAIRS ? `The first ${PAIRS} of ${groups.size.toLocaleString("en")} pairs are shown: filters choose others.` : "",
      tables.some(({ piled }) => piled) ? "Where several rows meet, the one with the lowest loss is on top; filters above compare like with like." : "",
    ].filter(Boolean).join(" ");
    frame.replaceChildren(...tables.map(({ element }) => element));
  };

  // A matrix of the rows of a pair.
  const table = (name, rows, down, across) => {
    const met = new Map();
    const present = [new Set(), new Set()];
    for (const row of rows) {
      const [a, b] = [down.code(row), across.code(row)];
      present[0].add(a);
      present[1].add(b);
      const key = `${a} ${b}`;
      met.has(key) ? met.get(key).push(row) : met.set(key, [row]);
    }
    const [ups, sides] = [down, across].map((d, k) => [...present[k]].sort(d.order));
    const cut = ups.length > MOST || sides.length > MOST;
    const said = `${ups.length.toLocaleString("en")} × ${sides.length.toLocaleString("en")}` +
      (cut ? `, of which the first ${MOST} each are shown: filters make it smaller.` : ".");
    const columns = sides.slice(0, MOST);
    const element = h("table", { class: "matrix" },
      h("caption", { class: name ? "pair" : "unseen" }, name || `Results by ${down.name} and ${across.name}`),
      h("thead", {}, h("tr", {},
        h("td", { class: "corner" }, h("span", {}, across.name, " →"), h("span", {}, down.name, " ↓")),
        columns.map((code) => head(across, code, "col")))),
      h("tbody", {}, ups.slice(0, MOST).map((up) =>
        h("tr", {}, head(down, up, "row"),
          columns.map((side) => cellOf(met.get(`${up} ${side}`), `${name ? `${name}, ` : ""}${down.name} ${down.text(up)}, ${across.name} ${across.text(side)}`))))));
    return { element, said, piled: [...met.values()].some((each) => each.length > 1) };
  };

  const hidden = () => nst.$("matrix").hidden;
  const show = () => stale && draw();

  // What a grid varies makes a better matrix than its pictures; few values better than many.
  const preferred = () => {
    const fit = (d) => (d.size <= MOST ? 0 : 2) + (d.name === "content" || d.name === "style" ? 1 : 0);
    return [...nst.model.dimensions].sort((a, b) => fit(a) - fit(b) || b.size - a.size).map(({ name }) => name);
  };

  const start = () => {
    const names = nst.model.dimensions.map(({ name }) => name);
    const [across, down] = preferred();
    for (const [id, chosen] of [["matrix-down", down], ["matrix-across", across]]) {
      nst.$(id).append(...names.map((name) => h("option", { selected: name === chosen }, name)));
      nst.$(id).addEventListener("change", draw);
    }
    nst.$("matrix-swap").addEventListener("click", () => {
      const [down, across] = [nst.$("matrix-down"), nst.$("matrix-across")];
      [down.value, across.value] = [across.value, down.value];
      draw();
    });
    const size = nst.$("matrix-size");
    const resize = () => nst.$("matrix-frame").style.setProperty("--tile", `${size.value}px`);
    if (window.innerWidth < 600) size.value = 80;
    size.addEventListener("input", resize);
    resize();
    nst.filters.onChange(() => {
      stale = true;
      if (!hidden()) draw();
    });
  };

  return { start, show };
})();
