"use strict";
// Before and after: two pictures on one another, and a slider that wipes between them.

nst.slider = ({ before, after, spareAfter = null, beforeName, afterName, width, height }) => {
  const ratio = width && height ? width / height : 1;
  const frame = nst.h("div", { class: "wipe" });
  frame.style.setProperty("--ratio", ratio);
  const input = nst.h("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": `Share of the ${beforeName} shown` });
  const move = () => {
    frame.style.setProperty("--at", `${input.value}%`);
    input.setAttribute("aria-valuetext", `${input.value} % ${beforeName}, ${100 - input.value} % ${afterName}`);
  };
  const lower = nst.picture(after, afterName);
  if (spareAfter && spareAfter !== after) lower.dataset.spare = spareAfter;
  const upper = nst.picture(before, beforeName);
  lower.classList.add("lower");
  upper.classList.add("upper");
  frame.append(
    lower,
    upper,
    nst.h("span", { class: "tag left", "aria-hidden": "true" }, beforeName),
    nst.h("span", { class: "tag right", "aria-hidden": "true" }, afterName),
    nst.h("span", { class: "line", "aria-hidden": "true" }),
    input,
  );
  input.addEventListener("input", move);
  move();
  return frame;
};
