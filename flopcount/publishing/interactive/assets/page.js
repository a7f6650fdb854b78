// The page: tabs, theme, print, and every chart where it can be seen.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const panels = [...document.querySelectorAll("[data-model]")];
const models = panels.map((panel, index) => new Model(panel, data.models[index]));
const section = document.querySelector(".comparison");
const scatter = section?.querySelector(".scatter") ? new Scatter(section, data.comparison) : null;

document.querySelectorAll("table.sortable:not(.layers)").forEach((table) => sorted(table));
if (section) {
  const found = section.querySelector(".found");
  filtered(section.querySelector("table"), section.querySelector(".filter"), (shown, rows) => {
    found.textContent = shown.length === rows.length ? `${rows.length} networks` : `${shown.length} of ${rows.length} networks`;
  })();
}

// Plotly comes packed, and last: numbers need not wait for charts
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

function draw(width) {
  models.forEach((model) => model.icicle.draw(width));
  scatter?.draw(width);
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
  tab.addEventListener("keydown", (event) => {
    const last = tabs.length - 1;
    const next = { ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index ? index - 1 : last, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
    tabs[next].focus();
  });
});

const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
function dress() {
  button.setAttribute("aria-pressed", String(isDark()));
  draw();
}
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  dress();
});
system.addEventListener("change", dress);

const PAPER = 680; // px between the margins of a page
const print = matchMedia("print");
let printing = false;
function paper(on) {
  if (on === printing) return;
  printing = on;
  draw(on ? PAPER : undefined);
}
print.addEventListener("change", () => paper(print.matches));
addEventListener("beforeprint", () => { root.dataset.printing = ""; paper(true); });
addEventListener("afterprint", () => { delete root.dataset.printing; paper(false); });

let width = innerWidth, later;
addEventListener("resize", () => {
  if (innerWidth === width || printing) return;
  width = innerWidth;
  clearTimeout(later);
  later = setTimeout(() => draw(), 120);
});

window.flopcount = Object.freeze({ exact, si, models });
button.setAttribute("aria-pressed", String(isDark()));
unpacked("plotly").then((text) => {
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script);
  draw();
  root.dataset.drawn = "yes";
}, () => {
  for (const chart of document.querySelectorAll(".chart")) {
    chart.textContent = "Charts need a newer browser; the tables have every number.";
  }
  root.dataset.drawn = "no";
});
