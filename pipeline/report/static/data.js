"use strict";
// Data come as scripts that call nst.receive: a page opened from disk may not fetch. Most are loaded when needed.

nst.data = (() => {
  const got = new Map();
  const asked = new Map();
  const key = (kind, number) => `${kind}-${number}`;

  nst.receive = (kind, number, payload) => got.set(key(kind, number), payload);

  const run = (source) =>
    new Promise((resolve, reject) => {
      const script = nst.h("script", { src: source });
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error(`${source} could not be loaded`)));
      document.head.append(script);
    });

  // What a script hands over; each is loaded once, and again after it could not be.
  const load = (kind, number) => {
    const name = key(kind, number);
    if (got.has(name)) return Promise.resolve(got.get(name));
    if (!asked.has(name)) {
      const source = `data/${name}.${nst.data.index().stamp}.js`;
      asked.set(
        name,
        run(source).then(
          () => got.get(name),
          (error) => {
            asked.delete(name);
            throw error;
          },
        ),
      );
    }
    return asked.get(name);
  };

  const all = (kind) => Promise.all(Array.from({ length: nst.data.index().files[kind] }, (_, k) => load(kind, k)));

  // Let go of what a script handed over, once it is kept elsewhere.
  const drop = (kind, number) => {
    got.delete(key(kind, number));
    asked.delete(key(kind, number));
  };

  let library = null;
  const plotly = () => (library ??= run(nst.data.index().plotly).then(() => window.Plotly));

  return { load, all, drop, plotly, get: (kind, number) => got.get(key(kind, number)), index: () => got.get("index-0") };
})();
