"use strict";
// Thousands of cards of which only those near the window exist; arrow keys move between all of them.

nst.gallery = (() => {
  const { h } = nst;
  const BEYOND = 2; // rows of cards that exist above and below the window
  const GAP = 14;
  const CAPTION = 86;
  const nodes = new Map(); // by place in the order
  let order = [];
  let columns = 1;
  let cell = 0;
  let active = 0;
  let stale = true;

  const grid = () => nst.$("grid");
  const pitch = () => cell + CAPTION + GAP;

  // Content and styles, as many as there is room for; where there are masks, each below its picture.
  const small = (row) => {
    const { rows, parts, sourceThumb, contentThumb } = nst.model;
    const own = parts(rows.content_mask[row]);
    const styles = parts(rows.style[row]).slice(0, own.length ? 2 : 3).map(sourceThumb);
    const shown = [["content", contentThumb(row)], ...(styles.length ? styles : [null]).map((thumb) => ["style", thumb])];
    const pictures = shown.map(([name, thumb]) => nst.picture(thumb, name, "–"));
    if (!own.length) return h("span", { class: "small" }, ...pictures);
    const others = parts(rows.style_mask[row]);
    const masks = [own[0], ...(others.length ? others : own.slice(1))].map((mask) => nst.picture(sourceThumb(mask), "mask", "–"));
    return h("span", { class: "small masked" }, ...pictures.flatMap((picture, k) => [picture, masks[k] ?? h("span")]));
  };

  const caption = (row) => {
    const { rows, status, reason, warning, title, subtitle } = nst.model;
    const loss = rows.loss[row];
    const good = status(row) === "ok";
    return h("span", { class: "caption" },
      small(row),
      h("span", { class: "words" },
        h("span", { class: "id" }, title(row)),
        h("span", { class: "soft" }, good ? [`loss ${nst.number(loss)}`, warning(row) ? h("span", { class: "state doubtful" }, ", doubtful") : null] : h("span", { class: `state ${status(row)}` }, reason(row))),
        h("span", { class: "soft varies" }, subtitle(row).join(" · "))));
  };

  const face = (row) => {
    const result = nst.model.thumb(row);
    const content = nst.model.contentThumb(row);
    if (!nst.model.rows.thumb[row] && !result) {
      return h("span", { class: "face none" }, content ? nst.picture(content, "content") : null,
        h("span", { class: `badge ${nst.model.status(row)}` }, nst.model.status(row)));
    }
    const over = content ? nst.picture(content, "") : null;
    over?.classList.add("over");
    return h("span", { class: "face" }, nst.picture(result, "result"), over);
  };

  const describe = (row) => `${nst.model.title(row)}, ${nst.model.status(row)}${nst.model.rows.loss[row] === null ? "" : `, loss ${nst.number(nst.model.rows.loss[row])}`}`;

  // A card that opens a row; used wherever single rows are shown.
  const card = (list, k) =>
    h("button", { type: "button", class: "card", "aria-label": describe(list[k]), onclick: () => nst.dialog.row(list, k) },
      face(list[k]), caption(list[k]));

  const place = (node, k) => {
    node.style.width = `${cell}px`;
    node.style.height = `${cell + CAPTION}px`;
    node.style.transform = `translate(${(k % columns) * (cell + GAP)}px, ${Math.floor(k / columns) * pitch()}px)`;
  };

  const make = (k) => {
    const button = card(order, k);
    button.tabIndex = k === active ? 0 : -1;
    button.addEventListener("focus", () => activate(k));
    const node = h("li", { "aria-setsize": order.length, "aria-posinset": k + 1 }, button);
    place(node, k);
    return node;
  };

  const activate = (k) => {
    if (k === active) return;
    nodes.get(active)?.firstChild.setAttribute("tabindex", "-1");
    active = k;
    nodes.get(k)?.firstChild.setAttribute("tabindex", "0");
  };

  const measure = () => {
    const width = grid().clientWidth;
    const least = width < 560 ? 140 : 200;
    columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    cell = Math.floor((width - GAP * (columns - 1)) / columns);
    grid().style.height = `${Math.max(0, Math.ceil(order.length / columns) * pitch() - GAP)}px`;
    nodes.forEach(place);
  };

  // Make what is near the window and is not there, drop what has left it; what has the focus stays.
  const draw = () => {
    if (grid().closest("[hidden]")) return;
    const top = -grid().getBoundingClientRect().top;
    const first = Math.max(0, (Math.floor(top / pitch()) - BEYOND) * columns);
    const last = Math.min(order.length, (Math.ceil((top + window.innerHeight) / pitch()) + BEYOND) * columns);
    for (const [k, node] of nodes) {
      if ((k < first || k >= last) && k !== active) {
        node.remove();
        nodes.delete(k);
      }
    }
    const wanted = Array.from({ length: Math.max(0, last - first) }, (_, k) => first + k);
    if (order.length) wanted.push(active);
    for (const k of wanted) {
      if (nodes.has(k)) continue;
      const node = make(k);
      nodes.set(k, node);
      // In the order of reading, for Tab and for who listens.
      const next = [...nodes.keys()].filter((other) => other > k).reduce((a, b) => Math.min(a, b), Infinity);
      grid().insertBefore(node, nodes.get(next) ?? null);
    }
  };

  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };

  const renew = () => {
    stale = false;
    nodes.clear();
    grid().replaceChildren(...(order.length ? [] : [h("li", { class: "empty soft" }, "No row matches the filters.")]));
    measure();
    draw();
  };

  const show = () => {
    if (stale) renew();
    else {
      measure();
      draw();
    }
  };

  const update = (found) => {
    order = found;
    active = 0;
    stale = true;
    if (!grid().closest("[hidden]")) renew();
  };

  const go = (k) => {
    const target = Math.min(order.length - 1, Math.max(0, k));
    activate(target);
    draw();
    const button = nodes.get(target)?.firstChild;
    button?.focus({ preventScroll: true });
    button?.scrollIntoView({ block: "nearest" });
  };

  const keys = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const target = step ? active + step : { Home: 0, End: order.length - 1 }[event.key];
    if (target === undefined || (step && (target < 0 || target >= order.length))) return;
    event.preventDefault();
    go(target);
  };

  const start = () => {
    const wipe = nst.$("wipe-all");
    wipe.addEventListener("input", () => {
      grid().style.setProperty("--content", `${wipe.value}%`);
      wipe.setAttribute("aria-valuetext", `${wipe.value} % content`);
    });
    window.addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => {
      if (!grid().closest("[hidden]")) show();
    }).observe(nst.$("main"));
    grid().addEventListener("keydown", keys);
    nst.filters.onChange(update);
  };

  // A few pictures for the summary: evenly from the lowest loss to the highest.
  const look = () => {
    const order_ = nst.model.select({ text: "", statuses: new Set([0]), tests: [], sort: "loss", descending: false });
    const few = Math.min(6, order_.length);
    if (!few) return;
    const list = Array.from({ length: few }, (_, k) => order_[Math.round((k * (order_.length - 1)) / Math.max(1, few - 1))]);
    const strip = nst.$("look").querySelector("ul");
    strip.replaceChildren(...list.map((_, k) => h("li", {}, card(list, k))));
    nst.$("look").hidden = false;
  };

  return { start, show, look, card };
})();
