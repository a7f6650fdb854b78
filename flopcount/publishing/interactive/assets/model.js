// One model's panel: sliders -> sizes -> every polynomial -> totals, formulas, layers and the icicle.

import { evaluate, exact, measured, si, stairsAt } from "./exact.js";
import { Icicle } from "./icicle.js";
import { Layers } from "./layers.js";
import { Sliders } from "./sliders.js";
import { Timing } from "./timing.js";

export class Model {
  // told: called when a slider was moved
  constructor(panel, data, quantities, told) {
    this.panel = panel;
    this.data = data;
    this.quantities = quantities;
    this.told = told;
    this.layers = new Layers(panel, data.layers.paths, data.name, quantities);
    this.timing = data.timing && new Timing(data.timing);
    this.sliders = new Sliders(panel.querySelector(".controls"), () => { this.moved(); this.told(); });
    this.count();
    this.icicle = new Icicle(panel, this.layers.tree, this.layers.types,
      (measure) => this.amounts[measure] ?? this.counted(measure));
    this.show();
  }

  moved() {
    this.count();
    this.show();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.icicle.draw(), 60); // a chart is slower than a slider
  }

  // Sliders as a link has them, by name; the answer says what is wrong with that
  restore(asked) {
    this.sliders.restart();
    const wrong = asked.map(([key, text]) => this.sliders.ask(key, text)).filter(Boolean);
    this.sliders.unlockIfApart();
    this.moved();
    return wrong;
  }

  sizes() {
    const moved = Object.entries(this.sliders.values()).map(([axis, text]) => [axis, Number(text)]);
    return { ...this.data.base, ...Object.fromEntries(moved) };
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
      this.amounts[measure] = own && this.layers.summed(own);
    }
  }

  // A quantity without a form, as counted, wherever the sliders are
  counted(measure) {
    return this.layers.summed(this.data.layers.amounts[measure].counted.map(BigInt));
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
    this.layers.show(this.amounts, this.totals);
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
}

function write(cell, value, unit) {
  const big = document.createElement("b"), small = document.createElement("small");
  big.textContent = value === null ? "no form" : si(value, unit);
  small.textContent = value === null ? "counted at the base clip only" : exact(value);
  cell.replaceChildren(big, small);
}
