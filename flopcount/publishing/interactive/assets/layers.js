// The table of layers: every amount of each, down to a depth; it sorts, and is filtered by words.

import { exact, percent, si } from "./exact.js";
import { filtered, put, sorted } from "./tables.js";

const FIRST = 3; // cells of a layer before its quantities: name, type and output

export class Layers {
  // paths: of the modules, each after the one that holds it; root: what the first is called
  constructor(panel, paths, root, quantities) {
    this.panel = panel;
    this.quantities = quantities;
    this.tree = withTree(paths, root);
    this.table = panel.querySelector(".layers");
    this.rows = [...this.table.tBodies[0].rows];
    this.types = this.rows.map((row) => row.cells[1].textContent);
    this.place = sorted(this.table);
    this.filter = filtered(this.table, panel.querySelector(".filter"), (shown, rows) => this.tell(shown, rows));
    this.depth = panel.querySelector(".depth");
    this.exact = panel.querySelector(".exact");
    this.onPaper = false;
    this.depth.addEventListener("change", () => this.draw());
    this.exact.addEventListener("change", () => this.draw());
  }

  // What each layer's own operators cost, with the same of all that it holds
  summed(own) {
    const whole = [...own];
    for (let index = whole.length - 1; index > 0; index -= 1) whole[this.tree[index].parent] += whole[index];
    return { own, whole };
  }

  // amounts: by quantity, as `summed` gives them, or null where nobody knows; totals: of everything
  show(amounts, totals) {
    this.amounts = amounts;
    this.totals = totals;
    this.draw();
  }

  // Paper has few levels, whatever the screen shows
  paper(on) {
    this.onPaper = on;
    this.draw();
  }

  // The deepest level of the rows; -1: all
  level() {
    const chosen = Number(this.depth.value), most = Number(this.table.dataset.paper);
    return this.onPaper && (chosen < 0 || chosen > most) ? most : chosen;
  }

  draw() {
    const { columns } = this.quantities, last = FIRST + columns.length;
    const depth = this.level();
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
    const level = this.tree[index].depth;
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
    const deep = this.level() < 0 ? "" : ` down to depth ${this.level()}`;
    if (shown.length === rows.length) { found.textContent = `${rows.length} layers${deep}.`; return; }
    const basis = this.basis(), column = FIRST + this.quantities.columns.indexOf(basis);
    const cells = shown.map((row) => row.cells[column].dataset.key);
    const sum = cells.includes("") ? null : cells.reduce((total, text) => total + BigInt(text), 0n);
    const { title } = this.quantities.of(basis), whole = this.totals[basis];
    const cost = sum === null ? "" : `: ${si(sum)} ${title}, ${percent(sum, whole) || "0%"}`;
    found.textContent = `${shown.length} of ${rows.length} layers${deep}${cost}.`;
  }
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
