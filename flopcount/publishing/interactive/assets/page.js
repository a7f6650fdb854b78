// The page: tabs, theme, print, its address, and every chart where it can be seen.

import { Address } from "./address.js";
import { Model } from "./model.js";
import { unpackedPlotly } from "./plotly.js";
import { Quantities } from "./quantities.js";
import { Scatter } from "./scatter.js";
import { barred, filtered, sorted } from "./tables.js";
import { Tabs } from "./tabs.js";
import { themed } from "./theme.js";

const PAPER = 680; // px between the margins of a page
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
let printing = false;
const panels = [...document.querySelectorAll("[data-model]")];
const quantities = new Quantities(data.quantities);
const address = new Address();
const models = panels.map((panel, index) => new Model(panel, data.models[index], quantities, () => address.write()));
const section = document.querySelector(".comparison");
const scatter = section?.querySelector(".scatter") ? new Scatter(section, data.comparison) : null;

document.querySelectorAll("table.sortable:not(.layers)").forEach((table) => {
  sorted(table);
  barred(table);
});
if (data.comparison) {
  const found = section.querySelector(".found");
  filtered(document.getElementById("comparison-table"), section.querySelector(".filter"), (shown, rows) => {
    const some = shown.length === rows.length ? "" : `${shown.length} of `;
    found.textContent = `${some}${rows.length} networks`;
  })();
}

const charts = [...models.map(({ icicle }) => icicle), ...(scatter ? [scatter] : [])];

// as wide as each has room for; on paper as wide as that
function draw() {
  charts.forEach((chart) => (printing ? chart.draw(PAPER, chart.heightOnPaper) : chart.draw()));
}

function chosen() {
  draw();
  address.write(true);
}

const list = document.querySelector("main > .tabs");
const tabs = list && new Tabs(list, chosen);
const parts = panels.map((panel) => new Tabs(panel.querySelector(".tabs.parts"), chosen));
const many = panels.length > 1;

// Which network is shown; none where the comparison is
function shownModel() {
  return panels.findIndex((panel) => !panel.hidden);
}

function state() {
  const pairs = [];
  if (tabs?.index > 0) pairs.push(["tab", tabs.key]);
  const at = shownModel();
  if (parts[at]?.index > 0) pairs.push(["part", parts[at].key]);
  if (section && !section.hidden && scatter && scatter.per.selectedIndex > 0) pairs.push(["per", scatter.per.value]);
  models.forEach((each, index) => each.sliders.changed().forEach(([key, text]) => {
    pairs.push([many ? `${data.models[index].name}.${key}` : key, text]);
  }));
  return pairs;
}

// One of these, or the first with a line that says so
function among(keys, key, what, wrong) {
  const found = keys.indexOf(key);
  if (found < 0) wrong.push(`there is no ${what} “${key}”; there are ${keys.join(", ")}`);
  return Math.max(found, 0);
}

function restore(pairs) {
  const wrong = [], sizes = models.map(() => []);
  let part = null, tab = null, per = null;
  for (const [key, text] of pairs) {
    const dot = key.lastIndexOf("."), owner = key.slice(0, Math.max(dot, 0));
    const of = many ? data.models.findIndex((each) => each.name === owner) : dot < 0 ? 0 : -1;
    if (key === "tab") tab = text;
    else if (tabs && text === "" && tabs.keys().includes(key)) tab = key;
    else if (key === "part") part = text;
    else if (key === "per" && scatter) per = text;
    else if (sizes[of]) sizes[of].push([key.slice(dot + 1), text]);
    else wrong.push(`there is nothing called ${key} to set`);
  }
  if (tab !== null && !tabs) wrong.push(`there is no tab “${tab}”: the page has one network`);
  tabs?.show(tab === null ? 0 : among(tabs.keys(), tab, "tab", wrong));
  parts.forEach((each) => each.show(0));
  const at = shownModel();
  if (part !== null && at < 0) wrong.push(`the comparison has no part “${part}”`);
  else if (part !== null) parts[at].show(among(parts[at].keys(), part, "part", wrong));
  if (scatter) {
    const values = [...scatter.per.options].map((option) => option.value);
    scatter.per.selectedIndex = per === null ? 0 : among(values, per, "cost per", wrong);
  }
  models.forEach((each, index) => wrong.push(...each.restore(sizes[index])
    .map((text) => (many ? `${data.models[index].name}: ${text}` : text))));
  draw();
  return wrong;
}

// A link to a tab of this page leaves the sliders where they are
document.addEventListener("click", (click) => {
  const link = click.target.closest?.("a[href^='#tab=']");
  if (!link || !tabs || click.ctrlKey || click.metaKey || click.shiftKey) return;
  click.preventDefault();
  const index = tabs.keys().indexOf(new URLSearchParams(link.hash.slice(1)).get("tab"));
  tabs.choose(index);
  tabs.tabs[index].focus();
});

scatter?.per.addEventListener("change", () => address.write());
address.serve(state, restore);

themed(() => draw());

const onPaper = matchMedia("print");
function paper(on) {
  if (on === printing) return;
  printing = on;
  models.forEach(({ layers }) => layers.paper(on));
  draw();
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
