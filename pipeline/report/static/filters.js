"use strict";
// Which rows, in which order: one form for the gallery, the matrix and the curves.

nst.filters = (() => {
  const MANY = 14; // values beyond which numbers are asked for as a range
  const TOO_MANY = 300; // beyond which names are left to the search
  const SHOWN = 500; // rows that are found and shown, where the page has not loaded all
  const FILTERED = ["gallery", "matrix", "curves"]; // views that show the rows that are asked for
  const listeners = [];
  let order = [];
  let tests = [];

  const value = (id) => nst.$(id).value;

  const range = (name, title) =>
    nst.h("fieldset", { class: "range" },
      nst.h("legend", {}, title),
      nst.h("input", { type: "number", step: "any", name: `${name}-from`, placeholder: "from", "aria-label": `${title} from` }),
      nst.h("span", { "aria-hidden": "true" }, "–"),
      nst.h("input", { type: "number", step: "any", name: `${name}-to`, placeholder: "to", "aria-label": `${title} to` }));

  const choice = (dimension, number) =>
    nst.h("label", {}, nst.h("span", {}, dimension.name),
      nst.h("select", { name: `d${number}` }, nst.h("option", { value: "" }, "any"),
        dimension.present.map((code) => nst.h("option", { value: code }, dimension.text(code)))));

  const facet = (dimension, number) => {
    if (dimension.numeric && dimension.size > MANY) return range(`d${number}`, dimension.name);
    return dimension.size > TOO_MANY || !dimension.present.length ? null : choice(dimension, number);
  };

  // A test of numbers within what the two fields say; null if they say nothing.
  const within = (form, name, number) => {
    const [from, to] = ["from", "to"].map((end) => form.elements[`${name}-${end}`]?.valueAsNumber ?? NaN);
    if (Number.isNaN(from) && Number.isNaN(to)) return null;
    return (row) => {
      const found = number(row);
      return found !== null && !(found < from) && !(found > to);
    };
  };

  const asked = (form) => {
    const { rows, dimensions } = nst.model;
    const found = [within(form, "loss", (row) => rows.loss[row])];
    dimensions.forEach(({ code, value: of }, number) => {
      const select = form.elements[`d${number}`];
      if (select?.value) found.push((row) => code(row) === Number(select.value));
      found.push(within(form, `d${number}`, (row) => (code(row) < 0 ? null : of(code(row)))));
    });
    tests = found.filter(Boolean);
    return {
      text: value("search"),
      statuses: new Set([...form.querySelectorAll("[name=status]:checked")].map((box) => Number(box.value))),
      tests,
      sort: value("sort"),
      descending: nst.$("descending").getAttribute("aria-pressed") === "true",
    };
  };

  // What is asked for, for the address: only what is not as it was.
  const said = (form, state) => {
    const { dimensions } = nst.model;
    const boxes = [...form.querySelectorAll("[name=status]")];
    const few = boxes.some((box) => !box.checked);
    const names = nst.data.index().statuses;
    const found = new Map([
      ["search", state.text],
      ["sort", state.sort === "name" ? "" : state.sort],
      ["down", state.descending ? "1" : ""],
      ["status", few ? boxes.filter((box) => box.checked).map((box) => names[Number(box.value)]).join(",") || "none" : ""],
    ]);
    for (const end of ["from", "to"]) found.set(`loss-${end}`, form.elements[`loss-${end}`]?.value ?? "");
    dimensions.forEach(({ name, text }, number) => {
      const select = form.elements[`d${number}`];
      if (select) found.set(name, select.value === "" ? "" : text(Number(select.value)));
      for (const end of ["from", "to"]) {
        const field = form.elements[`d${number}-${end}`];
        if (field) found.set(`${name}-${end}`, field.value);
      }
    });
    return found;
  };

  // Ask for what an address says.
  const take = (wanted) => {
    const form = nst.$("filters");
    const { dimensions, sorts } = nst.model;
    nst.$("search").value = wanted.get("search") ?? "";
    if (sorts().has(wanted.get("sort"))) nst.$("sort").value = wanted.get("sort");
    if (wanted.get("down")) turned(true);
    if (wanted.has("status")) {
      const names = wanted.get("status").split(",");
      for (const box of form.querySelectorAll("[name=status]")) box.checked = names.includes(nst.data.index().statuses[Number(box.value)]);
    }
    const fields = [["loss", "loss"], ...dimensions.map(({ name }, number) => [name, `d${number}`])];
    for (const [name, field] of fields) {
      for (const end of ["from", "to"]) {
        if (form.elements[`${field}-${end}`] && wanted.has(`${name}-${end}`)) form.elements[`${field}-${end}`].value = wanted.get(`${name}-${end}`);
      }
    }
    dimensions.forEach(({ name, text, present }, number) => {
      const code = wanted.has(name) ? present.find((each) => text(each) === wanted.get(name)) : undefined;
      if (code !== undefined && form.elements[`d${number}`]) form.elements[`d${number}`].value = code;
    });
    apply();
  };

  const turned = (down) => {
    const turn = nst.$("descending");
    turn.setAttribute("aria-pressed", down);
    turn.textContent = down ? "↓" : "↑";
  };

  const rows = (count) => nst.count(count, "row", "rows");

  const show = (found, said) => {
    order = found;
    nst.$("found").textContent = said;
    nst.$("more-count").textContent = tests.length ? ` (${tests.length})` : "";
    listeners.forEach((listener) => listener(order));
  };

  // Whether what is asked is something else than what a page begins with.
  const particular = ({ text, statuses, sort, descending }) =>
    text.trim() || tests.length || descending || sort !== "name" || statuses.size < nst.data.index().counts.filter(Boolean).length;

  let turn = 0;
  const apply = () => {
    const state = asked(nst.$("filters"));
    if (FILTERED.includes(nst.address.view())) nst.address.filters(said(nst.$("filters"), state));
    turn += 1;
    const all = nst.model.count();
    if (!nst.model.complete() && particular(state)) return look(state, turn);
    const found = nst.model.select(state);
    if (!nst.model.complete()) return show(found, `a sample of ${found.length.toLocaleString("en")} of ${rows(all)}: search, filters and order go through all`);
    show(found, found.length === all ? rows(all) : `${found.length.toLocaleString("en")} of ${rows(all)}`);
  };

  // Find rows among all of a run of which the page has only a sample, and load what is shown of the first ones.
  const look = async (state, mine) => {
    const all = nst.model.count();
    const tell = (text) => mine === turn && (nst.$("found").textContent = text);
    try {
      tell(`looking through ${rows(all)} …`);
      await nst.model.find((share) => tell(`looking through ${rows(all)}, ${Math.round(100 * share)} % …`));
      if (mine !== turn) return;
      const found = nst.model.select(state, true);
      const first = found.slice(0, SHOWN);
      await nst.model.need(first);
      if (mine !== turn) return;
      const cut = found.length > first.length ? `, of which the first ${first.length} are shown` : "";
      show(first, `${found.length.toLocaleString("en")} of ${rows(all)}${cut}`);
    } catch (problem) {
      tell(problem.message);
    }
  };

  // Show only rows of one status, as the summary's legend asks.
  const only = (status) => {
    for (const box of nst.$("filters").querySelectorAll("[name=status]")) {
      box.checked = nst.data.index().statuses[Number(box.value)] === status;
    }
    apply();
  };

  const start = () => {
    const { dimensions, sorts } = nst.model;
    const form = nst.$("filters");
    const { counts } = nst.data.index();
    const statuses = nst.h("fieldset", { class: "chips" }, nst.h("legend", { class: "unseen" }, "Status"),
      nst.data.index().statuses.map((name, code) =>
        counts[code] === 0 ? null : nst.h("label", { class: name },
          nst.h("input", { type: "checkbox", name: "status", value: code, checked: true }),
          nst.h("span", {}, `${name} ${counts[code].toLocaleString("en")}`))));
    const turn = nst.h("button", { type: "button", id: "descending", class: "quiet", "aria-pressed": "false", "aria-label": "Descending", title: "Ascending or descending" }, "↑");
    turn.addEventListener("click", () => {
      turned(turn.getAttribute("aria-pressed") !== "true");
      apply();
    });
    form.append(
      nst.h("div", { class: "line" },
        nst.h("label", { class: "search" }, nst.h("span", { class: "unseen" }, "Search"),
          nst.h("input", { type: "search", id: "search", placeholder: "Search ids, pictures, parameters", autocomplete: "off", spellcheck: "false" })),
        nst.h("span", { class: "sort" },
          nst.h("label", {}, nst.h("span", {}, "Sort by"), nst.h("select", { id: "sort" }, [...sorts().keys()].map((name) => nst.h("option", {}, name)))),
          turn),
        statuses,
        nst.h("output", { id: "found", class: "soft", "aria-live": "polite" })),
      nst.h("details", { id: "more" },
        nst.h("summary", {}, "Filters", nst.h("span", { id: "more-count" })),
        nst.h("div", { class: "facets" }, range("loss", "loss"), dimensions.map(facet),
          nst.h("button", { type: "reset", class: "quiet" }, "Clear"))));
    form.addEventListener("input", nst.calmly(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    nst.$("more").open = window.matchMedia("(min-width: 60rem)").matches && dimensions.length > 0 && dimensions.length < 9;
  };

  return { FILTERED, start, apply, only, take, onChange: (listener) => listeners.push(listener), order: () => order };
})();
