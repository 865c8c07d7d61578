"use strict";
// Puts the page together once the rows are there: views by the address's #, colours, the price.

(() => {
  // Keys are what the address has behind its #; "nights" is kept for links that people have.
  const shows = { gallery: nst.gallery, matrix: nst.matrix, curves: nst.curves, failures: nst.failures, nights: nst.comparison };

  const view = () => {
    const asked = nst.address.view();
    return document.querySelector(`section.view[id="${CSS.escape(asked)}"]`) ? asked : "summary";
  };

  const route = (moved) => {
    if (location.hash === "#main") return;
    const name = view();
    document.querySelectorAll("section.view").forEach((section) => (section.hidden = section.id !== name));
    nst.$("filters").hidden = !nst.filters.FILTERED.includes(name) || !nst.model.count();
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (nst.filters.FILTERED.includes(name)) nst.filters.apply(); // which the address then says
    window.scrollTo(0, 0);
    if (moved) {
      nst.$(`${name}-title`).focus({ preventScroll: true });
    }
    shows[name]?.show();
  };

  const theme = () => {
    const root = document.documentElement;
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const store = (value) => {
      try {
        return value === undefined ? localStorage.getItem("nst-theme") : localStorage.setItem("nst-theme", value);
      } catch {
        return null; // pages from disk may have no storage
      }
    };
    const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
    const apply = () => {
      nst.$("theme").setAttribute("aria-label", isDark() ? "Change to light colours" : "Change to dark colours");
      nst.$("theme").textContent = isDark() ? "☀" : "☾";
      nst.charts.repaint();
    };
    const kept = store();
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    nst.$("theme").addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      apply();
    });
    dark.addEventListener("change", apply);
    apply();
  };

  const price = () => {
    const [field, cost] = [nst.$("price"), nst.$("cost")];
    field.addEventListener("input", () => {
      const dollars = field.valueAsNumber * Number(cost.dataset.hours);
      cost.textContent = Number.isFinite(dollars) ? `$${dollars.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}` : "–";
    });
  };

  // The row of an id, which a page that begins with a sample looks for among all rows; -1 without one.
  const rowOf = async (id) => {
    const { rows, find, need, complete } = nst.model;
    const known = rows.id?.indexOf(id) ?? -1;
    if (known >= 0 || complete()) return known;
    await find(() => {});
    const found = rows.id.indexOf(id);
    await need(found < 0 ? [] : [found]);
    return found;
  };

  document.addEventListener("DOMContentLoaded", async () => {
    theme();
    price();
    await nst.model.start();
    for (const part of [nst.filters, nst.dialog, nst.gallery, nst.matrix, nst.curves, nst.failures, nst.comparison]) part.start();
    const asked = nst.address.read();
    nst.filters.take(asked);
    nst.gallery.look();
    for (const button of document.querySelectorAll("[data-status]")) {
      button.addEventListener("click", () => {
        nst.filters.only(button.dataset.status);
        location.hash = "gallery";
      });
    }
    window.addEventListener("hashchange", () => route(true));
    route(false);
    const found = asked.has("row") ? await rowOf(asked.get("row")) : -1;
    if (found >= 0) {
      const order = nst.filters.order();
      const at = order.indexOf(found);
      at < 0 ? nst.dialog.row([found], 0) : nst.dialog.row(order, at);
    }
    document.documentElement.dataset.ready = "";
  });
})();
