"use strict";
// What is looked at, in the address: a link that is sent opens the same rows in the same order, or the same card.
// #gallery&search=night&sort=loss&down=1&status=ok,failed&style_weight=2&row=ID

nst.address = (() => {
  const parts = () => location.hash.slice(1).split("&");
  const view = () => decodeURIComponent(parts()[0] ?? "");

  // What the address says besides the view, by name.
  const read = () => {
    const said = new Map();
    for (const part of parts().slice(1)) {
      const at = part.indexOf("=");
      if (at > 0) said.set(decodeURIComponent(part.slice(0, at)), decodeURIComponent(part.slice(at + 1)));
    }
    return said;
  };

  const replace = (said) => {
    const words = [...said].filter(([, value]) => value !== "" && value !== null && value !== undefined);
    const text = [view() || "summary", ...words.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)].join("&");
    if (text === "summary" && !location.hash) return;
    try {
      history.replaceState(null, "", `#${text}`);
    } catch {
      // some browsers forbid it to pages from disk: then links name the view alone
    }
  };

  // Put filters and order into the address; the open card stays.
  const filters = (said) => {
    const row = read().get("row");
    replace(new Map([...said, ...(row ? [["row", row]] : [])]));
  };

  // Put the open card into the address, or take it out.
  const row = (id) => replace(new Map([...read()].filter(([name]) => name !== "row").concat(id === null ? [] : [["row", id]])));

  return { view, read, filters, row };
})();
