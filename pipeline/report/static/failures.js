"use strict";
// Rows that are not ok, by reason, and the manifest that asks for them again.

nst.failures = (() => {
  const { h } = nst;
  const AT_ONCE = 50;
  let failed = []; // in the order of their files
  let places = new Map(); // of a row in that order
  let drawn = false;

  const error = async (row) => {
    const place = places.get(row);
    const per = nst.data.index().perFile.errors;
    const file = await nst.data.load("errors", Math.floor(place / per));
    return { error: file.error[place % per], place: file.place[place % per] };
  };

  const line = async (row) => {
    const place = places.get(row);
    const per = nst.data.index().perFile.lines;
    return (await nst.data.load("lines", Math.floor(place / per)))[place % per];
  };

  const save = async (rows, name) => {
    try {
      const lines = await Promise.all(rows.map(line));
      nst.download(`${name.replace(/[^A-Za-z0-9_-]+/g, "-")}.jsonl`, lines.map((text) => `${text}\n`).join(""));
      nst.say(`A manifest of ${nst.count(rows.length, "row", "rows")} was handed to the browser.`);
    } catch (problem) {
      nst.say(problem.message);
      nst.$("failures-note").textContent = problem.message;
    }
  };

  const button = (kind, rows, name, text) => h("button", { type: "button", class: `${kind} save`, onclick: () => save(rows, name) }, text);

  const entry = (rows, k) => {
    const said = h("p", { class: "said" }, "…");
    const where = h("span", { class: "soft block" });
    error(rows[k]).then(
      ({ error: text, place }) => {
        said.textContent = text || "A loss stopped being finite; the best iterate was kept.";
        where.textContent = place;
      },
      (problem) => (said.textContent = problem.message));
    return h("li", {}, h("button", { type: "button", class: "plain id", onclick: () => nst.dialog.row(rows, k) }, nst.model.title(rows[k]), where), said);
  };

  const group = (name, rows, open) => {
    const list = h("ul", { class: "errors" });
    let shown = 0;
    const more = h("button", { type: "button", class: "quiet", onclick: () => grow() });
    const grow = () => {
      const next = Math.min(rows.length, shown + AT_ONCE);
      for (let k = shown; k < next; k++) list.append(entry(rows, k));
      shown = next;
      more.hidden = shown === rows.length;
      more.textContent = `Show ${Math.min(AT_ONCE, rows.length - shown)} more of ${nst.count(rows.length - shown, "row", "rows")}`;
    };
    const part = h("details", { class: "reason", ontoggle: () => part.open && !shown && grow() },
      h("summary", {}, h("span", { class: `dot ${nst.model.status(rows[0])}` }), h("b", {}, name), h("span", { class: "soft" }, ` ${nst.count(rows.length, "row", "rows")}`)),
      h("p", {}, button("quiet", rows, `rows-${name}`, rows.length === 1 ? "Download this row as a manifest" : `Download these ${nst.count(rows.length, "row", "rows")} as a manifest`)),
      list, more);
    part.open = open;
    return part;
  };

  const show = () => {
    if (drawn) return;
    drawn = true;
    if (!failed.length) {
      nst.$("failures-note").textContent = nst.model.count() ? "Every row is ok." : "No rows yet.";
      return;
    }
    const groups = new Map();
    for (const row of failed) {
      const name = nst.model.reason(row);
      groups.has(name) ? groups.get(name).push(row) : groups.set(name, [row]);
    }
    const sorted = [...groups].sort((a, b) => b[1].length - a[1].length);
    nst.$("failures-actions").append(button("main", failed, "rows-to-run-again", failed.length === 1 ? "Download it as a manifest" : `Download all ${nst.count(failed.length, "row", "rows")} as a manifest`));
    nst.$("failures-note").replaceChildren(
      "This computes failed rows again, with every parameter as it was:", h("code", { class: "command" }, nst.data.index().again),
      "As a manifest they can be computed into another output:", h("code", { class: "command" }, "nst run rows-to-run-again.jsonl --output …"));
    nst.$("failures-list").append(...sorted.map(([name, rows], k) => group(name, rows, k === 0)));
  };

  const start = () => {
    failed = Array.from({ length: nst.model.count() }, (_, row) => row).filter((row) => nst.model.rows.reason[row] >= 0);
    places = new Map(failed.map((row, place) => [row, place]));
  };

  return { start, show, error };
})();
