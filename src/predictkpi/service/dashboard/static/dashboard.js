// Draws every <figure data-chart="name"> from the Vega-Lite document in <script id="chart-name">, in the colours of the reader's theme.
"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = read("chart-themes");

  // `ast` makes Vega interpret its expressions instead of compiling them, so the page needs no 'unsafe-eval'.
  async function draw(figure) {
    const theme = dark.matches ? "dark" : "light";
    const options = { renderer: "svg", actions: false, ast: true, config: themes[theme], tooltip: { theme: "page" } };
    if (figure.finalize) figure.finalize();
    const drawn = await window.vegaEmbed(figure.querySelector(".chart-in"), read(`chart-${figure.dataset.chart}`), options);
    figure.finalize = () => drawn.finalize();
    figure.dataset.drawn = theme;
  }

  const drawAll = () => document.querySelectorAll("figure[data-chart]").forEach(draw);
  dark.addEventListener("change", drawAll);
  drawAll();
})();
