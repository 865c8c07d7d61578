"use strict";
// The losses of all rows on one another, by group: thin lines are rows, thick ones the medians of groups.

nst.curves = (() => {
  const { h } = nst;
  const LINES = 300; // rows that are drawn; medians are of all
  const GROUPS = 10;
  const STEPS = 60;
  let stale = true;
  let turn = 0;

  // Iterations and losses of a row, from files loaded before.
  const sketch = (row) => {
    if (row >= nst.data.index().begins) return null;
    const per = nst.data.index().perFile.sketches;
    const file = nst.data.get("sketches", Math.floor(row / per));
    const found = file.rows[row % per];
    return found ? { x: file.grids[found[0]], y: found[1] } : null;
  };

  const median = (values) => {
    const sorted = values.sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  };

  // The loss of a row at an iteration, between those that are known.
  const at = ({ x, y }, iteration) => {
    if (iteration > x.at(-1)) return null;
    let k = x.findIndex((known) => known >= iteration);
    if (x[k] === iteration || k === 0) return y[k];
    const share = (iteration - x[k - 1]) / (x[k] - x[k - 1]);
    return y[k - 1] === null || y[k] === null ? null : y[k - 1] + share * (y[k] - y[k - 1]);
  };

  const middle = (sketches) => {
    const end = Math.max(...sketches.map(({ x }) => x.at(-1)));
    const steps = Array.from({ length: STEPS + 1 }, (_, k) => Math.round(((end + 1) ** (k / STEPS)) - 1));
    const x = [...new Set(steps.concat(Array.from({ length: STEPS / 2 + 1 }, (_, k) => Math.round((end * k) / (STEPS / 2)))))].sort((a, b) => a - b);
    const y = x.map((iteration) => {
      const known = sketches.map((one) => at(one, iteration)).filter((value) => value !== null);
      // Where most rows have ended, the rest are no median of the group.
      return known.length * 2 >= sketches.length ? median(known) : null;
    });
    return { x, y };
  };

  const grouped = (rows) => {
    const name = nst.$("curves-group").value;
    const dimension = nst.model.dimensions.find((d) => d.name === name);
    const key = dimension ? (row) => (dimension.code(row) < 0 ? "none" : dimension.text(dimension.code(row))) : name === "status" ? nst.model.status : () => "all rows";
    const groups = new Map();
    for (const row of rows) {
      const found = sketch(row);
      if (!found) continue;
      const group = key(row);
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push({ row, ...found });
    }
    const order = dimension ? dimension.present.map(dimension.text) : [...groups.keys()];
    const named = [...groups].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
    if (named.length <= GROUPS) return named;
    // The largest groups keep their names.
    const large = new Set([...named].sort((a, b) => b[1].length - a[1].length).slice(0, GROUPS - 1).map(([group]) => group));
    return [...named.filter(([group]) => large.has(group)), ["all others", named.filter(([group]) => !large.has(group)).flatMap(([, found]) => found)]];
  };

  // One trace for all thin lines of a group, with gaps between rows.
  const thin = (found, colour, share) => {
    const step = Math.max(1, Math.ceil(1 / share));
    const drawn = found.filter((_, k) => k % step === 0);
    const pad = (values, gap) => values.flatMap((each) => [...each, gap]);
    return {
      drawn: drawn.length,
      trace: {
        x: pad(drawn.map(({ x }) => x), null), y: pad(drawn.map(({ y }) => y), null),
        customdata: pad(drawn.map(({ row, x }) => x.map(() => row)), null),
        text: pad(drawn.map(({ row, x }) => x.map(() => nst.model.rows.id[row].slice(0, 60).replaceAll("<", "‹"))), ""),
        hovertemplate: "%{text}<br>%{y:.4g} at %{x}<extra></extra>",
        type: "scatter", mode: "lines", line: { width: 1, color: colour }, opacity: drawn.length > 40 ? 0.25 : 0.5, showlegend: false,
      },
    };
  };

  const table = (groups) =>
    h("table", { class: "plainly" },
      h("thead", {}, h("tr", {}, ["Group", "Rows", "Median final loss", "Lowest", "Highest"].map((name, k) => h("th", { scope: "col", class: k ? "number" : null }, name)))),
      h("tbody", {}, groups.map(([group, found], k) => {
        const ends = found.map(({ row }) => nst.model.rows.loss[row]).filter((value) => value !== null);
        const dot = h("span", { class: "dot" });
        dot.style.background = nst.charts.COLOURS[k];
        return h("tr", {}, h("th", { scope: "row" }, dot, group),
          [found.length.toLocaleString("en"), ends.length ? nst.number(median(ends)) : "–", ends.length ? nst.number(Math.min(...ends)) : "–", ends.length ? nst.number(Math.max(...ends)) : "–"].map((text) => h("td", { class: "number" }, text)));
      })));

  const draw = async () => {
    stale = false;
    const mine = ++turn;
    const note = nst.$("curves-note");
    try {
      await nst.data.all("sketches");
      if (mine !== turn) return;
      const groups = grouped(nst.filters.order());
      const total = groups.reduce((sum, [, found]) => sum + found.length, 0);
      nst.$("curves-chart").hidden = !total;
      nst.$("curves-table").replaceChildren(...(total ? [table(groups)] : []));
      if (!total) return (note.textContent = "None of these rows has a curve.");
      const share = Math.min(1, LINES / total);
      const singles = nst.$("curves-single").checked ? groups.map(([, found], k) => thin(found, nst.charts.COLOURS[k], share)) : [];
      const drawn = singles.reduce((sum, one) => sum + one.drawn, 0);
      const medians = groups.map(([group, found], k) => ({ ...middle(found), name: group.replaceAll("<", "‹"), type: "scatter", mode: "lines", line: { width: 3, color: nst.charts.COLOURS[k] }, hovertemplate: "median %{y:.4g} at %{x}" }));
      note.textContent = `Medians of ${nst.count(total, "row", "rows")}` + (drawn ? `; thin lines are ${drawn < total ? `${drawn.toLocaleString("en")} of them` : "these rows"}, a click opens one.` : ".");
      await nst.charts.draw(nst.$("curves-chart"), [...singles.map(({ trace }) => trace), ...medians], { log: nst.$("curves-log").checked, y: "total loss" }, `Total loss by evaluation, ${groups.length} groups; the table below has their ends.`);
      const place = nst.$("curves-chart");
      place.removeAllListeners?.("plotly_click");
      place.on("plotly_click", ({ points: [point] }) => {
        if (Number.isInteger(point.customdata)) nst.dialog.row([point.customdata], 0);
      });
    } catch (problem) {
      note.textContent = problem.message;
    }
  };

  const show = () => stale && draw();

  const start = () => {
    const few = nst.model.dimensions.filter(({ size }) => size <= GROUPS);
    const first = few.find(({ name }) => name !== "content" && name !== "style") ?? few[0];
    nst.$("curves-group").append(
      h("option", { value: "" }, "nothing"),
      ...nst.model.dimensions.map(({ name }) => h("option", { selected: name === first?.name }, name)),
      h("option", {}, "status"));
    for (const id of ["curves-group", "curves-log", "curves-single"]) nst.$(id).addEventListener("change", draw);
    nst.filters.onChange(() => {
      stale = true;
      if (!nst.$("curves").hidden) draw();
    });
  };

  return { start, show };
})();
