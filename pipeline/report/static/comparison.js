"use strict";
// Two runs row by row: what got worse, and both pictures side by side.

nst.comparison = (() => {
  const { h } = nst;
  let changes = null;
  let shown = 0;
  const AT_ONCE = 50;

  const times = (ratio) => (ratio === null ? "–" : `× ${nst.number(ratio)}`);
  const psnr = (change) => (change.same ? "equal" : change.psnr === null ? "–" : `${change.psnr.toFixed(1)} dB`);
  const ssim = (change) => (change.ssim === null ? "–" : change.ssim.toFixed(3));
  const view = (side) => (side.href && !/^https?:/i.test(side.href) ? side.href : nst.model.small(side.view ?? side.thumb));

  const side = (name, { id, status, loss, error, href, thumb }) =>
    h("figure", {}, nst.picture(nst.model.small(thumb), name),
      h("figcaption", {}, h("b", {}, name), ` loss ${nst.number(loss)} `, h("span", { class: `badge ${status}` }, status),
        h("span", { class: "soft block" }, id, error ? `: ${error}` : "", href ? " " : "", href ? nst.link(href, "whole picture") : null)));

  const pictures = (change) => {
    const { before, after } = change;
    const place = h("div", {});
    if (before.thumb && after.thumb) {
      // Both have the shape of the newer one's thumbnail.
      const probe = new Image();
      probe.addEventListener("load", () =>
        place.replaceChildren(nst.slider({ before: view(before), after: view(after), spareAfter: nst.model.small(after.thumb), beforeName: "before", afterName: "after", width: probe.naturalWidth, height: probe.naturalHeight })));
      probe.src = nst.model.small(after.thumb);
    }
    return h("div", { class: "pictures" }, place, h("div", { class: "sources pair" }, side("before", before), side("after", after)));
  };

  const open = (list, k) =>
    nst.dialog.browse(list.length, k, (at) => {
      const change = list[at];
      return {
        title: change.label,
        body: [
          pictures(change),
          h("div", { class: "facts" },
            change.worse.length ? h("div", { class: "why failed" }, h("b", {}, "Got worse"), h("ul", {}, change.worse.map((said) => h("li", {}, said)))) : null,
            change.changed.length ? h("div", { class: "why" }, h("b", {}, "Changed, and is not worse"), h("ul", {}, change.changed.map((said) => h("li", {}, said)))) : null,
            nst.dialog.pairs([["final loss", `${nst.number(change.before.loss)} → ${nst.number(change.after.loss)}, ${times(change.loss_ratio)}`], ["time", times(change.seconds_ratio)], ["PSNR", psnr(change)], ["SSIM", ssim(change)]])),
        ],
      };
    });

  const row = (list, k) => {
    const change = list[k];
    const tile = (thumb, name) => nst.picture(nst.model.small(thumb), name);
    return h("tr", {},
      h("td", { class: "duo" }, h("button", { type: "button", class: "tile two", "aria-label": `${change.label}: side by side`, onclick: () => open(list, k) }, tile(change.before.thumb, "before"), tile(change.after.thumb, "after"), h("span", { class: "tag left", "aria-hidden": "true" }, "before"), h("span", { class: "tag right", "aria-hidden": "true" }, "after"))),
      h("th", { scope: "row" }, change.label, h("span", { class: "soft block" }, [...change.worse, ...change.changed].join("; "))),
      [times(change.loss_ratio), times(change.seconds_ratio), psnr(change), ssim(change)].map((text, k) => h("td", { class: k > 1 ? "number spare" : "number" }, text)));
  };

  const draw = async () => {
    const note = nst.$("comparison-note");
    try {
      changes ??= (await nst.data.all("changes")).flat();
    } catch (problem) {
      note.textContent = problem.message;
      return;
    }
    const list = nst.$("comparison-worse").checked ? changes.filter(({ worse, changed }) => worse.length || changed.length) : changes;
    note.textContent = list.length ? `${nst.count(list.length, "row", "rows")}, worst first.` : "Nothing got worse or changed.";
    const body = h("tbody", {});
    const more = h("button", { type: "button", class: "quiet", onclick: () => grow() });
    shown = 0;
    const grow = () => {
      const next = Math.min(list.length, shown + AT_ONCE);
      for (let k = shown; k < next; k++) body.append(row(list, k));
      shown = next;
      more.hidden = shown === list.length;
      more.textContent = `Show ${Math.min(AT_ONCE, list.length - shown)} more of ${list.length - shown}`;
    };
    grow();
    nst.$("comparison-list").replaceChildren(...(list.length ? [
      h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Rows of both runs" },
        h("table", { class: "plainly comparison" },
          h("thead", {}, h("tr", {}, h("td", {}), ["Row", "Loss", "Time", "PSNR", "SSIM"].map((name, k) => h("th", { scope: "col", class: k ? `number${k > 2 ? " spare" : ""}` : null }, name)))),
          body)), more] : []));
  };

  const start = () => nst.$("comparison-worse")?.addEventListener("change", draw);
  const show = () => changes ?? draw();

  return { start, show };
})();
