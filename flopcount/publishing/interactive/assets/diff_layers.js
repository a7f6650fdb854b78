// The table of layers of a difference: it sorts, and shows those that differ, or are of some kind, name or depth.

import { added } from "./diff_folding.js";
import { filtered, put, sorted } from "./tables.js";

const FIRST = 4; // cells of a layer before its numbers: name, change, type and output

export class DiffLayers {
  constructor(section, folding) {
    this.folding = folding;
    this.table = section.querySelector("table");
    this.rows = [...this.table.tBodies[0].rows];
    this.names = this.rows.map((row) => row.cells[0].textContent);
    this.places = new Map(this.rows.map((row, index) => [row, index]));
    this.place = sorted(this.table);
    this.found = section.querySelector(".found");
    this.filter = filtered(this.table, section.querySelector(".filter"), (shown) => this.tell(shown));
    this.kind = section.querySelector(".show");
    this.depth = section.querySelector(".depth");
    this.exact = section.querySelector(".exact");
    if (this.kind.querySelector("[value=differs]")) this.kind.value = "differs";
    for (const field of [this.kind, this.depth, this.exact]) field.addEventListener("change", () => this.draw());
  }

  draw() {
    this.layers = this.folding.at(Number(this.depth.value));
    this.layers.forEach((layer) => this.showLayer(this.rows[layer.index], layer));
    const all = this.layers.filter((layer) => layer.isThere);
    this.write(this.table.tFoot.rows[1], ...this.sums(all));
    this.place();
    this.filter();
  }

  showLayer(row, { before, after, isThere, change }) {
    const isAsked = { "": true, differs: change !== "unchanged" }[this.kind.value] ?? change === this.kind.value;
    row.toggleAttribute("data-away", !(isThere && isAsked));
    row.hidden = "away" in row.dataset;
    row.className = change;
    const word = row.cells[1].firstElementChild;
    word.className = `change ${change}`;
    word.textContent = change;
    this.write(row, before, after);
  }

  write(row, before, after) {
    this.folding.cells(before, after, this.exact.checked).forEach(([text, key], at) => {
      put(row.cells[FIRST + at], text, key);
    });
  }

  sums(layers) {
    const size = this.folding.quantities.length;
    return [added(layers.map(({ before }) => before), size), added(layers.map(({ after }) => after), size)];
  }

  // How many rows there are, and a row for all others
  tell(shown) {
    const seen = new Set(shown.map((row) => this.places.get(row)));
    const all = this.layers.filter((layer) => layer.isThere);
    const others = all.filter(({ index }) => !seen.has(index));
    const rest = this.table.tFoot.rows[0];
    this.found.textContent = `${shown.length} of ${all.length} layer${all.length === 1 ? "" : "s"}.`;
    rest.hidden = !others.length;
    rest.cells[0].textContent = `${others.length} not shown`;
    this.write(rest, ...this.sums(others));
  }
}
