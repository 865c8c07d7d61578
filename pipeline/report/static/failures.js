"use strict";
// Rows that are not ok, by reason, and the manifest that asks for them again.

nst.failures = (() => {
  const { h } = nst;
  const AT_ONCE = 50;
  let failed = []; // of the rows that the page begins with
  let drawn = false;

  // The place of a row's error in the files of errors; -1 where there are too many to have them all.
  const placeOf = (row) => nst.model.rows.failure[row];
  const pick = async (kind, row) => {
    const per = nst.data.index().perFile[kind];
    return [await nst.data.load(kind, Math.floor(placeOf(row) / per)), placeOf(row) % per];
  };

  const error = async (row) => {
    if (placeOf(row) < 0) return { error: "The results have the error of this row, as of all.", place: "" };
    const [file, k] = await pick("errors", row);
    return { error: file.error[k], place: file.place[k] };
  };

  const line = async (row) => {
    const [file, k] = await pick("lines", row);
    return file[k];
  };

  // Hand the browser a manifest of rows; of null, of all that the page has.
  const save = async (rows, name) => {
    try {
      const lines = rows ? await Promise.all(rows.filter((row) => placeOf(row) >= 0).map(line)) : (await nst.data.all("lines")).flat();
      nst.download(`${name.replace(/[^A-Za-z0-9_-]+/g, "-")}.jsonl`, lines.map((text) => `${text}\n`).join(""));
      nst.say(`A manifest of ${nst.count(lines.length, "row", "rows")} was handed to the browser.`);
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

  const group = (name, rows, total, open) => {
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
      h("summary", {}, rows.length ? h("span", { class: `dot ${nst.model.status(rows[0])}` }) : null, h("b", {}, name), h("span", { class: "soft" }, ` ${nst.count(total, "row", "rows")}`)),
      total > rows.length ? h("p", { class: "soft" }, rows.length ? `${rows.length.toLocaleString("en")} of them ${rows.length === 1 ? "is" : "are"} here. ` : "", "The gallery finds all by words of their reason.") : null,
      rows.length > 0 && h("p", {}, button("quiet", rows, `rows-${name}`, rows.length === 1 ? "Download this row as a manifest" : `Download these ${nst.count(rows.length, "row", "rows")} as a manifest`)),
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
    const { reasons, failures, written, again } = nst.data.index();
    const groups = reasons.map((name, k) => [name, failed.filter((row) => nst.model.rows.reason[row] === k), failures[k]]);
    const first = ([, rows]) => rows[0] ?? Infinity;
    groups.sort((a, b) => b[2] - a[2] || first(a) - first(b));
    const all = failures.reduce((a, b) => a + b, 0);
    const complete = failed.length === all;
    nst.$("failures-actions").append(button("main", complete ? failed : null, "rows-to-run-again", all === 1 ? "Download it as a manifest" : `Download ${all > written ? `${written.toLocaleString("en")} of` : "all"} ${nst.count(all, "row", "rows")} as a manifest`));
    nst.$("failures-note").replaceChildren(
      "This computes failed rows again, with every parameter as it was:", h("code", { class: "command" }, again),
      "As a manifest they can be computed into another output:", h("code", { class: "command" }, "nst run rows-to-run-again.jsonl --output …"));
    nst.$("failures-list").append(...groups.map(([name, rows, total], k) => group(name, rows, total, k === 0)));
  };

  const start = () => {
    failed = nst.model.begins().filter((row) => nst.model.rows.reason[row] >= 0);
  };

  return { start, show, error };
})();
