// One model's panel: sliders -> sizes -> every polynomial -> totals, formulas, layers and the icicle.

import { evaluate, exact, measured, percent, si, stairsAt } from "./exact.js";
import { Icicle } from "./icicle.js";
import { filtered, sorted } from "./tables.js";
import { Timing } from "./timing.js";

const FIRST = 3; // cells of a layer before its quantities: name, type and output

export class Model {
  constructor(panel, data, quantities) {
    this.panel = panel;
    this.data = data;
    this.quantities = quantities;
    this.form = panel.querySelector(".controls");
    this.layers = withTree(data.layers.paths, data.name);
    this.table = panel.querySelector(".layers");
    this.rows = [...this.table.tBodies[0].rows];
    this.place = sorted(this.table);
    this.filter = filtered(this.table, panel.querySelector(".filter"), (shown, rows) => this.tell(shown, rows));
    this.depth = panel.querySelector(".depth");
    this.exact = panel.querySelector(".exact");
    this.timing = data.timing && new Timing(data.timing);
    this.connect();
    this.count();
    this.icicle = new Icicle(panel, this.layers, this.rows.map((row) => row.cells[1].textContent),
      (measure) => this.amounts[measure] ?? this.counted(measure));
    this.show();
  }

  connect() {
    for (const slider of this.form.querySelectorAll(".slider:not(.fixed)")) {
      const range = slider.querySelector("[type=range]"), number = slider.querySelector("[type=number]");
      range.addEventListener("input", () => { number.value = range.value; this.moved(); });
      number.addEventListener("change", () => {
        if (number.value) range.value = number.value; // the range takes the nearest size
        number.value = range.value;
        this.moved();
      });
    }
    this.form.addEventListener("submit", (submission) => submission.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(() => this.moved()));
    this.depth.addEventListener("change", () => this.showLayers());
    this.exact.addEventListener("change", () => this.showLayers());
  }

  moved() {
    this.count();
    this.show();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.icicle.draw(), 60); // a chart is slower than a slider
  }

  sizes() {
    const found = { ...this.data.base };
    for (const range of this.form.querySelectorAll("[type=range]")) {
      found[range.closest(".slider").dataset.name] = Number(range.value);
    }
    return found;
  }

  // Everything at the current sizes; null is what has no form and was counted only at the base
  count() {
    this.at = this.sizes();
    const { base, forms, stairs, counted } = this.data;
    this.atBase = Object.keys(base).every((axis) => this.at[axis] === base[axis]);
    this.stairs = stairsAt(stairs, this.at);
    this.totals = this.quantities.completed(Object.fromEntries(Object.entries(counted).map(([key, seen]) => [key,
      forms[key] ? evaluate(forms[key].terms, this.stairs) : this.atBase ? BigInt(seen) : null])));
    this.amounts = {};
    for (const [measure, { terms, counted: seen }] of Object.entries(this.data.layers.amounts)) {
      const own = terms ? terms.map((form) => evaluate(form, this.stairs)) : this.atBase ? seen.map(BigInt) : null;
      this.amounts[measure] = own && this.summed(own);
    }
  }

  // A quantity without a form, as counted, wherever the sliders are
  counted(measure) {
    return this.summed(this.data.layers.amounts[measure].counted.map(BigInt));
  }

  summed(own) {
    const whole = [...own];
    for (let index = whole.length - 1; index > 0; index -= 1) whole[this.layers[index].parent] += whole[index];
    return { own, whole };
  }

  show() {
    const { at } = this;
    const views = BigInt(at.clips) * BigInt(at.crops);
    const now = this.panel.querySelector(".now");
    now.querySelector(".how").textContent = this.atBase ? "as counted" : "by the closed form";
    now.querySelector(".views").textContent = `${at.clips}×${at.crops} = ${views} view${views > 1n ? "s" : ""}`;
    if (Object.keys(this.data.base).length) {
      const square = "S" in at;
      now.querySelector(".clip").textContent = [at.T, square ? at.S : at.H, square ? at.S : at.W]
        .filter((size) => size !== undefined).join("×");
    }
    for (const row of this.panel.querySelectorAll("[data-total]")) {
      const key = row.dataset.total, value = this.totals[key], { unit } = this.quantities.of(key);
      write(row.querySelector(".view"), value, unit);
      if (this.quantities.growsWithViews(key)) {
        write(row.querySelector(".video"), value === null ? null : value * views, unit);
      }
    }
    if (this.timing) this.showTime(Number(views));
    for (const entry of this.panel.querySelectorAll("[data-formula]")) {
      const numbers = entry.querySelector(".numbers"), formula = entry.querySelector(".formula").textContent;
      const inNumbers = formula.replace(/[BTHWS]/g, (axis) => at[axis]);
      if (numbers) numbers.textContent = inNumbers === formula ? "" : inNumbers;
      entry.querySelector(".value").textContent = exact(this.totals[entry.dataset.formula]);
    }
    this.showLayers();
  }

  showTime(views) {
    const seconds = this.timing.at(this.at, this.totals, this.atBase);
    const of = (key, times) => (seconds ? measured(seconds[key] * times, "s") : "–");
    const text = (key, times) => (key === "range" ? `${of("low", times)} to ${of("high", times)}` : of(key, times));
    for (const row of this.panel.querySelectorAll("[data-timing]")) {
      const key = row.dataset.timing;
      row.querySelector(".view b").textContent = text(key, 1);
      row.querySelector(".video b").textContent = text(key, views);
    }
    this.panel.querySelector(".timing .basis").textContent = this.atBase ? "as counted" : this.timing.how;
  }

  showLayers() {
    const { columns } = this.quantities, last = FIRST + columns.length;
    const depth = Number(this.depth.value);
    this.rows.forEach((row, index) => this.showLayer(row, index, depth));
    const shares = this.rows.map((row) => row.cells[last]);
    const there = shares.filter((_, index) => !("away" in this.rows[index].dataset));
    const largest = Math.max(...there.map((cell) => Number(cell.dataset.key)));
    shares.forEach((cell) => cell.style.setProperty("--share", largest ? Number(cell.dataset.key) / largest : 0));
    const foot = this.table.tFoot.rows[0];
    columns.forEach((key, column) => {
      foot.cells[FIRST + column].textContent = this.text(this.totals[key], key);
    });
    foot.cells[last].textContent = this.totals[this.basis()] ? "100.0%" : "";
    this.place();
    this.filter();
  }

  basis() {
    return this.quantities.basis(this.totals);
  }

  showLayer(row, index, depth) {
    const level = this.layers[index].depth;
    const of = (measure) => this.amounts[measure]?.[level === depth ? "whole" : "own"][index] ?? null;
    const measures = Object.keys(this.amounts);
    const values = this.quantities.completed(Object.fromEntries(measures.map((measure) => [measure, of(measure)])));
    const empty = Object.values(values).every((value) => value === 0n);
    row.toggleAttribute("data-away", empty || (depth >= 0 && level > depth));
    row.hidden = "away" in row.dataset;
    const { columns } = this.quantities;
    columns.forEach((key, column) => {
      const value = values[key];
      put(row.cells[FIRST + column], this.text(value, key), value === null ? "" : value.toString());
    });
    const share = row.cells[FIRST + columns.length], part = values[this.basis()], all = this.totals[this.basis()];
    const ratio = part === null || !all ? "0" : String(Number(part) / Number(all));
    put(share, part === null ? "–" : percent(part, all), ratio);
  }

  text(value, key) {
    if (value === null) return "no form";
    return value === 0n ? "" : this.exact.checked ? exact(value) : si(value, this.quantities.of(key).unit);
  }

  tell(shown, rows) {
    const found = this.panel.querySelector(".found");
    if (shown.length === rows.length) { found.textContent = `${rows.length} layers.`; return; }
    const basis = this.basis(), column = FIRST + this.quantities.columns.indexOf(basis);
    const cells = shown.map((row) => row.cells[column].dataset.key);
    const sum = cells.includes("") ? null : cells.reduce((total, text) => total + BigInt(text), 0n);
    const { title } = this.quantities.of(basis), whole = this.totals[basis];
    const cost = sum === null ? "" : `: ${si(sum)} ${title}, ${percent(sum, whole) || "0%"}`;
    found.textContent = `${shown.length} of ${rows.length} layers${cost}.`;
  }
}

// A text that is there already is left alone, and needs no new layout
function put(cell, text, key) {
  if (cell.textContent !== text) cell.textContent = text;
  if (cell.dataset.key !== key) cell.dataset.key = key;
}

function write(cell, value, unit) {
  const big = document.createElement("b"), small = document.createElement("small");
  big.textContent = value === null ? "no form" : si(value, unit);
  small.textContent = value === null ? "counted at the base clip only" : exact(value);
  cell.replaceChildren(big, small);
}

function withTree(paths, root) {
  const at = new Map(paths.map((path, index) => [path, index]));
  const found = paths.map((path) => {
    const parts = path.split(".");
    return {
      path,
      label: path.match(/[^.]*(\.\d+)*$/)[0] || root, // "conv1.0": a number alone says nothing
      depth: path ? parts.length : 0,
      parent: path ? at.get(parts.slice(0, -1).join(".")) : -1,
      children: [],
    };
  });
  found.forEach((layer, index) => { if (layer.parent >= 0) found[layer.parent].children.push(index); });
  return found;
}
