"use strict";
// One row from near: before and after, what it is, its curves. Browses through whatever list it was opened from.

nst.dialog = (() => {
  const { h } = nst;
  let opener = null;
  let now = null; // the page that is shown, and how to turn it

  // Show a page of a list in the dialog: `show(k)` gives the title and the elements below it.
  const browse = (length, start, show) => {
    const dialog = nst.$("detail");
    if (!dialog.open) opener = document.activeElement;
    const turn = (k, focus) => {
      dialog.querySelectorAll(".chart").forEach(nst.charts.forget);
      const { title, mark, body, ready, id } = show(k);
      now = { k, length, turn };
      if (id !== undefined) nst.address.row(id);
      const step = (by, sign, name) =>
        h("button", { type: "button", class: "quiet", "data-step": name, "aria-label": name, title: name, disabled: k + by < 0 || k + by >= length, onclick: () => turn(k + by, name) }, sign);
      dialog.replaceChildren(
        h("header", {},
          h("h2", { id: "detail-title", tabindex: "-1" }, title, mark ?? null),
          h("span", { class: "soft place" }, `${(k + 1).toLocaleString("en")} of ${length.toLocaleString("en")}`),
          step(-1, "←", "Previous"),
          step(1, "→", "Next"),
          h("button", { type: "button", class: "quiet", "aria-label": "Close", title: "Close", onclick: () => dialog.close() }, "✕")),
        h("div", { class: "inside" }, body));
      const same = focus && dialog.querySelector(`[data-step="${focus}"]:not(:disabled)`);
      (same || dialog.querySelector("h2")).focus();
      ready?.();
    };
    if (!dialog.open) dialog.showModal();
    turn(start, null);
  };

  const pairs = (entries) => h("dl", { class: "pairs" }, entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

  const facts = (row) => {
    const { rows } = nst.model;
    const size = rows.width[row] ? `${rows.width[row]} × ${rows.height[row]} px` : "–";
    return pairs([
      ["id", h("span", { class: "uri" }, rows.id[row])],
      ["total loss", nst.number(rows.loss[row])],
      ["content loss", nst.number(rows.content_loss[row])],
      ["style loss", nst.number(rows.style_loss[row])],
      ["size", size],
      ["evaluations", nst.number(rows.iterations[row])],
      ["time", nst.seconds(rows.seconds[row])],
      ["finished", rows.finished[row] ? `${new Date(1000 * rows.finished[row]).toISOString().slice(0, 16).replace("T", " ")} UTC` : "–"],
    ]);
  };

  const params = (row) => {
    const varying = nst.model.dimensions
      .filter(({ name, code }) => name !== "content" && name !== "style" && code(row) >= 0)
      .map(({ name, code, text }) => [name, h("b", {}, text(code(row)))]);
    const shared = nst.data.index().settings.map(([name, value]) => [name, value || "–"]);
    return [
      varying.length ? pairs(varying) : null,
      h("details", {}, h("summary", {}, `${shared.length} parameters that all rows share`), pairs(shared)),
    ];
  };

  const source = (name, number, thumb) => {
    if (number < 0) return null;
    const { sources } = nst.model;
    return h("figure", {}, nst.picture(thumb, name, "cannot be had"),
      h("figcaption", {}, h("b", {}, name), " ", nst.link(sources.href[number], sources.name[number]),
        sources.href[number] ? null : h("span", { class: "uri soft" }, sources.uri[number])));
  };

  // Pictures on the way, and the animation of them.
  const steps = (row) => {
    const found = nst.model.rows.steps[row];
    if (!found) return null;
    const one = (href, words) => h("figure", {}, nst.picture(href, words), h("figcaption", { class: "soft" }, nst.link(href, words)));
    return h("div", {}, h("h3", {}, "On the way, by evaluations"),
      h("div", { class: "steps" },
        found.frames.map(([evaluation, href]) => one(href, evaluation.toLocaleString("en"))),
        found.animation ? one(found.animation, "animation") : null));
  };

  const pictures = (row) => {
    const { rows, contentView, view, thumb, contentThumb, parts, sourceThumb, whole } = nst.model;
    const after = view(row);
    const place = after && rows.content[row] >= 0
      ? nst.slider({ before: contentView(row), after, spareAfter: thumb(row), beforeName: "content", afterName: "result", width: rows.width[row], height: rows.height[row] })
      : after ? h("div", { class: "alone" }, nst.picture(after, "result")) : null;
    const href = rows.href[row];
    return h("div", { class: "pictures" }, place,
      href ? h("p", {}, nst.link(href, whole(row) ? "Open the picture" : "Open the picture on its server")) : null,
      steps(row),
      h("div", { class: "sources" },
        source("content", rows.content[row], contentThumb(row)),
        ...[["style", "style"], ["init", "start"], ["content_mask", "mask of the content"], ["style_mask", "mask of a style"]]
          .flatMap(([role, name]) => parts(rows[role][row]).map((each) => source(name, each, sourceThumb(each))))));
  };

  // Why a row has no good picture, from the file that says so.
  const error = (row) => {
    if (nst.model.rows.reason[row] < 0) return null;
    const said = h("p", { class: "said" }, "…");
    nst.failures.error(row).then(
      ({ error: text, place }) => said.replaceChildren(text || "a loss stopped being finite; the best iterate was kept", ...(place ? [h("span", { class: "soft block" }, place)] : [])),
      (problem) => (said.textContent = problem.message));
    return h("div", { class: `why ${nst.model.status(row)}` }, h("b", {}, nst.model.reason(row)), said);
  };

  const warning = (row) => {
    const text = nst.model.warning(row);
    return text ? h("div", { class: "why doubtful" }, h("b", {}, "Doubtful"), h("p", { class: "said" }, text)) : null;
  };

  const curve = (row) => {
    const chart = h("div", { class: "chart" });
    const log = h("input", { type: "checkbox", checked: true });
    const layers = h("input", { type: "checkbox" });
    const words = h("p", { class: "soft" }, "…");
    const part = h("div", { class: "curve" },
      h("h3", {}, "Loss"),
      h("p", { class: "choices" }, h("label", {}, log, " Logarithmic"), h("label", {}, layers, " Style layers")), chart, words);
    const per = nst.data.index().perFile.curves;
    const ready = async () => {
      const { begins } = nst.data.index();
      if (row >= begins) {
        chart.remove();
        return (words.textContent = `This page has the curves of ${begins.toLocaleString("en")} of its rows; the results have that of each.`);
      }
      try {
        const found = (await nst.data.load("curves", Math.floor(row / per))).rows[row % per];
        if (!found) return part.remove();
        const draw = () => {
          const named = [["total", found.total], ["content", found.content], ["style", found.style]];
          if (layers.checked) named.push(...Object.entries(found.layers));
          const traces = named.filter(([, y]) => y.length).map(([name, y], k) => ({ x: found.i, y, name, type: "scatter", mode: "lines", line: { width: k ? 1.4 : 2.4 } }));
          return nst.charts.draw(chart, traces, { log: log.checked }, words.textContent);
        };
        const [first, last] = [found.total[0], found.total.at(-1)];
        words.textContent = `Total loss from ${nst.number(first)} to ${nst.number(last)} in ${nst.count(found.i.at(-1) + 1, "evaluation", "evaluations")}.`;
        [log, layers].forEach((box) => box.addEventListener("change", draw));
        await draw();
      } catch (problem) {
        words.textContent = problem.message;
      }
    };
    return { part, ready };
  };

  // Open the row that is k-th of a list of rows.
  const row = (order, k) =>
    browse(order.length, k, (at) => {
      const found = order[at];
      const status = nst.model.status(found);
      const { part, ready } = curve(found);
      return {
        title: nst.model.title(found),
        id: nst.model.rows.id[found],
        mark: h("span", { class: `badge ${status}` }, status),
        body: [pictures(found), h("div", { class: "facts" }, error(found), warning(found), facts(found), params(found), part)],
        ready,
      };
    });

  const start = () => {
    const dialog = nst.$("detail");
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    // Arrow keys turn pages, unless they move something in the page: the slider, a field.
    dialog.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || !now || event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
      if (now.k + by < 0 || now.k + by >= now.length) return;
      event.preventDefault();
      now.turn(now.k + by, by < 0 ? "Previous" : "Next");
    });
    dialog.addEventListener("close", () => {
      now = null;
      nst.address.row(null);
      dialog.querySelectorAll(".chart").forEach(nst.charts.forget);
      dialog.replaceChildren();
      if (opener?.isConnected) opener.focus();
    });
  };

  return { start, browse, row, pairs };
})();
