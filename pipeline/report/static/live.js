"use strict";
// A served page of a run that goes on: how far it is, and the page anew once rows have finished.

(() => {
  const EVERY = 3000;
  const known = document.currentScript.dataset.stamp;
  const strip = document.getElementById("live");

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;

  const say = (said) => {
    const finished = Object.values(said.counts).reduce((a, b) => a + b, 0);
    const words = [`${finished.toLocaleString("en")} of ${said.total.toLocaleString("en")} rows`];
    for (const status of ["failed", "diverged", "quarantined"]) if (said.counts[status]) words.push(`${said.counts[status]} ${status}`);
    if (said.state === "running" && said.seconds_left !== null && said.seconds_left !== undefined) words.push(`${clock(said.seconds_left)} left`);
    strip.textContent = said.state === "running" ? words.join(", ") : `${words.join(", ")}: ${said.state}`;
  };

  let failed = 0;
  const look = async () => {
    try {
      const page = await (await fetch("/report/", { cache: "no-store" })).text();
      const stamp = page.match(/data-stamp="(\w*)"/)?.[1] ?? "";
      if (stamp !== known && !document.querySelector("dialog[open]")) return location.reload(); // the address says what is looked at
      const progress = await fetch("/progress.json", { cache: "no-store" });
      if (progress.ok) say(await progress.json());
      failed = 0;
    } catch {
      failed += 1;
      if (failed < 3) return setTimeout(look, EVERY); // one request may fail
      strip.textContent = "The run, or its server, has ended.";
      return;
    }
    setTimeout(look, EVERY);
  };
  setTimeout(look, EVERY);
})();
