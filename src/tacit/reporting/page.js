"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const settings = { responsive: true, displayModeBar: false };
  const buttons = [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]];
  const mapSettings = { responsive: true, displaylogo: false, modeBarButtons: buttons };

  // Colours come from the style sheet, so that light and dark are decided in one place.
  const theme = () => {
    const axis = { gridcolor: css("--grid"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true };
    return {
      data: { bar: [{ error_y: { color: css("--ink") } }] },
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("--soft") },
        hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
        xaxis: axis, yaxis: axis,
      },
    };
  };

  const draw = (holder) => {
    const figure = read(holder.dataset.figure);
    const isMap = holder.id === "map";
    const layout = {
      height: 280, autosize: true, margin: { l: 56, r: 12, t: 10, b: 44 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, ...figure.layout, template: theme(),
    };
    if (isMap) {
      layout.height = Math.round(Math.min(640, Math.max(400, holder.clientWidth)));
      layout.margin = { l: 8, r: 8, t: 34, b: 8 };
      layout.legend = { orientation: "h", x: 0, y: -0.01, yanchor: "top" };
    }
    return Plotly.newPlot(holder, figure.data, layout, isMap ? mapSettings : settings);
  };

  const holders = [...document.querySelectorAll("[data-figure]")];
  holders.forEach(draw);
  dark.addEventListener("change", () =>
    holders.forEach((holder) => Plotly.react(holder, holder.data, { ...holder.layout, template: theme() })));

  for (const button of document.querySelectorAll("[data-log]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      Plotly.relayout(document.getElementById(button.dataset.log), { "yaxis.type": on ? "log" : "linear", "yaxis.autorange": true });
    });
  }

  const map = document.getElementById("map");
  if (!map) return;
  const card = document.getElementById("map-card");
  const samples = read("map-samples");
  const show = (event) => {
    const index = event.points[0].customdata;
    const sample = samples.items[index];
    card.querySelector(".tile").style.backgroundPosition = sample.at;
    card.querySelector(".tile").setAttribute("aria-label", sample.name);
    card.querySelector("strong").textContent = sample.group;
    card.querySelector(".name").textContent = sample.name;
    card.classList.add("shown");
    const frame = map.parentElement.getBoundingClientRect();
    const x = event.event.clientX - frame.left;
    const y = event.event.clientY - frame.top;
    const left = x + 18 + card.offsetWidth > frame.width ? x - 18 - card.offsetWidth : x + 18;
    card.style.left = `${Math.max(0, Math.min(left, frame.width - card.offsetWidth))}px`;
    card.style.top = `${Math.max(0, Math.min(y - 40, frame.height - card.offsetHeight))}px`;
  };
  map.on("plotly_hover", show);
  map.on("plotly_click", show);
  map.on("plotly_unhover", () => card.classList.remove("shown"));
})();
