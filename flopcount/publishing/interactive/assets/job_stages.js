// The table of a job's stages and the bar above it: all passes of each, and their shares of a quantity.

import { exact, percent, si } from "./exact.js";
import { put, sorted } from "./tables.js";

const NONE = "–"; // where nobody knows
const FIRST = 3; // cells of a stage before its quantities: name, model and times

export class Stages {
  // section: with the table; columns: quantities of the table
  constructor(section, quantities, columns) {
    this.quantities = quantities;
    this.columns = columns;
    this.table = section.querySelector(".stages");
    this.rows = swatched(this.table);
    this.bar = [...section.querySelectorAll(".whole rect")];
    this.measure = section.querySelector(".measure");
    this.digits = section.querySelector(".digits");
    this.place = sorted(this.table);
    this.measure.addEventListener("change", () => this.draw());
    this.digits.addEventListener("change", () => this.draw());
  }

  show(count) {
    this.count = count;
    this.draw();
  }

  draw() {
    const { stages, totals, data } = this.count, measure = this.measure.value, all = totals[measure];
    const last = FIRST + this.columns.length;
    const parts = stages.map(({ amounts }) => (amounts && all ? Number(amounts[measure]) / Number(all) : 0));
    stages.forEach((stage, at) => this.showStage(this.rows[at], stage));
    percentOf(this.rows.map((row) => row.cells[last]), parts, all !== null);
    this.drawBar(parts, data.stages);
    const foot = this.table.tFoot.rows[0];
    this.columns.forEach((key, at) => { foot.cells[FIRST + at].textContent = this.text(totals[key], key); });
    foot.cells[last].textContent = all === null ? NONE : percent(all, all);
    this.place();
  }

  showStage(row, { passes, runs, why, amounts }) {
    const times = row.cells[2], number = passes === undefined ? null : passes * runs;
    times.querySelector(".runs").textContent = number === null ? NONE : exact(number);
    times.dataset.key = String(number ?? "");
    row.toggleAttribute("data-wrong", Boolean(why));
    row.title = why ?? "";
    this.columns.forEach((key, at) => {
      const value = amounts ? amounts[key] : null;
      put(row.cells[FIRST + at], value === 0n ? "" : this.text(value, key), String(value ?? ""));
    });
  }

  drawBar(parts, stages) {
    let start = 0;
    this.bar.forEach((part, at) => {
      part.setAttribute("x", `${100 * start}%`);
      part.setAttribute("width", `${100 * parts[at]}%`);
      part.querySelector("title").textContent = `${stages[at].place} ${(100 * parts[at]).toFixed(1)}%`;
      start += parts[at];
    });
  }

  text(value, key) {
    if (value === null) return NONE;
    return this.digits.checked ? exact(value) : si(value, this.quantities.of(key).unit);
  }
}

// The rows of a table of stages, in the order of the data
export function swatched(table) {
  return [...table.tBodies[0].rows].sort((a, b) => Number(a.dataset.stage) - Number(b.dataset.stage));
}

// Shares of a whole as text and as bars, the largest of which is full
export function percentOf(cells, shares, isKnown) {
  const largest = Math.max(...shares);
  cells.forEach((cell, at) => {
    const text = shares[at] ? `${(100 * shares[at]).toFixed(1)}%` : "";
    put(cell, isKnown ? text : NONE, String(shares[at]));
    cell.style.setProperty("--share", largest ? shares[at] / largest : 0);
  });
}
