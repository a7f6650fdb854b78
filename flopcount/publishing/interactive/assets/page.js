// The page: tabs, theme, print, and every chart where it can be seen.

import { Model } from "./model.js";
import { unpackedPlotly } from "./plotly.js";
import { Quantities } from "./quantities.js";
import { Scatter } from "./scatter.js";
import { filtered, sorted } from "./tables.js";
import { themed } from "./theme.js";

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const panels = [...document.querySelectorAll("[data-model]")];
const quantities = new Quantities(data.quantities);
const models = panels.map((panel, index) => new Model(panel, data.models[index], quantities));
const section = document.querySelector(".comparison");
const scatter = section?.querySelector(".scatter") ? new Scatter(section, data.comparison) : null;

document.querySelectorAll("table.sortable:not(.layers)").forEach((table) => sorted(table));
if (section) {
  const found = section.querySelector(".found");
  filtered(section.querySelector("table"), section.querySelector(".filter"), (shown, rows) => {
    const some = shown.length === rows.length ? "" : `${shown.length} of `;
    found.textContent = `${some}${rows.length} networks`;
  })();
}

const charts = [...models.map(({ icicle }) => icicle), ...(scatter ? [scatter] : [])];

// as wide as each has room for, unless `width` is set
function draw(width) {
  charts.forEach((chart) => chart.draw(width));
}

const tabs = [...document.querySelectorAll("[role=tab]")];
function choose(index) {
  tabs.forEach((tab, i) => {
    tab.ariaSelected = String(i === index);
    tab.tabIndex = i === index ? 0 : -1;
    panels[i].hidden = i !== index;
  });
  draw();
}
tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => choose(index));
  tab.addEventListener("keydown", (press) => {
    const last = tabs.length - 1;
    const right = index === last ? 0 : index + 1, left = index ? index - 1 : last;
    const next = { ArrowRight: right, ArrowLeft: left, Home: 0, End: last }[press.key];
    if (next === undefined) return;
    press.preventDefault();
    choose(next);
    tabs[next].focus();
  });
});

themed(() => draw());

const PAPER = 680; // px between the margins of a page
const onPaper = matchMedia("print");
let printing = false;
function paper(on) {
  if (on === printing) return;
  printing = on;
  draw(on ? PAPER : undefined);
}
onPaper.addEventListener("change", () => paper(onPaper.matches));
addEventListener("beforeprint", () => paper(true));
addEventListener("afterprint", () => paper(false));

let windowWidth = innerWidth, later;
addEventListener("resize", () => {
  if (innerWidth === windowWidth || printing) return;
  windowWidth = innerWidth;
  clearTimeout(later);
  later = setTimeout(() => draw(), 120);
});

// numbers need not wait for charts
unpackedPlotly(document.getElementById("plotly").textContent).then((plotly) => {
  charts.forEach((chart) => { chart.plotly = plotly; });
  draw();
  root.dataset.drawn = "yes";
}, () => {
  for (const chart of document.querySelectorAll(".chart")) {
    chart.textContent = "Charts need a newer browser; the tables have every number.";
  }
  root.dataset.drawn = "no";
});
