"use strict";
// The page's one global name, and how it makes elements: text is always text, never HTML.

const nst = {};

nst.$ = (id) => document.getElementById(id);

// An element. Attributes: `on…` listen, `class` and others are set, null and false are left out, true is empty.
nst.h = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "checked") element.defaultChecked = value; // what a form's reset returns to
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

// Say something to who listens to the page, without moving the focus.
nst.say = (text) => {
  nst.$("said").textContent = text;
};

nst.number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 4 }));

nst.count = (value, one, many) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;

nst.seconds = (value) => {
  if (value === null || value === undefined) return "–";
  if (value < 120) return `${value.toLocaleString("en", { maximumSignificantDigits: value < 10 ? 2 : 3 })} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
};

// Call once things have calmed down, so that typing does not filter at every letter.
nst.calmly = (act, milliseconds = 120) => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, milliseconds);
  };
};

// A picture, or a place that says why there is none. It loads when it comes near the window.
nst.picture = (source, alternative, missing = "no picture") =>
  source
    ? nst.h("img", { src: source, alt: alternative, loading: "lazy", decoding: "async", draggable: "false" })
    : nst.h("span", { class: "missing", role: "img", "aria-label": `${alternative}: ${missing}` }, missing);

// Pictures may have been deleted since the page was made.
document.addEventListener(
  "error",
  (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement)) return;
    const spare = image.dataset.spare;
    if (spare) {
      delete image.dataset.spare;
      image.src = spare;
      return;
    }
    const place = nst.picture(null, image.alt, "picture gone");
    if (image.className) place.classList.add(...image.classList);
    image.replaceWith(place);
  },
  true,
);

// A link, where there is somewhere to go; Python decides that.
nst.link = (href, text) => (href ? nst.h("a", { href, target: "_blank", rel: "noreferrer" }, text) : nst.h("span", {}, text));

// Hand a file to the browser's downloads.
nst.download = (name, text) => {
  const link = nst.h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};
