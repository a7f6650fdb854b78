// The page of a job: sliders -> the job at those values -> totals, stages, formulas and devices; layers as counted.

import { Address } from "./address.js";
import { Device } from "./devices.js";
import { exact, si } from "./exact.js";
import { JobCount } from "./job_count.js";
import { Stages } from "./job_stages.js";
import { Layers } from "./layers.js";
import { Quantities } from "./quantities.js";
import { written } from "./rational.js";
import { Sliders } from "./sliders.js";
import { sorted } from "./tables.js";
import { themed } from "./theme.js";

const NONE = "–"; // where nobody knows
const data = JSON.parse(document.getElementById("data").textContent);
const quantities = new Quantities(data.quantities);
const stages = new Stages(document.querySelector(".where"), quantities, data.columns);
const details = [...document.querySelectorAll("[data-spent]")];
const devices = [...document.querySelectorAll("[data-device]")].map(
  (summary, at) => new Device(data.devices[at], summary, details[at]));

const address = new Address();
const sliders = new Sliders(document.querySelector(".controls"), () => { show(); address.write(); });
function show() {
  const count = new JobCount(data, quantities, sliders.values());
  const texts = Object.entries(count.values).map(([key, value]) => `${key} = ${written(value)}`);
  document.querySelector(".now .values").textContent = texts.join(", ") || "no parameters";
  document.querySelector(".now .how").textContent = count.atBase ? "as counted" : "at the sliders";
  say(count);
  showTotals(count);
  stages.show(count);
  showForms(count);
  devices.forEach((device) => device.show(count));
}

// What is wrong with these values, or goes beyond what was counted
function say(count) {
  const box = document.querySelector(".said");
  const lines = (key) => [...new Set(count.stages.map((stage) => stage[key]).filter(Boolean))];
  const wrong = lines("why"), beyond = lines("beyond");
  box.hidden = !(wrong.length || beyond.length);
  box.querySelector("b").textContent = wrong.length ? "No total at these values." : "Beyond what was counted.";
  box.querySelector("ul").replaceChildren(...[...wrong, ...beyond].map((line) => made("li", line)));
}

function showTotals(count) {
  const units = count.units.filter((_, at) => data.units[at].shown);
  for (const row of document.querySelectorAll("[data-total]")) {
    const key = row.dataset.total, { unit } = quantities.of(key);
    [count.totals, ...units.map(({ amounts }) => amounts)].forEach((amounts, at) => {
      const value = amounts[key], isKnown = value !== null;
      const big = made("b", isKnown ? si(value, unit) : NONE), small = made("small", isKnown ? exact(value) : "");
      row.cells[at + 1].replaceChildren(big, small);
    });
  }
  units.forEach(({ value }, at) => {
    const number = document.querySelector(`[data-unit="${at}"] .value`);
    if (number) number.textContent = value === null ? NONE : numberText(value);
  });
}

function numberText([numerator, denominator]) {
  return denominator === 1n ? exact(numerator) : `≈ ${(Number(numerator) / Number(denominator)).toFixed(3)}`;
}

function showForms(count) {
  const names = Object.keys(count.values).sort((a, b) => b.length - a.length);
  const any = new RegExp(names.length ? `\\b(${names.join("|")})\\b` : "$^", "gu");
  for (const entry of document.querySelectorAll("[data-formula]")) {
    const numbers = entry.querySelector(".numbers"), formula = entry.querySelector(".formula").textContent;
    const inNumbers = formula.replace(any, (key) => written(count.values[key]));
    if (numbers) numbers.textContent = inNumbers === formula ? "" : inNumbers;
    const value = count.totals[entry.dataset.formula];
    entry.querySelector(".value").textContent = value === null ? NONE : exact(value);
  }
}

function made(kind, text) {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}

// As counted: sums of layers by the values of the parameters would need each layer's own growth
function showLayers({ paths, amounts, totals }) {
  const layers = new Layers(document.querySelector(".in-layers"), paths, data.name, quantities);
  const own = Object.entries(amounts).map(([key, texts]) => [key, layers.summed(texts.map(BigInt))]);
  const whole = Object.entries(totals).map(([key, text]) => [key, BigInt(text)]);
  layers.show(Object.fromEntries(own), quantities.completed(Object.fromEntries(whole)));
  sorted(document.getElementById("operators-table"));
}

address.serve(() => sliders.changed(), (pairs) => {
  sliders.restart();
  const wrong = pairs.map(([key, text]) => sliders.ask(key, text)).filter(Boolean);
  show();
  return wrong;
});
if (data.layers) showLayers(data.layers);
themed(() => {});
document.documentElement.dataset.drawn = "yes";
