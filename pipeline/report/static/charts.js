"use strict";
// Charts by Plotly, in the page's colours. The library is large and loaded with the first of them.

nst.charts = (() => {
  const COLOURS = ["#c2512f", "#3f7cac", "#5b8c5a", "#b08828", "#8661a8", "#3a9c94", "#c25b8a", "#7d7a42", "#5a6fc0", "#a0674b"];
  const drawn = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // light-dark() is resolved only where a colour is used, so ask an element for it.
  const resolved = (name) => {
    const probe = nst.h("span", { style: `color: var(${name}); display: none` });
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const layout = ({ log, x = "loss evaluation", y = "loss", legend = true }) => {
    const axis = {
      gridcolor: resolved("--line"), zerolinecolor: resolved("--line"), linecolor: resolved("--line"),
      tickfont: { size: 11 }, title: { font: { size: 12 } }, automargin: true,
    };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: COLOURS,
      font: { family: colour("--text") || "sans-serif", color: resolved("--soft"), size: 12 },
      margin: { l: 56, r: 8, t: 8, b: 44 },
      xaxis: { ...axis, title: { text: x, font: { size: 12 } } },
      yaxis: { ...axis, title: { text: y, font: { size: 12 } }, type: log ? "log" : "linear", exponentformat: "e" },
      showlegend: legend, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      hovermode: "closest", dragmode: "zoom",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: resolved("--soft"), activecolor: resolved("--accent") },
    };
  };

  const config = () => ({
    displayModeBar: window.innerWidth < 600 ? false : "hover", displaylogo: false, responsive: true, showLink: false, scrollZoom: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendChartToCloud"],
  });

  // Draw, or draw anew. `label` says in words what the lines show.
  const draw = async (place, traces, options, label) => {
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", label);
    place.classList.add("busy");
    const plotly = await nst.data.plotly();
    place.classList.remove("busy");
    if (!place.isConnected) return;
    if (!drawn.has(place)) place.replaceChildren();
    drawn.set(place, { traces, options });
    await plotly.react(place, traces, layout(options), config());
  };

  const forget = (place) => {
    if (!drawn.delete(place)) return;
    window.Plotly.purge(place);
  };

  const repaint = () => {
    for (const [place, { traces, options }] of drawn) {
      if (place.isConnected) window.Plotly.react(place, traces, layout(options), config());
      else drawn.delete(place);
    }
  };

  return { draw, forget, repaint, COLOURS };
})();
